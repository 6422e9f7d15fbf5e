"""Certificates of a running broker, in a table and for scripts."""

from __future__ import annotations

import json

import msgspec
import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import certificates as command
from choria_broker.status.document import AuthoritiesReport, AuthorityReport, CertificateReport, Status
from support import statuses

DAY = 86400.0
STATUS = msgspec.structs.replace(
    statuses.STATUS,
    certificates=(
        CertificateReport("ca", "/ca.pem", "CN=ca", 300 * DAY, 300.0),
        CertificateReport("broker", "/b1.pem", "CN=b1", 20 * DAY, 20.0),
    ),
    authorities=AuthoritiesReport(
        (AuthorityReport("CN=ca", "ab" * 32, 300 * DAY, 300.0, ("/ca.pem",), {"client": 2}),)
    ),
    expiring_tokens={"choria abcd": 3},
)


def run(monkeypatch: pytest.MonkeyPatch, status: Status, *options: str) -> Result:
    monkeypatch.setattr(command, "ask_status", lambda _config: status)
    return CliRunner().invoke(command.certificates, ["--config", "x", *options])


def test_the_first_to_end_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, STATUS)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "ROLE    EXPIRES                  DAYS  SUBJECT  FILE",
        "broker  1970-01-21 00:00:00 UTC  20    CN=b1    /b1.pem",
        "ca      1970-10-28 00:00:00 UTC  300   CN=ca    /ca.pem",
        "Connections by CA, 1970-01-01 00:00:00 UTC:",
        "  CN=ca (abababababababab), expires 1970-10-28 00:00:00 UTC: client 2; /ca.pem",
        "Tokens that expire within a day: choria abcd 3",
    ]


def test_a_script_is_told_what_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, STATUS, "--within", "20d", "--json")
    assert result.exit_code == 3
    found = json.loads(result.output)
    assert [each["role"] for each in found["certificates"]] == ["broker", "ca"]
    assert found["ending"] == 1
    assert found["expiring_tokens"] == {"choria abcd": 3}


def test_a_broker_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    status = msgspec.structs.replace(STATUS, certificates=(), authorities=None, expiring_tokens={})
    result = run(monkeypatch, status)
    assert (result.exit_code, result.output) == (
        0,
        "The broker uses no certificates, or has not read them yet.\n",
    )
