"""The first page: how the broker is in a sentence, why, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from choria_broker.stats.headroom import Headroom
from choria_broker.stats.history import Drawn
from choria_broker.status.changes import HealthChange
from choria_broker.status.document import EngineReport, LoginsReport, Status
from choria_broker.status.drains import OFF
from choria_broker.status.lines import lines
from choria_broker.status.reasons import Reason
from choria_broker.ui.graphs import Graph, graphs
from choria_broker.ui.page import Asked, Group, Knowledge, Page
from choria_broker.wording import plain

_PAGES: Mapping[Reason, str] = {
    Reason.STREAMS_OFF: "streams",
    Reason.STREAM_DEGRADED: "streams",
    Reason.CERTIFICATE_EXPIRED: "certificates",
    Reason.CERTIFICATE_EXPIRES: "certificates",
    Reason.CRL_OVERDUE: "certificates",
    Reason.LINK_DOWN: "links",
    Reason.MEMBERS_MISSING: "links",
    Reason.COMPANION_AILING: "companions",
    Reason.PROVISIONING_STALLED: "provisioning",
    Reason.FEATURES_LEFT_OUT: "settings",
    Reason.RELOAD_REFUSED: "settings",
    Reason.FILE_NOT_USED: "settings",
    Reason.NEARLY_USED: "connections",
}
"""Pages of the dashboard that show more about a kind of reason."""


class Why(msgspec.Struct, frozen=True):
    """One reason.

    Attributes:
        text: what it is.
        kind: its stable name, empty when it is of a kind that is not known here.
        remedy: what to do.
        page: of the dashboard, where more is; empty where there is none.
    """

    text: str
    kind: str = ""
    remedy: str = ""
    page: str = ""


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """How the broker is.

    Attributes:
        condition: ``ok``, ``degraded``, ``draining`` or ``failing``.
        sentence: the same for people.
        reasons: everything that needs attention, the worst first.
        since: since when it is so, Unix seconds; 0 in the first moments.
        changes: the latest changes, the latest first.
        drain: how far a drain is, in a sentence without its end; empty without one.
        running: since when the broker runs, Unix seconds.
        pid: of its process.
        version, nats: of the broker and of the library in its engine.
        engine: the engine's process.
        ports: that the engine listens on, by listener.
        accepted, refused: decisions since the start, altogether.
        waiting: clients that wait for their login.
        headroom: what is limited, and how much of it is used.
        told: everything, line by line, as the command tells it.
        graphs: the last hour; empty before anything was read.
    """

    condition: str
    sentence: str
    reasons: tuple[Why, ...]
    since: float
    changes: tuple[HealthChange, ...]
    drain: str
    running: float
    pid: int
    version: str
    nats: str
    engine: EngineReport
    ports: Mapping[str, int]
    accepted: int
    refused: int
    waiting: LoginsReport
    headroom: tuple[Headroom, ...]
    told: tuple[str, ...]
    graphs: tuple[Graph, ...]


def view(facts: tuple[Status, Drawn], _asked: Asked) -> HealthView:
    """Make the page."""
    found, drawn = facts
    kinds = (*found.health.kinds, *[""] * len(found.health.reasons))
    return HealthView(
        condition=found.health.condition,
        sentence=found.health.sentence,
        reasons=tuple(_why(text, kind) for text, kind in zip(found.health.reasons, kinds, strict=False)),
        since=found.health_since,
        changes=found.health_changes,
        drain="" if found.drain.state == OFF else found.drain.sentence,
        running=found.since,
        pid=found.pid,
        version=found.version,
        nats=found.nats,
        engine=found.engine,
        ports={name: port for name, port in found.ports.items() if port},
        accepted=sum(found.accepted.values()),
        refused=sum(found.refused.values()) + sum(found.engine_refused.values()),
        waiting=found.logins,
        headroom=found.headroom,
        told=tuple(map(plain, lines(found))),
        graphs=graphs(drawn) if drawn.times else (),
    )


def _why(text: str, kind: str) -> Why:
    known = next((each for each in Reason if each == kind), None)
    return Why(text, known, known.remedy, _PAGES.get(known, "")) if known else Why(text)


def document(found: HealthView) -> Mapping[str, object]:
    """Tell programs everything but the drawings and the lines for people."""
    left_out = {"graphs", "told"}
    return {name: getattr(found, name) for name in HealthView.__struct_fields__ if name not in left_out}


async def _facts(known: Knowledge, _asked: Asked) -> tuple[Status, Drawn]:
    return known.status(), known.history()


PAGE = Page(name="health", title="Health", group=Group.NOW, place=10, facts=_facts, view=view, document=document)
