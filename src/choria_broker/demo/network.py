"""A throw-away network: a CA, certificates, tokens and a configuration, made on the spot and worth nothing."""

from __future__ import annotations

import datetime as dt
import errno
import os
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.demo.people import BROKER, CALLERS, CLIENT, COLLECTIVE, MEASUREMENTS, caller_id
from choria_broker.host.private_file import replace_file
from choria_broker.security import issuing, ksuid, signing
from choria_broker.security.authority import Authority
from choria_broker.security.token_permissions import ClientPermission

LIFETIME = dt.timedelta(days=30)
"""How long certificates and tokens are valid."""

_HERE = ("localhost", "127.0.0.1", "::1")


class Demo(msgspec.Struct, frozen=True):
    """Where the parts of a demonstration network lie.

    Attributes:
        folder: the folder of all of them.
    """

    folder: Path

    @property
    def config(self) -> Path:
        """The broker's configuration."""
        return self.folder / "broker.conf"

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca.pem"

    @property
    def client_config(self) -> Path:
        """The configuration of Choria's own client."""
        return self.folder / "client.conf"

    @property
    def client_certificate(self) -> Path:
        """What a client presents."""
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        """The key of that."""
        return self.folder / "client.key"

    @property
    def signer(self) -> Path:
        """The seed that signs tokens of the demonstration."""
        return self.folder / "signer.seed"

    def token(self, name: str) -> Path:
        """Return the file with a caller's token."""
        return self.folder / f"{name}.jwt"

    def seed(self, name: str) -> Path:
        """Return the file with the seed of a caller's key."""
        return self.folder / f"{name}.seed"


def lay_out(folder: Path, *, port: int, stats_port: int) -> Demo:
    """Make a demonstration network in a folder; what an earlier call left there is made anew, but for streams.

    Args:
        folder: created when missing, readable by its owner only.
        port: client port of the broker.
        stats_port: statistics port of the broker.

    Raises:
        OSError: the folder or a file could not be written.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", str(folder))
    now = dt.datetime.now(dt.UTC)
    demo = Demo(folder)
    authority = Authority("Choria demonstration CA", now, LIFETIME)
    replace_file(demo.ca, authority.own.certificate)
    for name, stem in ((BROKER, "broker"), (CLIENT, "client")):
        made = authority.issue(name, _HERE, with_rsa=name == CLIENT)
        replace_file(folder / f"{stem}.pem", made.certificate)
        replace_file(folder / f"{stem}.key", made.key)
    signer = Ed25519PrivateKey.generate()
    replace_file(demo.signer, signer.private_bytes_raw().hex())
    for name in CALLERS:
        key = Ed25519PrivateKey.generate()
        replace_file(demo.seed(name), key.private_bytes_raw().hex())
        replace_file(demo.token(name), issuing.issue(_grant(name, key), signer, birth(now)))
    replace_file(demo.client_config, _of_client(demo, port))
    replace_file(demo.config, _configuration(demo, port, stats_port, signing.public_hex(signer)))
    return demo


def birth(now: dt.datetime) -> issuing.Birth:
    """Make the times of a token that is good as long as the demonstration."""
    start = int(now.timestamp())
    return issuing.Birth(start, start + int(LIFETIME.total_seconds()), os.urandom(ksuid.RANDOM_BYTES))


def _grant(name: str, key: Ed25519PrivateKey) -> issuing.ClientGrant:
    return issuing.ClientGrant(
        caller=caller_id(name),
        public_key=signing.public_hex(key),
        permissions=(ClientPermission.FLEET_MANAGEMENT, ClientPermission.EVENTS_VIEWER),
        publish_subjects=(MEASUREMENTS,),
    )


def _of_client(demo: Demo, port: int) -> str:
    return f"""\
# For Choria's own client: choria ping --config {demo.client_config}
identity = {CLIENT}
collectives = {COLLECTIVE}
loglevel = warn
plugin.choria.use_srv = false
plugin.choria.middleware_hosts = localhost:{port}
plugin.security.provider = file
plugin.security.file.certificate = {demo.client_certificate}
plugin.security.file.key = {demo.client_key}
plugin.security.file.ca = {demo.ca}
"""


def _configuration(demo: Demo, port: int, stats_port: int, signer: str) -> str:
    return f"""\
# A demonstration broker. The CA and the certificates are throw-away; do not use them for anything else.
identity = {BROKER}
plugin.choria.broker_network = true
plugin.choria.use_srv = false
plugin.choria.stats_port = {stats_port}
plugin.choria.network.listen_address = 127.0.0.1
plugin.choria.network.client_port = {port}
plugin.choria.network.public_url = 127.0.0.1:{port}
plugin.choria.network.max_connections = 1000
plugin.choria.network.stream.store = {demo.folder / "streams"}

# Clients and servers of the simulated fleet log in with tokens, everybody else with certificates.
plugin.choria.network.client_signer_cert = {signer}
plugin.choria.network.server_signer_cert = {signer}

plugin.security.provider = file
plugin.security.file.certificate = {demo.folder / "broker.pem"}
plugin.security.file.key = {demo.folder / "broker.key"}
plugin.security.file.ca = {demo.ca}
"""
