from __future__ import annotations

import re

import msgspec
import pytest

from choria_broker.access.session import Busy, BusySession, Departed, Holder, Rates, Session, Traffic
from choria_broker.sessions.documents import Found, Kicked, Refused, Sightings, SlowReceiver, Top
from choria_broker.sessions.words import (
    _HEADINGS,
    SORTS,
    busiest,
    found,
    kicked,
    name_of,
    ordered,
    rates,
    table,
    totals,
)
from support.sessions import session

WEB1 = session(
    7,
    username="shown",
    since=1_700_000_000.0,
    holder=Holder(identity="web1", method="mtls", rule="mtls"),
    traffic=Traffic(rtt=0.0015, pending=10, in_msgs=100, in_bytes=1000, out_msgs=20, out_bytes=30),
)
BOB = session(
    8,
    kind="websocket",
    address="",
    account="apart",
    tls="none",
    since=1_700_000_050.0,
    holder=Holder(caller="up=bob"),
    traffic=Traffic(rtt=0.0, pending=5, in_msgs=900, in_bytes=0, out_msgs=0, out_bytes=0),
)
NOBODY = session(9, kind="leafnode", address="", account="x", tls="none")
LEFT = Departed(
    **{name: getattr(WEB1, name) for name in Session.__struct_fields__},
    number=1,
    until=1_700_000_100.0,
    reason="Stale Connection",
)
REFUSAL = Refused(1_700_000_000.0, 3, "192.0.2.9", "web1", "token-expired", "It expired.", "Renew it.")


def busy(session: Session, **rates: float) -> BusySession:
    return BusySession(**msgspec.structs.asdict(session), rates=Rates(**rates))


def test_the_busiest_are_a_table() -> None:
    lines = list(busiest((busy(WEB1, in_msgs=12.34, out_bytes=2048.0), busy(NOBODY))))
    assert [line.split() for line in lines[1:]] == [
        ["7", "client", "choria", "web1", "192.0.2.1", "1.5", "ms", "10", "B", "12.3", "0.0", "0", "B", "2.0", "KiB"],
        ["9", "leafnode", "x", "-", "-", "-", "-", "0.0", "0.0", "0", "B", "0", "B"],
    ]
    assert len(list(busiest(()))) == 1


def test_what_goes_over_all_and_who_is_slow() -> None:
    top = Top(
        time=0.0,
        broker="b1",
        busy=Busy(seconds=2.0, connections=2, pending=4096, waiting=1, in_msgs=3.0, out_bytes=1024.0),
        sessions=(),
        slow_consumers=4,
        slow=(SlowReceiver("web1", 7, 3, 60.0, "9 bytes waited"),),
        subscriptions=1,
        memory=1 << 20,
    )
    assert list(totals(top)) == [
        "b1, 1970-01-01 00:00:00 UTC: 2 connections, 4.0 KiB wait for 1 of them, 1 subscription, 1.0 MiB of memory",
        "From them 3.0 messages/s, 0 B/s; to them 0.0 messages/s, 1.0 KiB/s; over 2.0 s",
        "Slow consumers since the start: 4; last web1 at 1970-01-01 00:01:00 UTC",
    ]
    quiet = list(totals(Top(time=0.0, broker="b1", busy=Busy(), sessions=())))
    assert quiet[0].startswith("b1, 1970-01-01 00:00:00 UTC: 0 connections, 0 subscriptions")
    assert quiet[2] == "Slow consumers since the start: 0"


def test_rates_are_averages_or_of_a_time() -> None:
    assert rates(WEB1, 100) == Rates(1.0, 10.0, 0.2, 0.3)
    later = msgspec.structs.replace(WEB1, traffic=Traffic(0, 0, 110, 1000, 20, 30))
    assert rates(later, 2, WEB1) == Rates(5.0, 0.0, 0.0, 0.0)
    assert rates(WEB1, 0) == rates(NOBODY, 5) == Rates()


@pytest.mark.parametrize(
    ("sort", "numbers"),
    [
        ("cid", [7, 8, 9]),
        ("name", [9, 8, 7]),
        ("account", [8, 7, 9]),
        ("address", [8, 9, 7]),
        ("since", [9, 7, 8]),
        ("rtt", [7, 8, 9]),
        ("pending", [7, 8, 9]),
        ("rate", [8, 7, 9]),
    ],
)
def test_sorts(sort: str, numbers: list[int]) -> None:
    rows = ordered((NOBODY, BOB, WEB1), 1_700_000_100.0, sort)
    assert [session.connection for session, _ in rows] == numbers
    assert sort in SORTS


def test_rates_of_a_time_need_an_earlier_look() -> None:
    rows = ordered((WEB1, BOB), 1_700_000_100.0, "cid", {7: WEB1}, 2.0)
    assert [rate.in_msgs for _, rate in rows] == [0.0, 18.0]


def test_the_table_has_a_heading_and_a_line_each() -> None:
    heading, first, second = table(ordered((WEB1, BOB), 1_700_000_100.0, "cid"))
    assert re.split("  +", heading) == list(_HEADINGS)
    assert re.split("  +", first)[:6] == ["7", "client", "choria", "web1", "192.0.2.1", "mtls"]
    assert re.split("  +", first)[6:] == ["2023-11-14 22:13:20 UTC", "1.5 ms", "10", "1.0", "0.2"]
    assert re.split("  +", second)[3:6] == ["up=bob", "-", "-"]
    assert len(list(table([]))) == 1


def test_connections_by_token_tell_its_id_issuer_and_end() -> None:
    holder = Holder(caller="up=bob", token_id="t" * 50, signer="ab" * 32, expires=1_700_003_600)
    by_token = msgspec.structs.replace(BOB, holder=holder)
    heading, first, second = table(ordered((WEB1, by_token), 1_700_000_100.0, "cid"))
    assert re.split("  +", heading) == [*_HEADINGS, "TOKEN", "ISSUER", "ENDS"]
    assert re.split("  +", first)[-3:] == ["-", "-", "-"]
    assert re.split("  +", second)[-3:] == ["t" * 36 + "...", "ab" * 8, "2023-11-14 23:13:20 UTC"]


def test_names() -> None:
    assert [name_of(each) for each in (WEB1, BOB, NOBODY)] == ["web1", "up=bob", ""]
    assert name_of(msgspec.structs.replace(WEB1, holder=Holder())) == "shown"


def test_kicks() -> None:
    assert list(kicked(Kicked(dry_run=False, matched=3, ended=2, sessions=(WEB1,)))) == [
        "  client cid 7 web1 from 192.0.2.1 in account choria, mtls, connected since 2023-11-14 22:13:20 UTC",
        "  and 2 more",
        "Ended 2 of 3 sessions; they may reconnect.",
    ]
    assert list(kicked(Kicked(dry_run=True, matched=1, ended=0, sessions=(NOBODY,)))) == [
        "  leafnode cid 9 in account x, connected since 1970-01-01 00:00:01 UTC",
        "Dry run: 1 session would end; they could reconnect.",
    ]


def test_findings() -> None:
    here = Sightings("broker1", 1_700_000_000.0, (WEB1,), (LEFT,), (REFUSAL,), left_out=4)
    quiet = Sightings("broker2", 1_700_000_000.0)
    other = Sightings("broker3", 0.0, partly=True)
    assert list(
        found(Found("web1", whole=False, limit="", brokers=(here, quiet, other), silent=("broker4",), missing=1))
    ) == [
        (
            "broker1: connected, client cid 7 web1 from 192.0.2.1 in account choria, mtls, connected since "
            "2023-11-14 22:13:20 UTC"
        ),
        (
            "broker1: left 2023-11-14 22:15:00 UTC, Stale Connection, after 1m40s, 1000 bytes from it and 30 to it: "
            "client cid 7 web1 from 192.0.2.1 in account "
            "choria, mtls, connected since 2023-11-14 22:13:20 UTC"
        ),
        (
            "broker1: refused 2023-11-14 22:13:20 UTC from 192.0.2.9 with certificate web1, cid 3, token-expired: "
            "It expired. Remedy: Renew it."
        ),
        "broker1: and 4 more",
        "broker2: web1 was not seen since 2023-11-14 22:13:20 UTC",
        "broker3: web1 is not connected",
        "Answered: broker1, broker2, broker3.",
        "No answer from broker4.",
        "Not connected, and so not asked: 1 member of the cluster.",
    ]


def test_who_was_asked_is_said() -> None:
    nowhere = msgspec.structs.replace(REFUSAL, address="", common_name="", remedy="")
    result = Found("x", whole=False, limit="no system user is set", brokers=(Sightings("b", 0.0, refused=(nowhere,)),))
    assert list(found(result)) == [
        "b: refused 2023-11-14 22:13:20 UTC from an unknown address, cid 3, token-expired: It expired.",
        "Only b was asked: no system user is set.",
    ]
