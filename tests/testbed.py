"""What tests of a running broker share: a CA, configuration files, clients."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats.errors
import pytest
import trustme
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker

IDENTITY = "broker.example.net"

# Below the ports that the kernel gives to outgoing connections, and apart for each process of a parallel run.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_RANGE = 1000
_ports = itertools.cycle(range(15000 + _RANGE * (_worker % 16), 15000 + _RANGE * (_worker % 16 + 1)))


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Files of one certificate."""

    certificate: Path
    key: Path


class Authority:
    """A CA with a folder for what it issues."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        """Make the CA and write its certificate."""
        self._ca = trustme.CA()
        self._folder = folder
        self.ca = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.ca)

    def issue(self, *names: str, rsa: bool = False) -> Identity:
        """Issue a certificate; the first name is the common name. Choria programs sign requests with RSA keys only."""
        key_type = trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA
        made = self._ca.issue_cert(*names, common_name=names[0], key_type=key_type)
        identity = Identity(self._folder / f"{names[0]}.pem", self._folder / f"{names[0]}.key")
        identity.certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(identity.key)
        return identity

    def context(self, identity: Identity | None = None) -> ssl.SSLContext:
        """Client side of TLS: trusts this CA, presents the identity when one is given."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if identity:
            context.load_cert_chain(identity.certificate, identity.key)
        return context


def configuration(folder: Path, authority: Authority, **settings: str | int | bool | Path) -> Path:
    """Write a configuration with the file provider, on free ports of loopback.

    Settings are written in full with ``__`` for ``.``; those that start with ``network__`` are of the network broker.
    """
    own = authority.issue(IDENTITY, "127.0.0.1", "::1", "localhost")
    values: dict[str, object] = {
        "identity": IDENTITY,
        "plugin.choria.broker_network": "true",
        "plugin.choria.use_srv": "false",
        "plugin.choria.network.listen_address": "127.0.0.1",
        "plugin.choria.network.client_port": 0,
        "plugin.security.provider": "file",
        "plugin.security.file.certificate": own.certificate,
        "plugin.security.file.key": own.key,
        "plugin.security.file.ca": authority.ca,
    }
    for name, value in settings.items():
        key = name.replace("__", ".")
        key = f"plugin.choria.{key}" if key.startswith("network.") else key
        values[key] = str(value).lower() if isinstance(value, bool) else value
    path = folder / "broker.conf"
    path.write_text("".join(f"{key} = {value}\n" for key, value in values.items()), encoding="utf-8")
    return path


def free_port() -> int:
    """Return a port of loopback that nothing listens on and that no other test is given for a long time."""
    for port in itertools.islice(_ports, _RANGE):
        with contextlib.suppress(OSError), contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port left")


@contextlib.asynccontextmanager
async def client(
    broker: NetworkBroker, context: ssl.SSLContext | None, *, port: int = 0, **options: Any
) -> AsyncIterator[Client]:
    """Connect a NATS client to the client port, or another one, with one attempt only; it closes in any case."""
    scheme = "tls" if context else "nats"
    settings: dict[str, Any] = {"connect_timeout": 5, "allow_reconnect": False, "error_cb": ignore_error} | options
    connection = Client()
    try:
        await connection.connect(f"{scheme}://127.0.0.1:{port or broker.ports.client}", tls=context, **settings)
        yield connection
    finally:
        await connection.close()


async def gets_nowhere(broker: NetworkBroker, authority: Authority, login: dict[str, Any]) -> None:
    """Make sure that a login, given as options of the client, is not let in on the client port."""
    connection = Client()
    options: dict[str, Any] = {"tls": authority.context(), "allow_reconnect": False, "error_cb": ignore_error}
    with pytest.raises(nats.errors.Error):
        await connection.connect(f"tls://127.0.0.1:{broker.ports.client}", **options, **login)
    await connection.close()


async def settled(connection: Client) -> None:
    """Wait until the broker knows every subscription of a connection.

    The client's own flush may overtake what it is to flush; a message to oneself cannot.
    """
    inbox = connection.new_inbox()
    subscription = await connection.subscribe(inbox)
    await connection.publish(inbox)
    await subscription.next_msg(timeout=5)
    await subscription.unsubscribe()


async def ignore_error(_error: Exception) -> None:
    """Take an error of a connection that is expected to fail."""
