"""How a broker is, line by line."""

from __future__ import annotations

import msgspec
import pytest

from choria_broker.audit.denials import Noted
from choria_broker.audit.throttle import Refused
from choria_broker.stats.headroom import Headroom
from choria_broker.status.changes import HealthChange
from choria_broker.status.document import (
    EngineReport,
    HealthReport,
    KeyProcessesReport,
    LeftOut,
    LoginsReport,
    Peers,
    RecentDecision,
    Status,
)
from choria_broker.status.lines import lines
from choria_broker.status.streams_now import StreamsNow
from support.dashboard import NOW
from support.scene_status import status
from support.statuses import STATUS

EVERYTHING: Status = msgspec.structs.replace(
    status(),
    health=HealthReport("degraded", "It needs attention.", ("one", "two"), ("link-down", "link-down")),
    health_changes=(HealthChange(NOW, "ok", "degraded", ("one",), lasted=60.0),),
    engine=EngineReport(8, 61.0, answers=True),
    key_processes=KeyProcessesReport(2, 2, 1, 90, 3),
    logins=LoginsReport(4, 16, 100, 2),
    accepted={"mtls": 3},
    refused={"token-expired": 2},
    engine_refused={"timeout": 1},
    unverified_account="EDGE",
    refused_addresses=(Refused("192.0.2.9", 2, NOW, {"token-expired": 2}), Refused("192.0.2.8", 1, NOW, {"mtls": 1})),
    denied=(Noted("publish", "up=bob", "a.b", "", 3, 2, NOW), Noted("slow", "web", "", "9 bytes waited", 3, 1, NOW)),
    headroom=(Headroom("memory", 5, 10), Headroom("subscriptions", 5, None)),
    peers=Peers(("broker2.example.net:5222",), ("broker2.example.net",)),
    left_out=(LeftOut("x", "k", "broker.conf:3", "no certificate", "Set one."),),
    recent=(
        RecentDecision(NOW, 3, "192.0.2.9", "client", True, "mtls", "choria", "web", "web.example.net"),
        RecentDecision(NOW, 4, "", "leafnode", False, "tls-required", "", "", serial="4f"),
    ),
)


def text(**fields: object) -> str:
    return "\n".join(lines(msgspec.structs.replace(EVERYTHING, **fields)))


@pytest.mark.parametrize(
    "part",
    [
        "Health: It needs attention.\n  one\n  two\nMore: ",
        "after 1m0s of ok",
        "Drain over 5m0s, by root (uid 0)",
        "Engine: process 8, running for 1m1s",
        "Key processes: 2 of 2 run, 1 restarted; 90 signatures, 3 handshakes failed",
        "Clients waiting to log in: 4; handled at the same time: 16",
        "Refused: token-expired 2; by nats-server 1 (timeout 1)",
        "192.0.2.9: 2 times",
        "192.0.2.8: once",
        "up=bob, cid 3: may not publish to a.b: 2 times",
        "Unverified clients: accepted into account EDGE",
        "Memory used: 5 of 10 bytes",
        "Subscriptions used: 5\n",
        "Peers: 1 of 1 connected: broker2.example.net",
        "Gateway SYDNEY: at broker1.sydney.example.net:7222, not connected since",
        "timeout: dial tcp",
        "Leafnode headquarters: at hub.example.net:6222, connection state not known yet",
        "from 203.0.113.77, connected",
        "Latest problems of links:",
        "Next certificate to expire: /etc/choria/ssl/leaf.pem",
        "Restart needed, /etc/choria/broker.conf:12",
        "Changed and not in use since",
        "Not in use, broker.conf:3: no certificate. Remedy: Set one.",
        "Streams of choria: CHORIA_EVENTS unchanged",
        "insufficient storage resources",
        "Streams of the cluster: leader broker2.example.net",
        "Streams problem, 3 times",
        "71.0 GiB left on its disk",
        "(ingest nats://127.0.0.1:4222, stream nats://streams.example.net:4222)",
        "lost 3, restarts 1",
        "cid 3 web with certificate web.example.net from 192.0.2.9: into choria, mtls",
        "cid 4 with certificate serial 4f from leafnode: refused, tls-required",
    ],
)
def test_it_tells(part: str) -> None:
    assert part in f"{text()}\n"


def test_a_broker_of_which_there_is_little_to_say() -> None:
    told = "\n".join(lines(STATUS))
    assert "Refused: none" in told
    assert "Accepted: none" in told
    assert "Peers" not in told


def test_what_is_only_told_at_times() -> None:
    operated = text(operator="OPS", accounts=tuple(f"A{number}" for number in range(21)), refused={}, engine_refused={})
    assert "Accounts: A0, A1" in operated
    assert "and 1 more" in operated
    assert "Refused: none" not in operated
    assert "Accounts: none" in text(operator="OPS", accounts=())
    early = text(peers=Peers(("b2:5222",)), nats="", ports={}, links=(), streams_now=StreamsNow(others=2))
    assert "Peers: b2:5222, connection state not known yet" in early
    assert ", no network broker" in early
    assert "Ports: none open yet" in early
    assert "Latest troubles" not in early
    assert "Other streams: 2, all healthy" in early
    others = text(streams_now=StreamsNow(others=2, others_not_writable=1, worst="x"), peers=Peers(("b2:5222",), ()))
    assert "Other streams: 2, 1 not writable: x" in others
    assert "Peers: 0 of 1 connected\n" in others
