"""The audit trail: what is kept, counted and logged of decisions, and that a flood of refusals stays readable."""

from __future__ import annotations

import asyncio
import logging

import pytest
from msgspec import structs

from choria_broker.access.request import Certificate, ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.session import Holder
from choria_broker.access.verdict import Permissions, Step, SubjectRules, Verdict
from choria_broker.audit.throttle import Bounds
from choria_broker.audit.trail import Audit
from choria_broker.host.succession import Succession
from choria_broker.stats.families import Sample
from choria_broker.stats.measured import Measured
from support.metrics import family, value
from support.trail import Clock, fields

IDENTITY = "broker.example.net"
LIMITS = Permissions(publish=SubjectRules(allow=("a.>",)))


def request(connection: int = 1, address: str = "192.0.2.1") -> ConnectRequest:
    return ConnectRequest(
        kind=ConnectionKind.CLIENT,
        tls=TlsState.MTLS,
        address=address,
        password="hunter2",
        token="eyJ.secret",
        signature="secret-signature",
        certificate=Certificate(common_name="bob", serial="0a1b", fingerprint="ff" * 32),
        connection_id=connection,
    )


def verdict(*, allowed: bool, rule: str = "mtls") -> Verdict:
    return Verdict(
        allowed=allowed,
        rule=rule,
        reason="A reason.",
        method="mtls",
        account="choria" if allowed else "",
        username="bob" if allowed else "",
        permissions=LIMITS if allowed else None,
        remedy="" if allowed else "A remedy.",
        trail=(Step(rule, "accepted" if allowed else "refused: a reason"),),
    )


def test_a_decision_is_kept_with_its_trail_and_permissions(audit: Audit, clock: Clock) -> None:
    audit.record(request(7), verdict(allowed=True), 0.001)
    decision = audit.find(7)

    assert decision is not None
    assert (decision.time, decision.address, decision.common_name) == (clock.now, "192.0.2.1", "bob")
    assert (decision.permissions, decision.trail) == (LIMITS, (Step("mtls", "accepted"),))
    for secret in ("hunter2", "eyJ", "secret-signature"):
        assert secret not in repr(decision)


def test_the_latest_decisions_are_kept(audit: Audit) -> None:
    for connection in range(5):
        audit.record(request(connection), verdict(allowed=True), 0.001)
    audit.record(request(4), verdict(allowed=False), 0.001)

    assert [decision.connection_id for decision in audit.recent] == [3, 4, 4]
    assert audit.find(1) is None
    found = audit.find(4)
    assert found is not None
    assert not found.allowed


def test_decisions_are_counted_by_rule(audit: Audit) -> None:
    for rule in ("a", "b", "b"):
        audit.record(request(), verdict(allowed=False, rule=rule), 0.001)
    audit.record(request(), verdict(allowed=True), 0.001)

    assert audit.decided(allowed=False) == {"a": 1, "b": 2}
    assert audit.decided(allowed=True) == {"mtls": 1}


def test_decisions_are_metrics(clock: Clock) -> None:
    audit = Audit(bounds=Bounds(in_full=1), clock=clock)
    for _ in range(3):
        audit.record(request(), verdict(allowed=False, rule="a"), 0.001)
    audit.engine_refused("timeout", 2, "192.0.2.9")

    at = Measured(identity=IDENTITY, audit=audit.counts)
    assert value(at, "choria_broker_decisions_total", result="refused", rule="internal-error") == 0
    assert value(at, "choria_broker_engine_refusals_total", cause="overflow") == 0
    assert value(at, "choria_broker_decisions_total", result="refused", rule="a") == 3
    assert value(at, "choria_broker_engine_refusals_total", cause="timeout") == 1
    assert value(at, "choria_broker_refusals_unlogged_total") == 2
    assert family(at, "choria_broker_decision_seconds").samples[-1] == Sample(3, {"identity": IDENTITY}, "_count")


def test_a_refusal_is_logged_with_reason_and_remedy(audit: Audit, lines: list[logging.LogRecord]) -> None:
    audit.record(request(7), verdict(allowed=False, rule="a"), 0.001)
    (line,) = lines

    assert (line.levelno, line.getMessage()) == (logging.WARNING, "Connection refused")
    told = fields(line)
    assert (told["cid"], told["remote"], told["rule"], told["cn"]) == (7, "192.0.2.1", "a", "bob")
    assert (told["serial"], told["fingerprint"]) == ("0a1b", "ff" * 32)
    assert (told["reason"], told["remedy"]) == ("A reason.", "A remedy.")


def test_a_flood_of_refusals_is_a_few_lines_and_a_sum(
    audit: Audit, clock: Clock, lines: list[logging.LogRecord]
) -> None:
    for number in range(1000):
        clock.now += 0.01
        audit.record(request(number, "192.0.2.66"), verdict(allowed=False, rule="token-nonce"), 0.001)
    audit.record(request(5000, "192.0.2.1"), verdict(allowed=False, rule="a"), 0.001)
    assert [record.getMessage() for record in lines] == ["Connection refused"] * 3

    clock.now += 60
    audit.engine_refused("timeout", 1, "192.0.2.1")
    summary = fields(lines[3])
    assert lines[3].getMessage() == "Further connections refused"
    assert (summary["remote"], summary["left_out"], summary["rules"]) == ("192.0.2.66", 998, "token-nonce=1000")
    assert summary["within"] == "60s"
    assert len(lines) == 5


def test_accepted_connections_are_all_logged(audit: Audit, lines: list[logging.LogRecord]) -> None:
    for number in range(10):
        audit.record(request(number), verdict(allowed=True), 0.001)

    assert [record.getMessage() for record in lines] == ["Connection accepted"] * 10
    assert fields(lines[0])["identity"] == "bob"


def test_addresses_are_known_with_their_refusals(audit: Audit) -> None:
    for address in ("192.0.2.1", "2001:db8::1", "2001:db8::2"):
        audit.record(request(1, address), verdict(allowed=False, rule="a"), 0.001)

    assert [(each.address, each.refusals) for each in audit.recently_refused(10)] == [
        ("2001:db8::/64", 2),
        ("192.0.2.1", 1),
    ]


async def test_what_is_left_is_summed_up_at_the_end(audit: Audit, lines: list[logging.LogRecord]) -> None:
    async with audit.summing_up():
        for number in range(5):
            audit.record(request(number), verdict(allowed=False, rule="a"), 0.001)
        assert len(lines) == 2
    assert [record.getMessage() for record in lines[2:]] == ["Further connections refused"]


async def test_summaries_come_without_further_refusals(clock: Clock, lines: list[logging.LogRecord]) -> None:
    audit = Audit(bounds=Bounds(window=0.01, in_full=1), clock=clock)
    async with audit.summing_up():
        for number in range(2):
            audit.record(request(number), verdict(allowed=False, rule="a"), 0.001)
        clock.now += 1
        async with asyncio.timeout(10):
            while len(lines) < 2:
                await asyncio.sleep(0.01)
    assert lines[1].getMessage() == "Further connections refused"


def test_recent_decisions_are_bounded_by_their_bytes() -> None:
    audit = Audit()
    subjects = SubjectRules(allow=tuple(f"{number}.{'x' * 100}" for number in range(500)))
    granting = structs.replace(verdict(allowed=True), permissions=Permissions(publish=subjects))
    for number in range(500):
        audit.record(request(number), granting, 0.001)
    assert 10 < len(audit.recent) < 100
    assert audit.find(499) is not None
    assert audit.find(0) is None
    for number in range(2000):
        audit.record(request(number), verdict(allowed=False), 0.001)
    assert len(audit.recent) == 1024


def test_one_decision_is_kept_however_large_it_is() -> None:
    audit = Audit()
    for number in range(3):
        audit.record(request(number), structs.replace(verdict(allowed=True), username="é" * 5_000_000), 0.001)
    assert [decision.connection_id for decision in audit.recent] == [2]


def test_a_long_name_is_cut_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    audit = Audit()
    for name in ("x" * 256, "x" * 257):
        audit.record(request(), structs.replace(verdict(allowed=True), username=name), 0.001)
    assert [record.__dict__["identity"] for record in caplog.records] == ["x" * 256, "x" * 256 + "..."]


def left_open(connection: int) -> tuple[ConnectRequest, Verdict]:
    return request(connection), structs.replace(verdict(allowed=True), proof=b"k" * 32)


def test_what_is_left_open_is_recorded_once_the_connection_is_in(
    audit: Audit, lines: list[logging.LogRecord], clock: Clock
) -> None:
    audit.record(*left_open(7), 0.001)
    audit.record(*left_open(8), 0.001)
    assert (list(audit.recent), dict(audit.decided(allowed=True)), lines) == ([], {}, [])
    assert audit.counts.latency.total == 0
    found = audit.find(7)
    assert found is not None  # Its permissions are known, should a line of the engine tell of it first.
    clock.now += 1

    assert [each.connection_id for each in audit.admitted([8, 7, 99])] == [8, 7]
    assert [each.connection_id for each in audit.recent] == [8, 7]
    assert dict(audit.decided(allowed=True)) == {"mtls": 2}
    assert [record.getMessage() for record in lines] == ["Connection accepted"] * 2
    assert audit.admitted([7, 8]) == []


def test_what_is_left_open_and_not_met_is_never_recorded(audit: Audit) -> None:
    audit.record(*left_open(7), 0.001)
    audit.record(request(7), verdict(allowed=False, rule="token-signature"), 0.001)  # asked once more
    audit.record(*left_open(8), 0.001)
    audit.engine_refused("registration", 8, "192.0.2.1")

    assert audit.admitted([7, 8]) == []
    assert [(each.connection_id, each.allowed) for each in audit.recent] == [(7, False)]
    assert not audit.decided(allowed=True)


def test_a_new_policy_has_the_last_word_on_what_is_left_open(audit: Audit) -> None:
    audit.record(*left_open(7), 0.001)
    audit.record(request(7), verdict(allowed=True, rule="client-token"), 0.001)

    assert audit.admitted([7]) == []
    assert dict(audit.decided(allowed=True)) == {"client-token": 1}


def test_what_waits_for_the_engine_is_bounded(audit: Audit) -> None:
    for connection in range(20_000):
        audit.record(*left_open(connection), 0.001)
    assert audit.admitted([0]) == []
    assert len(audit.admitted(range(20_000))) == 16_384


def test_the_next_program_goes_on_with_what_waits_for_the_engine(audit: Audit) -> None:
    audit.record(*left_open(7), 0.001)
    succession = Succession()
    audit.remember(succession)
    following = Audit()
    following.recall(Succession.unpacked(succession.packed()))
    assert [each.connection_id for each in following.admitted([7])] == [7]


@pytest.mark.parametrize(
    ("expires", "written"),
    [
        (1_795_983_742, "2026-11-29T20:22:22+00:00"),
        (1_795_996_799, "2026-11-29T23:59:59+00:00"),
        (1_795_996_800, "2026-11-30T00:00:00+00:00"),
        (951_782_400, "2000-02-29T00:00:00+00:00"),
        (0, "1970-01-01T00:00:00+00:00"),
        (-1, "1969-12-31T23:59:59+00:00"),
        (253_402_300_799, "9999-12-31T23:59:59+00:00"),
        (10**30, "9999-12-31T23:59:59+00:00"),  # Of an older program's time.
    ],
)
def test_the_end_of_a_token_is_logged(audit: Audit, lines: list[logging.LogRecord], expires: int, written: str) -> None:
    holder = Holder(method="token", rule="client-token", signer="ab" * 32, expires=expires)
    audit.record(request(), structs.replace(verdict(allowed=True), holder=holder), 0.001)
    assert fields(lines[0])["expires"] == written
