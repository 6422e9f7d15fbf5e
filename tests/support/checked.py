"""Statuses to be checked, without streams and with, and what a check says in short."""

from __future__ import annotations

import msgspec

from choria_broker.stats.headroom import Headroom
from choria_broker.status.checks import Check, Level
from choria_broker.status.document import (
    EngineReport,
    HealthReport,
    Peers,
    StoreReport,
)
from choria_broker.status.streams_now import CopyReport, StandingReport, StreamsNow
from choria_broker.streams.report import Report, State
from support.statuses import STATUS as BARE

STATUS = msgspec.structs.replace(
    BARE,
    health=HealthReport("ok", "All is well."),
    source="/etc/choria/broker.conf",
    engine=EngineReport(2, 3600.0, True),
    headroom=(Headroom("connections", 50, 100), Headroom("subscriptions", 7, None), Headroom("memory", 1 << 20, None)),
)
COPIES = (CopyReport("b2", "in-step", 0, 0.5), CopyReport("b3", "behind", 300, 8.0))
META = StandingReport("", "", True, "", "b1", COPIES)
EVENTS = StandingReport("choria", "CHORIA_EVENTS", True, "", "b1", COPIES)
BUCKET = StandingReport("choria", "KV_CHORIA_LEADER_ELECTION", True, "", "b2")
STREAMS = msgspec.structs.replace(
    STATUS,
    streams=(
        Report("choria", "CHORIA_EVENTS", State.OK, "unchanged", replicas=3),
        Report("choria", "KV_CHORIA_LEADER_ELECTION", State.OK, "unchanged", replicas=3),
    ),
    streams_now=StreamsNow(META, (EVENTS, BUCKET), others=2),
    store=StoreReport(True, 4, 1, 10, 60, 100, 500, "/var/lib/streams"),
    peers=Peers(("b2:5222", "b3:5222"), ("b2", "b3")),
)


def told(check: Check) -> dict[str, tuple[str, ...]]:
    return {level.value: check.words(level) for level in Level if check.words(level) and level is not Level.OK}


def numbers(check: Check) -> dict[str, float]:
    return {each.name: each.value for each in check.measures}
