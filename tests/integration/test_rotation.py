"""Certificates and CAs are replaced while everything runs: on every listener and link, and nobody is dropped."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from choria_broker.broker import NetworkBroker
from choria_broker.errors import ConfigurationError
from support.handshakes import Doors, serial, trusting
from support.stores import Store
from support.testbed import IDENTITY, Authority, Identity, client, configuration, free_port, settled
from support.topology import Node, every_listener
from support.websockets import websocket_client

pytestmark = pytest.mark.filterwarnings(
    "ignore:parameter 'timeout' of type 'float':DeprecationWarning"  # nats-py asks aiohttp in the old way.
)
DEADLINE = 60.0
ALL = {"client", "websocket", "leafnode", "cluster", "gateway"}
NAMES = (IDENTITY, "127.0.0.1", "::1", "localhost")


def fingerprint(authority: Authority) -> str:
    return x509.load_pem_x509_certificate(authority.ca.read_bytes()).fingerprint(SHA256()).hex()


async def hanging(broker: NetworkBroker, **wanted: dict[str, int]) -> None:
    """Wait until the CAs, by their fingerprints after an ``f``, have just these connections."""
    found: dict[str, dict[str, int]] = {}
    try:
        async with asyncio.timeout(DEADLINE):
            while found != wanted:
                await broker.statistics.read_certificates()
                uses = broker.statistics.authorities
                assert uses
                found = {f"f{each.authority.fingerprint}": dict(each.connections) for each in uses.authorities}
    except TimeoutError:
        raise AssertionError(f"{wanted} became {found}") from None


@pytest.fixture
def next_authority(tmp_path: Path) -> Authority:
    """Make the CA that takes the place of the first one."""
    folder = tmp_path / "next"
    folder.mkdir()
    return Authority(folder)


def install(own: Identity, made: Identity) -> None:
    """Put a certificate and its key in the place of others."""
    own.certificate.write_bytes(made.certificate.read_bytes())
    own.key.write_bytes(made.key.read_bytes())


def with_every_listener(folder: Path, authority: Authority, bundle: Path) -> Path:
    """Write a configuration whose CA file has one CA so far."""
    node = Node(IDENTITY)
    bundle.write_bytes(authority.ca.read_bytes())
    return configuration(
        folder,
        authority,
        **every_listener(node, free_port()),
        network__peer_port=node.peer,
        plugin__security__file__ca=bundle,
    )


@pytest.mark.slow
async def test_every_listener_shows_and_takes_what_is_there_by_now(
    tmp_path: Path, authority: Authority, next_authority: Authority
) -> None:
    bundle = tmp_path / "bundle.pem"
    config = with_every_listener(tmp_path, authority, bundle)
    own = Identity(authority.ca.parent / f"{IDENTITY}.pem", authority.ca.parent / f"{IDENTITY}.key")
    old, new = authority.issue("bob.mcollective"), next_authority.issue("bob.mcollective")
    both = (authority, next_authority)
    async with NetworkBroker.from_file(config) as broker:
        doors = Doors.of(broker)
        assert set(doors.ports) == ALL

        async def takes(*, old_ones: bool, new_ones: bool) -> None:
            assert await doors.takers(trusting(*both, identity=old)) == (ALL if old_ones else set())
            assert await doors.takers(trusting(*both, identity=new)) == (ALL if new_ones else set())

        async with (
            client(broker, authority.context(old)) as first,
            websocket_client(doors.ports["websocket"], authority.context(old)) as second,
        ):
            assert await doors.presented(trusting(*both, identity=old)) == dict.fromkeys(ALL, serial(own.certificate))
            await takes(old_ones=True, new_ones=False)
            await hanging(broker, **{f"f{fingerprint(authority)}": {"client": 1, "websocket": 1}})

            authority.issue(*NAMES)  # Another certificate of the same CA.
            await broker.reload()
            assert await doors.presented(trusting(*both, identity=old)) == dict.fromkeys(ALL, serial(own.certificate))

            bundle.write_bytes(authority.ca.read_bytes() + next_authority.ca.read_bytes())
            await broker.reload()
            await takes(old_ones=True, new_ones=True)

            to_resume = trusting(*both, identity=old)
            sessions = await doors.sessions(to_resume)
            assert await doors.resumers(to_resume, sessions) == ALL
            install(own, next_authority.issue(*NAMES))
            await broker.reload()
            assert await doors.presented(trusting(*both, identity=old)) == dict.fromkeys(ALL, serial(own.certificate))
            await takes(old_ones=True, new_ones=True)
            async with client(broker, trusting(*both, identity=new)) as third:
                hangs = {f"f{fingerprint(authority)}": {"client": 1, "websocket": 1}}
                await hanging(broker, **hangs, **{f"f{fingerprint(next_authority)}": {"client": 1}})

                bundle.write_bytes(next_authority.ca.read_bytes())
                await broker.reload()
                await takes(old_ones=False, new_ones=True)
                assert await doors.resumers(to_resume, sessions) == set()
                for each in (first, second, third):
                    await settled(each)
                await hanging(broker, **hangs, **{f"f{fingerprint(next_authority)}": {"client": 1}})


class Files:
    """Files of a broker that are about to be harmed, and CAs to do that with."""

    def __init__(self, folder: Path, authority: Authority, other: Authority) -> None:
        """Write a CA file; certificate and key are there."""
        self.authority, self.other = authority, other
        self.certificate, self.key = folder / f"{IDENTITY}.pem", folder / f"{IDENTITY}.key"
        self.ca = folder / "bundle.pem"
        self.ca.write_bytes(authority.ca.read_bytes())

    def issued(self, by: Authority, until: dt.datetime | None = None) -> None:
        """Replace certificate and key."""
        install(Identity(self.certificate, self.key), by.issue(*NAMES, until=until))


def to_der(path: Path) -> None:
    path.write_bytes(x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER))


def swap(files: Files) -> None:
    certificate, key = files.certificate.read_bytes(), files.key.read_bytes()
    files.certificate.write_bytes(key)
    files.key.write_bytes(certificate)


def lock(files: Files) -> None:
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")))


def cut(files: Files) -> None:
    files.ca.write_bytes(files.other.ca.read_bytes() + files.authority.ca.read_bytes())
    files.ca.write_bytes(files.ca.read_bytes()[:-40])


CERTIFICATE, KEY, CA = (f"plugin.security.file.{name}" for name in ("certificate", "key", "ca"))
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
HARM: dict[str, tuple[Callable[[Files], object], str, str]] = {
    "an empty certificate": (lambda files: files.certificate.write_bytes(b""), CERTIFICATE, "tls-no-pem"),
    "words": (lambda files: files.certificate.write_bytes(b"to come\n"), CERTIFICATE, "tls-no-pem"),
    "a certificate in DER": (lambda files: to_der(files.certificate), CERTIFICATE, "tls-no-pem"),
    "swapped": (swap, CERTIFICATE, "tls-no-pem"),
    "expired": (lambda files: files.issued(files.authority, YESTERDAY), CERTIFICATE, "tls-expired"),
    "of a CA that is not in the file": (lambda files: files.issued(files.other), CERTIFICATE, "tls-untrusted"),
    "an empty key": (lambda files: files.key.write_bytes(b""), KEY, "tls-no-key"),
    "a key with a passphrase": (lock, KEY, "tls-key-encrypted"),
    "the key of another": (
        lambda files: files.key.write_bytes(files.authority.issue("other").key.read_bytes()),
        KEY,
        "tls-key-mismatch",
    ),
    "an empty CA file": (lambda files: files.ca.write_bytes(b""), CA, "tls-no-pem"),
    "a CA in DER": (lambda files: to_der(files.ca), CA, "tls-no-pem"),
    "a CA that did not issue ours": (
        lambda files: files.ca.write_bytes(files.other.ca.read_bytes()),
        CERTIFICATE,
        "tls-untrusted",
    ),
    "a CA file that is cut": (cut, CERTIFICATE, "tls-untrusted"),
    "a further CA that is cut": (
        lambda files: files.ca.write_bytes(files.ca.read_bytes() + files.other.ca.read_bytes()[:-40]),
        CA,
        "tls-bad-pem",
    ),
    "our own certificate for a CA": (
        lambda files: files.ca.write_bytes(files.certificate.read_bytes()),
        CA,
        "tls-leaf-in-ca",
    ),
}
"""What is done to the files, and the setting and code of the finding."""


@pytest.mark.slow
async def test_what_is_broken_changes_nothing_and_is_named(
    tmp_path: Path, authority: Authority, next_authority: Authority
) -> None:
    files = Files(authority.ca.parent, authority, next_authority)
    config = configuration(tmp_path, authority, plugin__security__file__ca=files.ca)
    whole = {path: path.read_bytes() for path in (files.certificate, files.key, files.ca)}
    bob = authority.issue("bob.mcollective")
    async with NetworkBroker.from_file(config) as broker, client(broker, authority.context(bob)) as stays:
        shown, told = serial(files.certificate), broker.statistics.certificates
        broker.reloads.settling = 0.0  # Nobody is about to put it right.
        for name, (harm, key, code) in HARM.items():
            harm(files)
            with pytest.raises(ConfigurationError) as caught:
                await broker.reload()
            (found,) = [each for each in caught.value.findings if each.key == key and each.code == code]
            assert found.origin.file == str(config), name
            assert found.origin.line, name
            doors = Doors.of(broker)
            assert await doors.presented(trusting(authority, identity=bob)) == {"client": shown}, name
            await broker.statistics.read_certificates()
            assert broker.statistics.certificates == told, name
            for path, content in whole.items():
                path.write_bytes(content)
        await settled(stays)
        await hanging(broker, **{f"f{fingerprint(authority)}": {"client": 1}})
        await broker.reload()


async def test_in_operator_mode_too(tmp_path: Path, authority: Authority, next_authority: Authority) -> None:
    files = Files(authority.ca.parent, authority, next_authority)
    store = Store(tmp_path, "OPS", "ACME")
    remote: dict[str, Any] = {
        "network__leafnode_remotes": "hub",
        "network__leafnode_remote__hub__url": f"127.0.0.1:{free_port()}",
        "network__leafnode_remote__hub__account": "ACME",
        "network__leafnode_remote__hub__tls__ca": tmp_path / "remote.pem",
    }
    shutil.copy(next_authority.ca, tmp_path / "remote.pem")
    config = configuration(
        tmp_path, authority, plugin__security__file__ca=files.ca, network__operator_account="OPS", **remote
    )
    bob = authority.issue("bob.mcollective")
    login: dict[str, Any] = store.login("ACME")
    async with NetworkBroker.from_file(config) as broker, client(broker, authority.context(bob), **login) as stays:
        broker.reloads.settling = 0.0
        await hanging(broker, **{f"f{fingerprint(authority)}": {"client": 1}, f"f{fingerprint(next_authority)}": {}})
        whole = {path: path.read_bytes() for path in (files.ca, tmp_path / "remote.pem")}
        for path, content in whole.items():
            path.write_bytes(content + content[:-40])
            with pytest.raises(ConfigurationError):
                await broker.reload()
            path.write_bytes(b"")
            with pytest.raises(ConfigurationError):
                await broker.reload()
            path.write_bytes(content)
        files.ca.write_bytes(files.ca.read_bytes() + next_authority.ca.read_bytes())
        await broker.reload()
        files.issued(next_authority)
        await broker.reload()
        files.ca.write_bytes(next_authority.ca.read_bytes())
        await broker.reload()
        assert await Doors.of(broker).takers(trusting(next_authority, identity=bob)) == set()
        assert [each.name for each in broker.settings.network.leafnodes.remotes] == ["hub"]
        await settled(stays)
        await hanging(broker, **{f"f{fingerprint(authority)}": {"client": 1}, f"f{fingerprint(next_authority)}": {}})
