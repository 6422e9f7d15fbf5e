"""Certificates with faults: what the real engine does with them is what was said beforehand, and its log says why."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from choria_broker.broker import NetworkBroker
from choria_broker.cli.check import examine
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.errors import ConfigurationError
from choria_broker.settings.finding_codes import Severity
from support.certificate_cases import excluded
from support.certificates import CLIENT, DAY, SERVER, Made, authority, issue, key_usage, stored
from support.testbed import IDENTITY, free_port

NOW = dt.datetime.now(dt.UTC)
VALID = {"begin": NOW - DAY, "end": NOW + 300 * DAY}
PATIENT = 60.0
NAMES = (x509.DNSName(IDENTITY), x509.DNSName("localhost"))


def root(*extensions: x509.ExtensionType, **more: object) -> Made:
    return authority("root", None, *extensions, **(VALID | more))


def server(by: Made, **more: object) -> Made:
    good: dict[str, object] = {"usages": (SERVER, CLIENT), "names": NAMES}
    return issue(IDENTITY, by, **(VALID | good | more))  # type: ignore[arg-type] # arguments of issue


def place(folder: Path, leaf: Made, ca: bytes) -> None:
    (folder / "cert.pem").write_bytes(leaf.pem)
    (folder / "key.pem").write_bytes(leaf.key_pem)
    (folder / "ca.pem").write_bytes(ca)


def configured(folder: Path, leaf: Made, ca: Made, *lines: str) -> Path:
    """Write a configuration with certificates beside it."""
    folder.mkdir(exist_ok=True)
    place(folder, leaf, ca.pem)
    path = folder / "broker.conf"
    network = ("listen_address = 127.0.0.1", "client_port = 0", *lines)
    text = [
        f"identity = {IDENTITY}",
        "plugin.choria.broker_network = true",
        "plugin.choria.use_srv = false",
        "plugin.security.provider = file",
        f"plugin.security.file.certificate = {folder}/cert.pem",
        f"plugin.security.file.key = {folder}/key.pem",
        f"plugin.security.file.ca = {folder}/ca.pem",
        *(f"plugin.choria.network.{line}" for line in network),
    ]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def context(folder: Path, ca: bytes, certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Client side of TLS, as lenient about old algorithms as OpenSSL gets."""
    (folder / "client.pem").write_bytes(certificate)
    (folder / "client.key").write_bytes(key)
    made = ssl.create_default_context(cadata=ca.decode())
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Newer versions of Python want more of a CA than the programs here.
    made.set_ciphers("DEFAULT:@SECLEVEL=0")
    made.load_cert_chain(folder / "client.pem", folder / "client.key")
    return made


async def comes_in(broker: NetworkBroker, tls: ssl.SSLContext) -> bool:
    """Log in as any program does, once."""
    async with asyncio.timeout(PATIENT):
        reader, writer = await asyncio.open_connection("localhost", broker.ports.client)
        try:
            await reader.readline()
            await writer.start_tls(tls, server_hostname="localhost")
            writer.write(b'CONNECT {"verbose":false,"tls_required":true}\r\nPING\r\n')
            return b"PONG" in await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()


async def logged(caplog: pytest.LogCaptureFixture, *words: str) -> str:
    """Wait for a line with all of these words."""
    async with asyncio.timeout(PATIENT):
        while True:
            for record in caplog.records:
                text = record.getMessage()
                if all(word in text for word in words):
                    return text
            await asyncio.sleep(0.02)


BAD_ROOT = root(key_usage(signs=False))
FORBIDDING = root(excluded(x509.DNSName(IDENTITY)))
ROOT = root()


@pytest.mark.parametrize(
    ("leaf", "ca", "code"),
    [
        (server(ROOT, usages=(CLIENT,)), ROOT, "tls-not-for-servers"),
        (server(BAD_ROOT), BAD_ROOT, "tls-bad-ca"),
        (server(FORBIDDING), FORBIDDING, "tls-forbidden-name"),
        (server(ROOT, end=NOW - DAY / 2), ROOT, "tls-expired"),
    ],
    ids=["for clients", "no keyCertSign", "a forbidden name", "expired"],
)
async def test_what_is_refused_lets_nobody_in(tmp_path: Path, leaf: Made, ca: Made, code: str) -> None:
    good = server(ROOT)
    path = configured(tmp_path, leaf, ca)
    with pytest.raises(ConfigurationError) as refused:
        NetworkBroker.from_file(path)
    assert [finding.code for finding in refused.value.findings if finding.severity is Severity.REFUSE] == [code]
    # Read while the files were good, so that the engine itself meets the bad ones.
    broker = NetworkBroker.from_file(configured(tmp_path, good, ROOT))
    place(tmp_path, leaf, ca.pem)
    bob = server(ROOT)
    async with broker:
        assert not await comes_in(broker, context(tmp_path, ca.pem, bob.pem, bob.key_pem))


@pytest.mark.parametrize(
    "leaf",
    [server(ROOT, usages=(SERVER,)), server(ROOT, usages=())],
    ids=["for servers", "for everything"],
)
async def test_what_is_let_pass_lets_clients_in(tmp_path: Path, leaf: Made) -> None:
    bob = server(ROOT)
    async with NetworkBroker.from_file(configured(tmp_path, leaf, ROOT)) as broker:
        assert await comes_in(broker, context(tmp_path, ROOT.pem, bob.pem, bob.key_pem))


def files(made: Made) -> tuple[bytes, bytes]:
    return made.pem, made.key_pem


@pytest.mark.parametrize(
    ("client", "cause"),
    [
        (files(server(ROOT, usages=(SERVER,))), "clientAuth"),
        (files(server(ROOT, end=NOW - DAY / 2)), "has expired"),
        (files(server(ROOT, begin=NOW + DAY)), "not valid yet"),
        (files(server(authority("stranger", None, **VALID))), "not in the CA file here"),
        ((stored("sha1.pem"), stored("sha1.key")), "SHA-1"),
    ],
    ids=["for servers", "over", "not yet", "another CA", "SHA-1"],
)
async def test_the_log_says_why_a_certificate_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, client: tuple[bytes, bytes], cause: str
) -> None:
    certificate, key = client
    broker = NetworkBroker.from_file(configured(tmp_path, server(ROOT), ROOT))
    place(tmp_path, server(ROOT), ROOT.pem + stored("root.pem"))
    async with broker:
        assert not await comes_in(broker, context(tmp_path, ROOT.pem, certificate, key))
        await logged(caplog, "TLS handshake error", cause)


async def test_a_leafnode_with_a_certificate_for_servers_gets_in_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    hub = configured(tmp_path / "hub", server(ROOT), ROOT, f"leafnode_port = {port}", "gateway_name = HUB")
    lines = ("leafnode_remotes = hq", f"leafnode_remote.hq.url = localhost:{port}", "gateway_name = SITE")
    spoke = configured(tmp_path / "spoke", server(ROOT, usages=(SERVER,)), ROOT, *lines)
    said = [finding for finding in examine(spoke, Overrides()).findings if finding.code == "tls-not-for-clients"]
    assert [finding.severity for finding in said] == [Severity.WARN]
    async with NetworkBroker.from_file(hub), NetworkBroker.from_file(spoke):
        await logged(caplog, "TLS leafnode handshake error", "clientAuth")


async def test_a_peer_by_a_name_that_is_not_in_its_certificate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ports = free_port(), free_port()
    peers = f"peers = localhost:{ports[0]}, 127.0.0.1:{ports[1]}"
    one = configured(tmp_path / "one", server(ROOT), ROOT, peers, f"peer_port = {ports[0]}")
    text = configured(tmp_path / "two", server(ROOT), ROOT, peers, f"peer_port = {ports[1]}")
    text.write_text(text.read_text(encoding="utf-8").replace(IDENTITY, f"two.{IDENTITY}", 1), encoding="utf-8")
    said = [finding for finding in examine(text, Overrides()).findings if finding.code == "tls-name-mismatch"]
    assert any("127.0.0.1" in finding.problem and finding.key.endswith("peers") for finding in said)
    async with NetworkBroker.from_file(one), NetworkBroker.from_file(text):
        await logged(caplog, "TLS route handshake error", "list it by its name")
