"""The checks for monitoring systems: what each kind makes of a broker's status."""

from __future__ import annotations

import msgspec
import pytest

from choria_broker.stats.headroom import Headroom
from choria_broker.status import check_kinds
from choria_broker.status.check_kinds import ServerLimits
from choria_broker.status.checks import Level, Limits
from choria_broker.status.document import (
    AuthoritiesReport,
    AuthorityReport,
    CertificateReport,
    EngineReport,
    HealthReport,
)
from choria_broker.status.drains import DrainReport
from support.checked import STATUS, STREAMS, numbers, told

DAY = 86400.0


@pytest.mark.parametrize(
    ("condition", "level"),
    [
        ("ok", Level.OK),
        ("degraded", Level.WARNING),
        ("draining", Level.WARNING),
        ("failing", Level.CRITICAL),
    ],
)
def test_health_of_the_broker(condition: str, level: Level) -> None:
    reasons = () if condition == "ok" else ("one", "two")
    status = msgspec.structs.replace(STATUS, health=HealthReport(condition, "A sentence.", reasons))
    check = check_kinds.broker(status)
    assert check.level is level
    assert check.words(level) == (reasons or ("A sentence.",))
    assert numbers(check) == {"uptime": 3600.0, "pending_restart": 0, "left_out": 0}


def test_a_broker_that_lets_connections_in() -> None:
    check = check_kinds.connection(STATUS, 0.01, Limits(0.5, 1.0))
    assert check.level is Level.OK
    assert numbers(check) == {"connect_time": 0.01, "connections": 50}
    assert check_kinds.connection(STATUS, 0.7, Limits(0.5, 1.0)).level is Level.WARNING
    assert check_kinds.connection(STATUS, 1.0, Limits(0.5, 1.0)).level is Level.CRITICAL


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": EngineReport(2, 1.0, False)}, {"CRITICAL": ("the engine does not answer",)}),
        ({"engine": EngineReport()}, {"CRITICAL": ("the engine does not answer",)}),
        ({"ports": {}}, {"CRITICAL": ("no port for clients is open",)}),
        (
            {"drain": DrainReport(state="draining")},
            {"WARNING": ("the broker is draining and accepts no new connections",)},
        ),
        (
            {"headroom": (Headroom("connections", 80, 100),)},
            {"WARNING": ("80 of at most 100 connections are in use",)},
        ),
        (
            {"headroom": (Headroom("connections", 100, 100),)},
            {"CRITICAL": ("100 of at most 100 connections are in use",)},
        ),
        ({"headroom": ()}, {}),
    ],
)
def test_why_connections_may_not_get_in(changes: dict[str, object], words: dict[str, tuple[str, ...]]) -> None:
    assert told(check_kinds.connection(msgspec.structs.replace(STATUS, **changes), 0.01, Limits(0.5, 1.0))) == words


def test_a_server_as_expected() -> None:
    limits = ServerLimits(
        "b1", Limits(90, 95), Limits(10, 20), Limits(2 << 20, 3 << 20), Limits(600, 60), authentication=True
    )
    check = check_kinds.server(STATUS, limits)
    assert check.level is Level.OK
    assert check.name == "b1"
    assert numbers(check) == {"uptime": 3600.0, "mem": 1 << 20, "connections": 50, "subscriptions": 7}
    assert "Up 1h0m0s" in check.words(Level.OK)
    assert check_kinds.server(STREAMS, ServerLimits(streams=True)).words(Level.OK) == ("JetStream enabled",)


@pytest.mark.parametrize(
    ("limits", "level", "words"),
    [
        (ServerLimits("b2"), Level.CRITICAL, "result from wrong server b1"),
        (ServerLimits(streams=True), Level.CRITICAL, "JetStream not enabled"),
        (ServerLimits(connections=Limits(100, 60)), Level.CRITICAL, "Connections 50"),
        (ServerLimits(connections=Limits(40, 60)), Level.WARNING, "Connections 50"),
        (ServerLimits(memory=Limits(None, 1 << 20)), Level.CRITICAL, "Memory 1048576"),
        (ServerLimits(uptime=Limits(7200, 60)), Level.WARNING, "Up 1h0m0s"),
    ],
)
def test_a_server_that_is_not(limits: ServerLimits, level: Level, words: str) -> None:
    assert told(check_kinds.server(STATUS, limits)) == {level.value: (words,)}


def test_a_server_that_lets_anybody_in_or_was_not_measured() -> None:
    status = msgspec.structs.replace(STATUS, unverified_account="choria", headroom=())
    assert told(check_kinds.server(status, ServerLimits(connections=Limits(1, 2), authentication=True))) == {
        "CRITICAL": ("Authentication not required: clients that present nothing are accepted into account choria",),
        "UNKNOWN": ("Connections not known yet; ask again in ten seconds",),
    }


def certificate(role: str, days: float, subject: str = "CN=x") -> CertificateReport:
    return CertificateReport(role, f"/{role}.pem", subject, days * DAY, days)


def test_certificates() -> None:
    status = msgspec.structs.replace(STATUS, certificates=(certificate("broker", 30), certificate("ca", 300)))
    check = check_kinds.credential(status, Limits(14 * DAY, 3 * DAY))
    assert check.level is Level.OK
    assert check.words(Level.OK) == ("2 certificates, the first of /broker.pem, days left: 30",)
    assert numbers(check) == {"expiry": 30 * DAY}
    assert told(check_kinds.credential(STATUS, Limits())) == {"UNKNOWN": ("no certificate was read",)}


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (13.5, Level.WARNING, "expires in 13.5 days"),
        (2, Level.CRITICAL, "expires in 2 days"),
        (-1, Level.CRITICAL, "has expired"),
    ],
)
def test_a_certificate_that_ends(days: float, level: Level, words: str) -> None:
    status = msgspec.structs.replace(STATUS, certificates=(certificate("broker", days),))
    expected = {level.value: (f"broker certificate in /broker.pem {words}",)}
    assert told(check_kinds.credential(status, Limits(14 * DAY, 3 * DAY))) == expected


def test_a_ca_that_is_replaced_may_end_once_nothing_hangs_on_it() -> None:
    old, new = certificate("ca", -1, "CN=old"), certificate("ca", 300, "CN=new")
    counted = AuthorityReport("CN=old", "ab", -DAY, -1, (), {"client": 1})
    status = msgspec.structs.replace(STATUS, certificates=(old, new), authorities=AuthoritiesReport((counted,)))
    assert check_kinds.credential(status, Limits()).level is Level.CRITICAL
    free = msgspec.structs.replace(counted, connections={})
    status = msgspec.structs.replace(status, authorities=AuthoritiesReport((free,)))
    assert check_kinds.credential(status, Limits()).level is Level.OK


@pytest.mark.parametrize(
    ("expires", "required", "level", "words"),
    [
        (None, True, Level.CRITICAL, "a.creds never expires"),
        (None, False, Level.OK, "a.creds never expires"),
        (99.0, True, Level.CRITICAL, "a.creds has expired"),
        (105.0, True, Level.CRITICAL, "a.creds expires in 5.00s"),
        (110.0, True, Level.WARNING, "a.creds expires in 10.00s"),
        (200.0, True, Level.OK, "a.creds expires in 1m40s"),
    ],
)
def test_a_credentials_file(expires: float | None, required: bool, level: Level, words: str) -> None:
    check = check_kinds.credentials_file("a.creds", expires, 100.0, Limits(10, 5), required=required)
    assert check.level is level
    assert check.words(level) == (words,)


def test_a_broker_that_cannot_be_asked() -> None:
    assert check_kinds.unavailable("server", "server", "no broker runs", down=True).level is Level.CRITICAL
    assert check_kinds.unavailable("server", "server", "another version", down=False).level is Level.UNKNOWN
