"""The page about certificates and CAs shows what a broker prints at each step, and asks Prometheus for what exists."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.errors import ConfigurationError
from choria_broker.stats.authorities import Authority, Use, Uses
from choria_broker.stats.measured import Measured
from choria_broker.stats.metrics import families
from support.certificates import CLIENT, DAY, SERVER, Made, authority, issue
from support.handshakes import trusting
from support.minting import HOLDER, ORGANIZATION, hex_of, mint, proof
from support.minting import client as claims
from support.pages import ROOT, blocks
from support.testbed import IDENTITY, Identity, client

PAGE = ROOT / "docs/how-to/rotate.md"
NOW = dt.datetime.now(dt.UTC)
VALID: dict[str, Any] = {"begin": NOW - DAY, "end": NOW + 300 * DAY}
SHOWN = [
    block.text for block in blocks(PAGE) if block.language == "text" and block.text.startswith("Connections by CA")
]


class Site:
    """The files of one broker, by the settings of the page."""

    def __init__(self, folder: Path) -> None:
        """Make both CAs and a configuration."""
        self.folder = folder
        self.old, self.new = authority("Old CA", **VALID), authority("New CA", **VALID)
        self.config = folder / "broker.conf"
        files = {"certificate": "cert.pem", "key": "key.pem", "ca": "ca.pem"}
        lines = (
            f"identity = {IDENTITY}",
            "plugin.choria.broker_network = true",
            "plugin.choria.use_srv = false",
            "plugin.choria.network.listen_address = 127.0.0.1",
            "plugin.choria.network.client_port = 0",
            f"plugin.choria.network.client_signer_cert = {hex_of(ORGANIZATION)}",
            "plugin.security.provider = file",
            *(f"plugin.security.file.{key} = {folder / name}" for key, name in files.items()),
        )
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def certified_by(self, ca: Made) -> None:
        self.put("cert", issue(IDENTITY, ca, usages=(SERVER, CLIENT), names=(x509.DNSName(IDENTITY),), **VALID))

    def trusts(self, *trusted: Made) -> None:
        (self.folder / "ca.pem").write_bytes(b"".join(each.pem for each in trusted))

    def put(self, name: str, made: Made) -> Identity:
        found = Identity(self.folder / f"{name}.pem", self.folder / ("key.pem" if name == "cert" else f"{name}.key"))
        found.certificate.write_bytes(made.pem)
        found.key.write_bytes(made.key_pem)
        return found


def reduced(text: str) -> list[str]:
    """Take away what is different each time: moments, fingerprints, numbers of connections, folders; and kinds."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "MOMENT", text)
    text = re.sub(r"\([0-9a-f]{16}\)", "FINGERPRINT", text)
    text = re.sub(r"(, leafnode \d+)", "", text)
    return re.sub(r"[^ ]*/ca\.pem", "CA", re.sub(r"client \d+", "client N", text)).splitlines()


async def status(site: Site, broker: NetworkBroker) -> list[str]:
    await broker.statistics.read_certificates()
    done = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--config", str(site.config)])
    lines = done.stdout.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("Connections by CA"))
    end = next(number for number in range(begin + 1, len(lines)) if not lines[number].startswith("  "))
    return reduced("\n".join(lines[begin:end]))


def by_token() -> dict[str, Any]:
    now = int(time.time())
    token = claims(permissions={"org_admin": True}, nbf=None, jti=None)
    return {
        "token": mint({**token, "iat": now - 60, "exp": now + 3600}),
        "signature_cb": lambda nonce: proof(HOLDER, nonce).encode(),
    }


async def test_each_step_shows_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    site = Site(tmp_path)
    site.certified_by(site.old)
    site.trusts(site.old)
    both = tmp_path / "both.pem"
    both.write_bytes(site.old.pem + site.new.pem)
    old = site.put("old", issue("bob.mcollective", site.old, usages=(CLIENT,), **VALID))
    new = site.put("new", issue("bob.mcollective", site.new, usages=(CLIENT,), **VALID))
    first, second, third = (reduced(text) for text in SHOWN)
    named: dict[str, Any] = {"tls_hostname": IDENTITY}
    async with (
        NetworkBroker.from_file(site.config) as broker,
        client(broker, trusting(both), **named, **by_token()),
        client(broker, trusting(both, identity=old), **named) as leaves,
    ):
        site.trusts(site.old, site.new)
        await broker.reload()
        async with client(broker, trusting(both, identity=new), **named):
            assert await status(site, broker) == first
            with pytest.raises(ConfigurationError, match="not issued by a CA in the CA file"):
                site.trusts(site.new)
                broker.reloads.settling = 0.0
                await broker.reload()
            site.trusts(site.old, site.new)
            site.certified_by(site.new)
            await broker.reload()
            async with client(broker, trusting(both, identity=old), **named):
                await leaves.close()
                site.trusts(site.new)
                await broker.reload()
                assert await status(site, broker) == third
            site.trusts(site.old, site.new)
            await broker.reload()
            async with asyncio.timeout(10):
                while (shown := await status(site, broker)) != second:
                    assert shown[2] == second[2]


def test_the_query_of_the_page_asks_for_what_there_is() -> None:
    query = next(block.text for block in blocks(PAGE) if "max_over_time" in block.text)
    found = Uses((Use(Authority(SHA256.name, "CN=Old CA", 1.0, (PAGE,)), {"client": 1}),))
    metric = re.search(r"\((choria_\w+)\{(\w+)=\"([^\"]+)\"\}", query)
    assert metric
    (family,) = [each for each in families(Measured(identity="b", authorities=found)) if each.name == metric[1]]
    assert family.samples[0].labels[metric[2]] == metric[3]
