"""The frames of the gate: what the broker and its engine tell each other, and how a verdict is told.

The reference manual has the protocol itself; ``codec`` makes bytes of frames, and frames of bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated

import msgspec

from choria_broker.access.request import ConnectRequest
from choria_broker.access.session import Again, Busy, Holder
from choria_broker.access.verdict import Permissions, Reach, Verdict
from choria_broker.engine import events
from choria_broker.engine.authorities import Count
from choria_broker.security.conditions import Condition

PROTOCOL = 9
"""Version of the gate protocol this broker speaks."""

Whole = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""Numbers that both sides can hold: of questions, and moments in milliseconds."""


class Authentication(enum.Enum):
    """Who authenticates the engine's clients."""

    QUESTIONS = "questions"
    """The broker, which is asked about each."""
    OPERATOR = "operator"
    """The engine, by the tokens of users, down from the operator in its configuration file."""


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """The broker's first frame."""

    generation: int
    optional_client_certificates: bool
    bridge_secret: str
    answer_within_ms: int
    max_questions: int
    max_unauthenticated: int
    max_handshakes: int = 0
    authentication: Authentication = Authentication.QUESTIONS
    mappings: tuple[tuple[str, str], ...] = ()
    websocket_origins: tuple[str, ...] = ()
    websocket_hosts: tuple[str, ...] = ()
    cluster_members: int = 0
    cluster_hosts: tuple[str, ...] = ()
    revoked: str = ""
    keys: Mapping[str, str] = {}
    protocol: int = PROTOCOL


class Generation(msgspec.Struct, tag="generation", frozen=True):
    """Verdicts of an older policy than this are refusals from now on."""

    generation: int


class Reload(msgspec.Struct, tag="reload", frozen=True):
    """The engine is to read its configuration file again, and what the file cannot say.

    Attributes:
        id: number of the call.
        hello: takes the place of the first frame.
        deadline: Unix milliseconds from which on nobody waits for it any more, and it is not to happen; 0 for none.
    """

    id: int
    hello: Hello
    deadline: int = 0


class AskAuthorities(msgspec.Struct, tag="authorities", frozen=True):
    """The engine is to count its connections by the CAs that their certificates are of."""

    id: int


class DrainOrder(msgspec.Struct, frozen=True):
    """A drain, spread over a time in milliseconds, or none any more."""

    over_ms: int = 0
    off: bool = False
    serial: int = 0


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """The engine is to move its connections and leaders elsewhere, or to take that back."""

    id: int
    order: DrainOrder


class Revoked(msgspec.Struct, tag="revoked", frozen=True):
    """The engine is to read anew the file that says which certificates are revoked; ``deadline`` as of ``Reload``."""

    id: int
    revoked: str
    deadline: int = 0


class Sessions(msgspec.Struct, tag="sessions", frozen=True):
    """The engine is to list sessions, as many as fit into a frame.

    Attributes:
        ended: those that have ended; otherwise those that are connected.
        after: place of the last one that is known already, 0 to begin.
        traffic: with what goes over each of those that are connected.
        busiest: only so many of those that are connected, over which most goes; None for all. An engine that does not
            know this lists all.
        by: what is most: ``rate``, ``bytes``, ``in``, ``out`` or ``pending``; empty for all.
    """

    id: int
    ended: bool = False
    after: int = 0
    traffic: bool = False
    busiest: int | None = None
    by: str = ""


class End(msgspec.Struct, tag="end", frozen=True):
    """The engine is to end sessions at once, for a reason that it tells in its log."""

    id: int
    connections: tuple[int, ...]
    reason: str


class EngineHello(msgspec.Struct, tag="hello", frozen=True):
    """The engine's first frame."""

    protocol: int
    engine: str
    nats: str


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """Every listener is open."""

    ports: dict[str, int]


class Question(msgspec.Struct, tag="question", frozen=True):
    """One connection asks to be let in."""

    id: Whole
    deadline: Whole
    request: ConnectRequest


class Refusal(events.Refusal, tag="refusal", frozen=True):
    """The engine refused a connection by its own decision.

    Attributes:
        id: of the question that it had asked, 0 without one.
    """

    id: int = 0


class Admitted(msgspec.Struct, tag="admitted", frozen=True):
    """Connections that were let in by verdicts that had left something open.

    Attributes:
        connections: the engine's numbers of them.
        again: further ones, which were let in by verdicts about others.
    """

    connections: tuple[int, ...] = ()
    again: tuple[Again, ...] = ()


class Losses(msgspec.Struct, tag="losses", frozen=True):
    """What the engine could not tell since its start, because the broker did not take it in time.

    Attributes:
        questions: questions whose time was over before they were sent.
        reports: refusals of its own that it did not report.
        log_lines: lines missing in its log.
    """

    questions: int = 0
    reports: int = 0
    log_lines: int = 0


class Crowd(msgspec.Struct, tag="crowd", frozen=True):
    """How many connections each listener has turned away since the engine's start, for want of places.

    They had not logged in.
    """

    client: int = 0
    websocket: int = 0
    leafnode: int = 0
    cluster: int = 0
    gateway: int = 0


class Signings(events.Signings, tag="signings", frozen=True):
    """What came of the signatures that the engine asked key processes for, since its start."""


class Waiting(events.Queue, tag="waiting", frozen=True):
    """What comes of clients that wait for their turn."""


class Reloaded(msgspec.Struct, tag="reloaded", frozen=True):
    """What came of a reload; without a problem, what the file says is in force."""

    id: int
    problem: str = ""


class Authorities(msgspec.Struct, tag="authorities", frozen=True):
    """The connections that have logged in and the links that stand, by kind and CA."""

    id: int
    counts: tuple[Count, ...] = ()


class Drained(msgspec.Struct, tag="drained", frozen=True):
    """What came of a drain; without a problem, it has begun or is taken back."""

    id: int
    problem: str = ""


class Moves(events.Moving, tag="moving", frozen=True):
    """How far a drain is."""


class Listed(msgspec.Struct, tag="listed", frozen=True):
    """One page of sessions, in order.

    Attributes:
        sessions: what ``listed_sessions`` reads: who asked knows what is in it.
        more: there are more after them.
        busy: what goes over all of them, when the busiest were asked for; None otherwise.
    """

    id: int
    sessions: msgspec.Raw
    more: bool
    busy: Busy | None = None


class Ended(msgspec.Struct, tag="ended", frozen=True):
    """How many sessions were ended of those that were named; the others were not there any more."""

    id: int
    sessions: int


class WireCondition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition; without a message it is about the token of the question, but for the signature at its end."""

    key: bytes
    signature: bytes
    message: bytes | None = None


class WireVerdict(msgspec.Struct, tag="verdict", frozen=True):
    """The answer to one question."""

    id: int
    generation: int
    allow: bool
    account: str = ""
    username: str = ""
    permissions: Permissions | None = None
    max_subscriptions: int = 0
    holder: Holder | None = None
    conditions: tuple[WireCondition, ...] = ()
    proof: bytes = b""
    reach: Reach | None = None


BrokerFrame = Hello | WireVerdict | Generation | Reload | AskAuthorities | Drain | Revoked | Sessions | End
"""Frames the broker sends."""

_Report = Ready | Question | Admitted | Refusal | Losses | Crowd | Waiting | Moves | Signings
_Answer = Reloaded | Authorities | Drained | Listed | Ended
EngineFrame = EngineHello | _Report | _Answer
"""Frames the engine sends."""


def wire_verdict(verdict: Verdict, *, question_id: int, generation: int, token: str = "") -> WireVerdict:
    """Turn a verdict into its wire form; a refusal carries nothing but itself.

    Args:
        verdict: the verdict.
        question_id: of the question.
        generation: of the policy.
        token: of the question, which need not be sent back.
    """
    if not verdict.allowed:
        return WireVerdict(id=question_id, generation=generation, allow=False)
    return WireVerdict(
        id=question_id,
        generation=generation,
        allow=True,
        account=verdict.account,
        username=verdict.username,
        permissions=verdict.permissions,
        max_subscriptions=verdict.max_subscriptions,
        holder=verdict.holder or Holder(),
        conditions=_wire_conditions(verdict.conditions, token) if verdict.conditions else (),
        proof=verdict.proof,
        reach=verdict.reach,
    )


def _wire_conditions(conditions: tuple[Condition, ...], token: str) -> tuple[WireCondition, ...]:
    signed = token.rpartition(".")[0].encode("utf-8", "surrogatepass") or None
    return tuple(
        WireCondition(each.key, each.signature, None if each.message == signed else each.message) for each in conditions
    )
