"""What tests of a running broker share: a CA, configuration files, clients."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import fcntl
import functools
import itertools
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any

import aiohttp
import nats.errors
import pytest
import trustme
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.settings.network import NETWORK
from choria_broker.web.relay import asking

IDENTITY = "broker.example.net"

# Below the ports that the kernel gives to outgoing connections.
_FIRST, _RANGE, _RANGES = 15000, 350, 50


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

    @property
    def key_pem(self) -> bytes:
        """The CA's own key."""
        return self._ca.private_key_pem.bytes()

    def issue(self, *names: str, rsa: bool = False, until: dt.datetime | None = None) -> Identity:
        """Issue a certificate; the first name is the common name. Choria programs sign requests with RSA keys only."""
        key_type = trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA
        made = self._ca.issue_cert(*names, common_name=names[0], key_type=key_type, not_after=until)
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


def change(path: Path, **settings: str | int) -> None:
    """Give keys of the network broker other values, or none with an empty one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for name, value in settings.items():
        key = NETWORK + name.replace("__", ".")
        lines = [line for line in lines if not line.startswith(f"{key} =")]
        if value != "":
            lines.append(f"{key} = {value}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@functools.cache
def _own_ports() -> Iterator[int]:
    """Take a range of ports that no other process of this or another run on this machine has, until this one ends."""
    for number in range(_RANGES):
        lock = open(Path(tempfile.gettempdir()) / f"choria-broker-tests-ports-{number}", "w")  # noqa: PTH123, SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
        else:
            _locks.append(lock)
            return itertools.cycle(range(_FIRST + _RANGE * number, _FIRST + _RANGE * (number + 1)))
    raise RuntimeError(f"{_RANGES} processes run tests here already")


_locks: list[IO[str]] = []


def free_port() -> int:
    """Return a port of loopback that nothing listens on and that no other test is given for a long time."""
    for port in itertools.islice(_own_ports(), _RANGE):
        with contextlib.suppress(OSError), contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port left")


def engine_pages(broker: NetworkBroker) -> aiohttp.ClientSession:
    """Make a session that asks the broker's engine itself for its monitoring pages, by their paths."""
    return asking(broker.engine_pages, aiohttp.ClientTimeout(total=10))


def bridge(broker: NetworkBroker) -> str:
    """Return the address of the socket for the broker's own connections."""
    return broker._engine._private["bridge"].address


class OrderedClient(Client):
    """A NATS client whose flush comes after all that was said before.

    The library writes the PING of a flush at once, past the subscriptions and messages that still wait in its buffer.
    """

    async def flush(self, timeout: int = 10) -> None:  # noqa: ASYNC109 - the signature is the library's
        """Have the server answer a PING that it gets after everything else; ``timeout`` in seconds."""
        await self._flush_pending(force_flush=True)
        await super().flush(timeout)


@contextlib.asynccontextmanager
async def client_of(url: str, context: ssl.SSLContext | None, **options: Any) -> AsyncIterator[Client]:
    """Connect a NATS client, with one attempt only; it closes in any case."""
    settings: dict[str, Any] = {"connect_timeout": 20, "allow_reconnect": False, "error_cb": ignore_error} | options
    connection = OrderedClient()
    try:
        await connection.connect(url, tls=context, **settings)
        yield connection
    finally:
        await let_go(connection)


@contextlib.asynccontextmanager
async def client(
    broker: NetworkBroker, context: ssl.SSLContext | None, *, port: int = 0, **options: Any
) -> AsyncIterator[Client]:
    """Connect a NATS client to the client port, or another one, with one attempt only; it closes in any case."""
    scheme = "tls" if context else "nats"
    async with client_of(f"{scheme}://127.0.0.1:{port or broker.ports.client}", context, **options) as connection:
        yield connection


async def gets_nowhere(broker: NetworkBroker, authority: Authority, login: dict[str, Any]) -> None:
    """Make sure that a login, given as options of the client, is not let in on the client port."""
    connection = OrderedClient()
    options: dict[str, Any] = {"tls": authority.context(), "allow_reconnect": False, "error_cb": ignore_error}
    with pytest.raises(nats.errors.Error):
        await connection.connect(f"tls://127.0.0.1:{broker.ports.client}", **options, **login)
    await let_go(connection)


async def settled(connection: Client) -> None:
    """Wait until the broker knows every subscription of a connection.

    The client's own flush may overtake what it is to flush; a message to oneself cannot.
    """
    inbox = connection.new_inbox()
    subscription = await connection.subscribe(inbox)
    await connection.publish(inbox)
    await subscription.next_msg(timeout=5)
    await subscription.unsubscribe()


async def gone(*connections: Client) -> None:
    """Wait until the broker has closed connections."""
    async with asyncio.timeout(60):
        while any(each.is_connected for each in connections):
            await asyncio.sleep(0.01)


async def ignore_error(_error: Exception) -> None:
    """Take an error of a connection that is expected to fail."""
