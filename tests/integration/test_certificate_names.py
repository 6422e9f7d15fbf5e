"""Certificates need not have a common name: what is told of a connection names them all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, configuration

ISSUER: dict[str, Any] = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": "ab" * 32,
}


def nameless(authority: Authority, folder: Path, names: str) -> tuple[Any, dict[str, str]]:
    """Issue a certificate without a common name; return the client side of TLS and what is to be told of it."""
    made = authority._ca.issue_cert(names, key_type=trustme.KeyType.ECDSA)
    pem = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    (folder / f"{names}.pem").write_bytes(pem)
    leaf = x509.load_pem_x509_certificate(pem)
    context = authority.context()
    made.configure_cert(context)
    return context, {"serial": f"{leaf.serial_number:x}", "fingerprint": leaf.fingerprint(hashes.SHA256()).hex()}


@pytest.mark.parametrize(("settings", "line"), [({}, "Connection accepted"), (ISSUER, "Connection refused")])
async def test_lines_status_and_explain_tell_certificates_without_a_common_name_apart(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], line: str
) -> None:
    config = configuration(tmp_path, authority, **settings)
    told = []
    async with NetworkBroker.from_file(config) as broker:
        for name in ("one.example.net", "two.example.net"):
            context, expected = nameless(authority, tmp_path, name)
            told.append(expected)
            try:
                async with wire(broker.ports.client, context) as peer:
                    await peer.connect()
            except ClosedError:
                assert line == "Connection refused"
            decision = (await recent(broker))[-1]
            assert (decision.common_name, decision.serial, decision.fingerprint) == ("", *expected.values())
            offline = CliRunner().invoke(
                main, ["explain", "--config", str(config), "--certificate", str(tmp_path / f"{name}.pem"), "--json"]
            )
            shown = json.loads(offline.stdout)["connection"]
            assert {key: shown[key] for key in expected} == expected
        shown_there = broker._reporter.status().recent
        assert [{"serial": each.serial, "fingerprint": each.fingerprint} for each in reversed(shown_there)] == told
    lines = [record.__dict__ for record in caplog.records if record.getMessage() == line]
    assert [{key: each[key] for key in told[0]} for each in lines] == told
    assert not any("cn" in each for each in lines)
    assert told[0] != told[1]
