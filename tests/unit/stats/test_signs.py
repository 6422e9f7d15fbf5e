"""What the parts of a broker know becomes signs of its health."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from choria_broker.config.findings import Finding, Severity
from choria_broker.config.settings import Cluster, Endpoint, Network, Settings, Streams, Tls
from choria_broker.stats.certificates import Certificate, Role, Source
from choria_broker.stats.health import Signs, Validity
from choria_broker.stats.links import Link, LinkKind
from choria_broker.stats.readings import Readings, Server
from choria_broker.stats.readings import Streams as StreamReadings
from choria_broker.stats.signs import Observations, signs, validities
from choria_broker.streams.report import Report, State

PEERS = tuple(Endpoint("nats", f"broker{number}.example.net", 5222) for number in (2, 3))
READ = Readings(Server(remotes=1), streams=StreamReadings(enabled=True))
OFF = dataclasses.replace(READ, streams=StreamReadings(enabled=False))


def told(*, store: bool = False) -> Settings:
    network = Network(
        cluster=Cluster(peers=PEERS, routes=PEERS), streams=Streams(store=Path("/store") if store else None)
    )
    tls = Tls(enabled=False, everywhere=False, verify_clients=False, files=None)
    return Settings(Path("/broker.conf"), "broker1.example.net", tls, network=network)


def finding(severity: Severity) -> Finding:
    return Finding(severity, "a-code", "a problem", "an effect", "a remedy")


def certificate(role: Role, expires: float, file: str = "/x.pem") -> Certificate:
    return Certificate(Source(role, Path(file)), "CN=x", expires)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param({"engine": False}, {"engine": False}, id="no engine"),
        pytest.param(
            {"readings": None, "links": ()}, {"peers_configured": 0, "peers_connected": 0}, id="nobody reads the pages"
        ),
        pytest.param({}, {"peers_configured": 2, "peers_connected": 1}, id="peers"),
        pytest.param(
            {
                "links": (
                    Link(LinkKind.GATEWAY, "LON", connected=False),
                    Link(LinkKind.LEAFNODE, "hub", connected=True),
                    Link(LinkKind.LEAFNODE, "far", connected=False),
                )
            },
            {"remotes_down": ("gateway LON", "leafnode far")},
            id="remotes",
        ),
        pytest.param(
            {
                "streams": (
                    Report("choria", "CHORIA_EVENTS", State.FAILED, reason="no room"),
                    Report("choria", "CHORIA_MACHINE", State.PENDING),
                )
            },
            {"streams_amiss": ("stream CHORIA_EVENTS of account choria is failed: no room",)},
            id="streams",
        ),
        pytest.param(
            {"certificates": (certificate(Role.SIGNER, 7.0),)},
            {"certificates": (Validity("/x.pem", 7.0, vital=False),)},
            id="certificates",
        ),
    ],
)
def test_signs(observed: dict[str, Any], expected: dict[str, Any]) -> None:
    found = signs(told(), (), dataclasses.replace(Observations(engine=True, readings=READ), **observed))

    usual = Signs(engine=True, peers_configured=2, peers_connected=1)
    assert found == dataclasses.replace(usual, **expected)


@pytest.mark.parametrize(
    ("store", "readings", "words", "problem"),
    [
        (True, READ, "", ""),
        (True, None, "", ""),
        (False, OFF, "", ""),
        (True, OFF, "the disk is full", "the disk is full"),
        (True, OFF, "", "the engine has turned them off, and its log says why"),
        (True, dataclasses.replace(READ, streams=None), "", ""),
    ],
)
def test_streams_that_should_be_there(*, store: bool, readings: Readings | None, words: str, problem: str) -> None:
    observed = Observations(engine=True, readings=readings, streams_off=words)

    assert signs(told(store=store), (), observed).streams_problem == problem


def test_only_findings_that_leave_something_out_count() -> None:
    findings = [finding(severity) for severity in (Severity.SKIP, Severity.WARN, Severity.INFO, Severity.SKIP)]

    assert signs(told(), findings, Observations(engine=True)).features_left_out == 2


@pytest.mark.parametrize(
    ("certificates", "vital"),
    [
        ([certificate(Role.BROKER, 5.0), certificate(Role.BROKER, 9.0, "/chain.pem")], [True, True]),
        ([certificate(Role.CA, 5.0), certificate(Role.CA, 9.0)], [False, True]),
        ([certificate(Role.CA, 5.0)], [True]),
        ([certificate(role, 5.0) for role in (Role.SIGNER, Role.GATEWAY, Role.LEAFNODE_CA)], [False, False, False]),
        ([], []),
    ],
)
def test_what_nobody_can_connect_without(certificates: list[Certificate], vital: list[bool]) -> None:
    """Of the CAs the last one to expire: while one is replaced by another, both are in the file."""
    assert [each.vital for each in validities(certificates)] == vital
