"""Parts of the status in words."""

from __future__ import annotations

import pytest

from choria_broker.status.document import AuthoritiesReport, AuthorityReport, ProvisioningReport
from choria_broker.status.revocation import CrlReport, RevocationReport
from choria_broker.status.words import authorities, bundle_name, counts, moment, provisioning, revocation


def test_moments_and_counts() -> None:
    assert moment(1.7e9) == "2023-11-14 22:13:20 UTC"
    assert counts({"b": 1, "a": 1, "c": 2}) == "c 2, a 1, b 1"


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (ProvisioningReport(0, 0.0, 0), "no node waits; no provisioner is connected"),
        (
            ProvisioningReport(1, 60.0, 1),
            "1 node waits, the first since 1970-01-01 00:01:00 UTC; a provisioner is connected",
        ),
        (
            ProvisioningReport(2, 60.0, 2),
            "2 nodes wait, the first since 1970-01-01 00:01:00 UTC; 2 provisioners are connected",
        ),
        (ProvisioningReport(0, 0.0, 0, elsewhere=True), "no node waits; a provisioner is connected to another broker"),
        (
            ProvisioningReport(0, 0.0, 0, silent=True),
            "no node waits; no provisioner is connected here, and not all other brokers could be asked",
        ),
    ],
)
def test_who_waits_for_provisioning(report: ProvisioningReport, sentence: str) -> None:
    assert provisioning(report) == sentence


def test_connections_by_authority() -> None:
    report = AuthoritiesReport(
        (
            AuthorityReport("CN=new", "ab" * 32, 86400.0, 1.0, ("/ca.pem",), {"client": 2, "to_leafnode": 1}),
            AuthorityReport("", "cd" * 32, 0.0, -1.0, (), {}),
        ),
        {"client": 1},
        {"websocket": 2},
    )
    assert list(authorities(report)) == [
        "Connections by CA, 1970-01-01 00:00:00 UTC:",
        "  CN=new (abababababababab), expires 1970-01-02 00:00:00 UTC: client 2, to leafnode 1; /ca.pem",
        "  unnamed (cdcdcdcdcdcdcdcd), expired 1970-01-01 00:00:00 UTC: none; in no CA file any more, cannot reconnect",
        "  no certificate: client 1; the CA with which these verify this broker is not known here",
        "  no TLS: websocket 2",
    ]


def test_what_is_revoked() -> None:
    crls = (
        CrlReport("CN=ca", "/crl.pem", 7, 2, 0.0, 60.0, overdue=True),
        CrlReport("CN=b", "/b.pem", None, 0, 0.0, None, overdue=False),
    )
    assert list(revocation(RevocationReport(crls, "/revoked", 3, {"revoked": 1}))) == [
        "Revoked certificates: 2 in list 7 of CN=ca in /crl.pem, next update 1970-01-01 00:01:00 UTC, out of date",
        "Revoked certificates: 0 in list of CN=b in /b.pem, no next update",
        "Revocations: 3 in /revoked",
        "Sessions ended: revoked 1",
    ]
    assert list(revocation(RevocationReport())) == []


def test_bundles_are_named_by_broker_and_moment() -> None:
    assert bundle_name("broker1.example.net", 1_800_000_000.5) == "choria-broker-broker1.example.net-20270115T080000Z"
    assert bundle_name("a b/c", 0.0) == "choria-broker-a-b-c-19700101T000000Z"
    assert bundle_name("", 0.0) == "choria-broker-unknown-19700101T000000Z"
