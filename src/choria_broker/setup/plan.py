"""What a first set-up consists of: every file with its content, before anything is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.security import issuing, ksuid, signing
from choria_broker.security.authority import Authority
from choria_broker.security.token_permissions import ClientPermission
from choria_broker.values import Discreet

COLLECTIVE = "mcollective"
CLIENT, SERVER = "bob", "node1"
CONNECTIONS = 2000
"""Clients at once that the set-up is meant for."""

_OF_CA = dt.timedelta(days=3650)
_ISSUER = "issuer"
_HERE = ("localhost", "127.0.0.1", "::1")


class Tls(msgspec.Struct, frozen=True):
    """Files that the broker shows its peers.

    Attributes:
        ca: certificates of the CA.
        certificate: of the broker.
        key: of that.
    """

    ca: Path
    certificate: Path
    key: Path


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        folder: where everything goes, absolute.
        identity: of the broker, a host name.
        port: client port.
        stats_port: statistics port.
        given: certificates that are there; None has some made.
        hosts: further names and addresses in a certificate that is made.
        issuer: name of the issuer of tokens; empty for certificates only.
        days: how long certificates and tokens are good.
        streams: directory of Choria Streams; None for none.
    """

    folder: Path
    identity: str
    port: int
    stats_port: int
    given: Tls | None = None
    hosts: tuple[str, ...] = ()
    issuer: str = ""
    days: int = 365
    streams: Path | None = None


class NewFile(Discreet, frozen=True):
    """A file that is to be written; it has no repr that shows its content.

    Attributes:
        path: where.
        content: all of it.
        private: only its owner may read it.
        of_broker: the broker's user owns it; others belong to whoever sets up.
    """

    path: Path
    content: bytes
    private: bool = False
    of_broker: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A set-up.

    Attributes:
        config: the broker's configuration.
        tls: what it shows its peers.
        files: everything to write, the configuration last.
        private: folders for whoever sets up alone.
        client, server: configurations of Choria's own programs; None where no login could be made for them.
        login: options with which a client logs in, for a program that takes ``--certificate`` and the like.
        keep: private keys that do not belong on the broker's machine for long.
    """

    config: Path
    tls: Tls
    files: tuple[NewFile, ...]
    private: tuple[Path, ...]
    client: Path | None
    server: Path | None
    login: tuple[str, ...]
    keep: tuple[Path, ...]


def planned(wish: Wish, now: dt.datetime, random: Callable[[int], bytes]) -> Plan:
    """Work out a set-up.

    Args:
        wish: what is asked for.
        now: when certificates and tokens become good.
        random: makes so many random bytes.
    """
    return _Planner(wish, now, random).plan()


class _Planner:
    def __init__(self, wish: Wish, now: dt.datetime, random: Callable[[int], bytes]) -> None:
        self._wish, self._now, self._random = wish, now, random
        self._files: list[NewFile] = []
        self._keep: list[Path] = []
        self._lifetime = dt.timedelta(days=wish.days)
        self._first = wish.folder / "first"

    def plan(self) -> Plan:
        wish, first = self._wish, self._first
        authority = None if wish.given else Authority("Choria lab CA", self._now, max(_OF_CA, self._lifetime))
        tls = wish.given or self._certificates(authority)
        login: tuple[str, ...] = ("--certificate", str(tls.certificate), "--key", str(tls.key))
        security: list[str] = []
        if wish.issuer:
            security = self._tokens()
            login = ("--token", str(first / f"{CLIENT}.jwt"), "--seed", str(first / f"{CLIENT}.seed"))
        elif authority:
            client, server = f"{CLIENT}.mcollective", f"{SERVER}.example.net"
            for name in (client, server):
                self._pair(authority, first, name)
            login = ("--certificate", str(first / f"{client}.pem"), "--key", str(first / f"{client}.key"))
        programs = bool(wish.issuer or authority)
        if programs:
            self._programs(tls, security)
        config = wish.folder / "broker.conf"
        self._add(config, "".join(f"{line}\n" for line in self._broker(tls, security)))
        return Plan(
            config=config,
            tls=tls,
            files=tuple(self._files),
            private=(first, wish.folder / _ISSUER),
            client=first / "client.conf" if programs else None,
            server=first / "server.conf" if programs else None,
            login=login,
            keep=tuple(self._keep),
        )

    def _add(self, path: Path, content: str | bytes, *, private: bool = False, of_broker: bool = False) -> None:
        whole = content.encode() if isinstance(content, str) else content
        self._files.append(NewFile(path, whole, private, of_broker))

    def _certificates(self, authority: Authority | None) -> Tls:
        assert authority is not None  # noqa: S101 - nothing was given
        folder, identity = self._wish.folder / "ssl", self._wish.identity
        tls = Tls(folder / "ca.pem", folder / f"{identity}.pem", folder / f"{identity}.key")
        self._add(tls.ca, authority.own.certificate)
        self._add(folder / "ca.key", authority.own.key, private=True)
        self._keep.append(folder / "ca.key")
        made = authority.issue(identity, (*_HERE, *self._wish.hosts), lifetime=self._lifetime)
        self._add(tls.certificate, made.certificate)
        self._add(tls.key, made.key, private=True, of_broker=True)
        return tls

    def _pair(self, authority: Authority, folder: Path, name: str) -> None:
        # Choria's programs sign what they ask with RSA keys only.
        made = authority.issue(name, with_rsa=True, lifetime=self._lifetime)
        self._add(folder / f"{name}.pem", made.certificate)
        self._add(folder / f"{name}.key", made.key, private=True)

    def _tokens(self) -> list[str]:
        """Make an issuer, and the tokens of a first client and a first server; return what trusts them."""
        issuer, name = Ed25519PrivateKey.generate(), self._wish.issuer
        seed = self._wish.folder / _ISSUER / f"{name}.seed"
        self._add(seed, issuer.private_bytes_raw().hex(), private=True)
        self._add(seed.with_suffix(".public"), signing.public_hex(issuer))
        self._keep.append(seed)
        start = int(self._now.timestamp())
        for holder in (CLIENT, SERVER):
            key = Ed25519PrivateKey.generate()
            birth = issuing.Birth(start, start + int(self._lifetime.total_seconds()), self._random(ksuid.RANDOM_BYTES))
            token = issuing.issue(self._grant(holder, signing.public_hex(key)), issuer, birth)
            self._add(self._first / f"{holder}.seed", key.private_bytes_raw().hex(), private=True)
            self._add(self._first / f"{holder}.jwt", token, private=True)
        prefix = "plugin.security.issuer"
        return [f"{prefix}.names = {name}", f"{prefix}.{name}.public = {signing.public_hex(issuer)}"]

    def _grant(self, holder: str, public: str) -> issuing.Grant:
        organization = self._wish.issuer
        if holder == CLIENT:
            return issuing.ClientGrant(
                caller=f"up={CLIENT}",
                public_key=public,
                organization=organization,
                permissions=(ClientPermission.FLEET_MANAGEMENT,),
            )
        return issuing.ServerGrant(
            identity=f"{SERVER}.example.net",
            public_key=public,
            collectives=(COLLECTIVE,),
            organization=organization,
        )

    def _broker(self, tls: Tls, security: list[str]) -> Iterator[str]:
        wish, network = self._wish, "plugin.choria.network"
        yield "# Made by choria-broker init. choria-broker settings has all settings."
        yield f"identity = {wish.identity}"
        yield "plugin.choria.broker_network = true"
        yield "plugin.choria.use_srv = false"
        yield f"{network}.client_port = {wish.port}"
        yield f"{network}.max_connections = {CONNECTIONS}"
        yield "# Status, metrics and health, on this machine only."
        yield f"plugin.choria.stats_port = {wish.stats_port}"
        if wish.streams:
            yield "# Choria Streams."
            yield f"{network}.stream.store = {wish.streams}"
        yield "# What it shows its peers, and whose certificates it believes."
        yield "plugin.security.provider = file"
        yield f"plugin.security.file.certificate = {tls.certificate}"
        yield f"plugin.security.file.key = {tls.key}"
        yield f"plugin.security.file.ca = {tls.ca}"
        if security:
            yield "# Whose tokens it believes."
            yield from security

    def _programs(self, tls: Tls, security: list[str]) -> None:
        wish = self._wish
        host = wish.identity if wish.given else "localhost"
        for file, name, more in (
            ("client.conf", f"{CLIENT}.mcollective", ["loglevel = warn"]),
            ("server.conf", f"{SERVER}.example.net", ["plugin.choria.server.provision = false"]),
        ):
            lines = [
                f"identity = {name}",
                f"collectives = {COLLECTIVE}",
                "plugin.choria.use_srv = false",
                f"plugin.choria.middleware_hosts = {host}:{wish.port}",
                *more,
                *(self._with_token(tls, name) if security else self._with_certificate(tls, name)),
                *security,
            ]
            self._add(self._first / file, "".join(f"{line}\n" for line in lines))

    def _with_token(self, tls: Tls, name: str) -> list[str]:
        holder = self._first / name.partition(".")[0]
        return [
            "plugin.security.provider = choria",
            f"plugin.security.choria.ca = {tls.ca}",
            f"plugin.security.choria.token_file = {holder}.jwt",
            f"plugin.security.choria.seed_file = {holder}.seed",
        ]

    def _with_certificate(self, tls: Tls, name: str) -> list[str]:
        return [
            "plugin.security.provider = file",
            f"plugin.security.file.certificate = {self._first / name}.pem",
            f"plugin.security.file.key = {self._first / name}.key",
            f"plugin.security.file.ca = {tls.ca}",
        ]
