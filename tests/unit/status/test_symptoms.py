"""What the parts of a broker know becomes signs of its health."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from choria_broker.access.waiting import Waiting
from choria_broker.companions.reports import CompanionReport
from choria_broker.engine.events import KeyProcessCounts
from choria_broker.settings.broker import Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding
from choria_broker.settings.links import Cluster
from choria_broker.settings.network import Network
from choria_broker.settings.revocation import Revocation
from choria_broker.settings.streams import Streams
from choria_broker.settings.tls import Tls
from choria_broker.stats.authorities import Authority, Use, Uses
from choria_broker.stats.certificates import Certificate, Role, Source
from choria_broker.stats.headroom import Headroom
from choria_broker.stats.links import Link, LinkKind
from choria_broker.stats.membership import Membership
from choria_broker.stats.readings import Readings, Server
from choria_broker.stats.readings import Streams as StreamReadings
from choria_broker.status.health import Condition, Symptoms, Validity, assess
from choria_broker.status.symptoms import Observations, symptoms, validities
from choria_broker.streams.report import Report, State
from choria_broker.values import replace
from support.revoked_people import CHILD, ROOT, crl_of

PEERS = tuple(Endpoint("nats", f"broker{number}.example.net", 5222) for number in (2, 3))
NOW = 1_000.0
SHOWN = "1970-01-01 00:16 UTC"
READ = Readings(Server(), streams=StreamReadings(enabled=True))
OFF = replace(READ, streams=StreamReadings(enabled=False))


def told(*, store: bool = False) -> Settings:
    network = Network(
        cluster=Cluster(peers=PEERS, routes=PEERS), streams=Streams(store=Path("/store") if store else None)
    )
    tls = Tls(enabled=False, everywhere=False, verify_clients=False, files=None)
    return Settings(source=Path("/broker.conf"), identity="broker1.example.net", tls=tls, network=network)


def finding(severity: Severity) -> Finding:
    return Finding(severity=severity, code=Code.NO_EFFECT, problem="a problem", effect="an effect", remedy="a remedy")


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
        pytest.param({"headroom": (Headroom("store", 1, 100),)}, {"nearly_used": ()}, id="enough room"),
        pytest.param(
            {"headroom": (Headroom("store", 99, 100),)},
            {"nearly_used": (Headroom("store", 99, 100).warning,)},
            id="little room",
        ),
        pytest.param({"provisioning": Waiting()}, {"provisioning_stalled": False}, id="nobody waits"),
        pytest.param(
            {"provisioning": Waiting(nodes=1, oldest=1.0, time=NOW)}, {"provisioning_stalled": True}, id="nodes wait"
        ),
        pytest.param(
            {
                "links": (
                    Link(LinkKind.GATEWAY, "LON", connected=False),
                    Link(LinkKind.LEAFNODE, "hub", connected=True),
                    Link(LinkKind.LEAFNODE, "far", connected=False, since=NOW, cause="timeout"),
                    Link(LinkKind.MEMBER, "b2", connected=False, since=NOW),
                    Link(LinkKind.MEMBER, "b:1", connected=None),
                )
            },
            {
                "links_down": (
                    "gateway LON is not connected",
                    f"leafnode far is not connected since {SHOWN}: timeout",
                    f"member b2 is not connected since {SHOWN}",
                ),
                "members_down": 1,
            },
            id="links",
        ),
        pytest.param(
            {
                "streams": (
                    Report("choria", "CHORIA_EVENTS", State.FAILED, reason="no room"),
                    Report("choria", "CHORIA_MACHINE", State.PENDING),
                    *(Report("choria", name, State.RETRYING, reason="nobody leads") for name in "ABCD"),
                ),
                "streams_losses": ("9 messages are lost",),
            },
            {
                "streams_degraded": (
                    "stream CHORIA_EVENTS of account choria is failed: no room",
                    "streams A, B, C and 1 more of account choria are retrying: nobody leads",
                    "9 messages are lost",
                )
            },
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
    usual_observations = Observations(engine=True, readings=READ, membership=Membership(("b:1", "c:1"), ("broker2",)))
    found = symptoms(told(), (), replace(usual_observations, **observed), NOW)

    usual = Symptoms(engine=True, peers_configured=2, peers_connected=1)
    assert found == replace(usual, **expected)


@pytest.mark.parametrize(
    ("store", "readings", "words", "problem"),
    [
        (True, READ, "", ""),
        (True, None, "", ""),
        (False, OFF, "", ""),
        (True, OFF, "the disk is full", "the disk is full"),
        (True, OFF, "", "the engine has disabled them, see its log for the reason"),
        (True, replace(READ, streams=None), "", ""),
    ],
)
def test_streams_that_should_be_there(*, store: bool, readings: Readings | None, words: str, problem: str) -> None:
    observed = Observations(engine=True, readings=readings, streams_off=words)

    assert symptoms(told(store=store), (), observed, NOW).streams_problem == problem


def companion(state: str) -> CompanionReport:
    return CompanionReport(kind="adapter", name="x", state=state, sentence=f"adapter x is {state}")


@pytest.mark.parametrize("state", ["waiting", "restarting", "given up"])
def test_companions_that_ail_degrade_a_network_broker_and_fail_a_process_without_one(state: str) -> None:
    both = Observations(engine=True, companions=(companion("running"), companion(state)))
    alone, beside = told(), replace(told(), network_enabled=True)
    reason = f"adapter x is {state}"
    for settings in (alone, beside):
        assert assess(symptoms(settings, (), both, NOW), NOW).reasons == (reason,)
        assert assess(symptoms(settings, (), both, NOW), NOW).condition is Condition.DEGRADED
    only = Observations(engine=True, companions=(companion(state),))
    assert assess(symptoms(alone, (), only, NOW), NOW).condition is Condition.FAILING
    assert assess(symptoms(beside, (), only, NOW), NOW).condition is Condition.DEGRADED
    well = Observations(engine=True, companions=(companion("running"), companion("starting")))
    assert assess(symptoms(alone, (), well, NOW), NOW).condition is Condition.OK


def test_key_processes_that_end_again_and_again() -> None:
    def short(keys: KeyProcessCounts) -> str:
        return symptoms(told(), (), Observations(engine=True, key_processes=keys), NOW).keys_short

    assert not short(KeyProcessCounts(running=1, wanted=2, restarts=1))
    assert short(KeyProcessCounts(running=1, wanted=2, failing=1)).startswith("1 of 2 key processes")


def test_only_findings_that_leave_something_out_count() -> None:
    findings = [finding(severity) for severity in (Severity.SKIP, Severity.WARN, Severity.INFO, Severity.SKIP)]

    assert symptoms(told(), findings, Observations(engine=True), NOW).features_left_out == 2


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


def test_a_ca_may_end_once_nothing_hangs_on_it() -> None:
    named = [
        replace(certificate(Role.CA, end), fingerprint=name)
        for end, name in ((1.0, "used"), (2.0, "idle"), (3.0, "last"))
    ]
    uses = Uses(
        tuple(
            Use(Authority(each.fingerprint, "", each.expires), {"client": 1} if each.fingerprint == "used" else {})
            for each in named
        )
    )
    assert [each.end for each in validities(named, uses)] == [1.0, 3.0]
    assert [each.end for each in validities(named)] == [1.0, 2.0, 3.0]


def test_lists_that_are_out_of_date() -> None:
    lists = (crl_of(ROOT, next_update=NOW), crl_of(CHILD, next_update=NOW + 1))
    network = replace(told().network, revocation=Revocation(crls=lists))
    found = symptoms(replace(told(), network=network), (), Observations(engine=True), NOW)
    assert found.crls_overdue == ("of CN=Root in /crl",)
    health = assess(found, NOW)
    assert health.condition is Condition.DEGRADED
    assert "have the CA write a new one" in health.sentence
