"""What is asked and answered over the control socket: one JSON object a line, each request answered by one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from choria_broker.refusals import Refused

LONGEST_REQUEST = 4096
"""Bytes of a request, its end of line included."""

LONGEST_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer, its end of line included."""

_T = TypeVar("_T")


class StatusRequest(msgspec.Struct, tag_field="request", tag="status", frozen=True):
    """Asks how the broker is."""


class DecisionRequest(msgspec.Struct, tag_field="request", tag="decision", frozen=True):
    """Asks what was decided about a connection, by the engine's number for it."""

    connection: int


Request = StatusRequest | DecisionRequest
"""Everything that can be asked."""


class Answer(msgspec.Struct, Generic[_T], frozen=True, omit_defaults=True):
    """One answer: a result, or the reason there is none.

    Attributes:
        result: what was asked for.
        error: one sentence without its full stop, empty with a result.
    """

    result: _T | None = None
    error: str = ""


class RecentDecision(msgspec.Struct, frozen=True):
    """One of the latest decisions, in short.

    Attributes:
        time: when, Unix seconds.
        connection: the engine's number for the connection; ``explain --connection`` tells more about it.
        address, kind, allowed, rule, account, username: as decided.
    """

    time: float
    connection: int
    address: str
    kind: str
    allowed: bool
    rule: str
    account: str
    username: str


class Status(msgspec.Struct, frozen=True):
    """How a broker is.

    Attributes:
        identity: its name.
        version: of the broker.
        nats: version of the nats-server library in its engine.
        pid: process id.
        source: configuration file.
        since: when it started, Unix seconds.
        ports: ports the engine listens on, by listener.
        accepted, refused: decisions since the start by the rule that made them.
        refused_addresses: addresses refused most recently, the latest first.
        recent: the latest decisions, the latest first.
        unverified_account: account of clients that present nothing, empty when they are refused.
    """

    identity: str
    version: str
    nats: str
    pid: int
    source: str
    since: float
    ports: Mapping[str, int]
    accepted: Mapping[str, int]
    refused: Mapping[str, int]
    refused_addresses: tuple[Refused, ...]
    recent: tuple[RecentDecision, ...] = ()
    unverified_account: str = ""
