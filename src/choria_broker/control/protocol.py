"""What is asked and answered over the control socket: one JSON object a line, each request answered by one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from choria_broker.control.report import (
    CertificateReport,
    EngineReport,
    HealthReport,
    LeftOut,
    Peers,
    Remote,
    StoreReport,
)
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


class StreamStatus(msgspec.Struct, frozen=True):
    """One standard stream in one account.

    Attributes:
        account, stream: which one.
        state: ``pending``, ``ok``, ``retrying``, ``failed`` or ``not-managed``.
        outcome: for ``ok``: ``created``, ``updated`` or ``unchanged``; otherwise empty.
        reason: for ``retrying`` and ``failed``: why; otherwise empty.
        replicas: copies it is to have, 0 when it is not managed.
    """

    account: str
    stream: str
    state: str
    outcome: str
    reason: str
    replicas: int


class StreamTrouble(msgspec.Struct, frozen=True):
    """Something that is wrong with the store of Choria Streams.

    Attributes:
        trouble: class of trouble, as metrics name it.
        account, stream: which stream, empty when it is not known or all are concerned.
        words: what is wrong.
        remedy: what to do.
        times: how often the engine told of it.
        last: when last, Unix seconds.
    """

    trouble: str
    account: str
    stream: str
    words: str
    remedy: str
    times: int
    last: float


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker is, as everybody may know who may read its statistics.

    Attributes:
        identity: its name.
        health: how it is altogether.
        version: of the broker.
        nats: version of the nats-server library in its engine.
        pid: process id.
        source: configuration file.
        since: when it started, Unix seconds.
        ports: ports the engine listens on, by listener.
        accepted, refused: decisions since the start by the rule that made them.
        unverified_account: account of clients that present nothing, empty when they are refused.
        operator: in operator mode the operator whose accounts decide on connections in place of this broker.
        accounts: names of the operator's accounts.
        streams: the standard streams; empty when Choria Streams are off.
        stream_troubles: what is wrong with their store.
        store: what they hold; None while they or statistics are off.
        engine: the engine's process.
        peers: the other members of the cluster.
        remotes: gateways and leafnode remotes of the settings.
        certificates: those it works with.
        pending_restart: settings that were changed and come into force at the next start.
        left_out: features that the configuration keeps out.
    """

    identity: str
    health: HealthReport = HealthReport()
    version: str
    nats: str
    pid: int
    source: str
    since: float
    ports: Mapping[str, int]
    accepted: Mapping[str, int]
    refused: Mapping[str, int]
    unverified_account: str = ""
    operator: str = ""
    accounts: tuple[str, ...] = ()
    streams: tuple[StreamStatus, ...] = ()
    stream_troubles: tuple[StreamTrouble, ...] = ()
    store: StoreReport | None = None
    engine: EngineReport = EngineReport()
    peers: Peers = Peers()
    remotes: tuple[Remote, ...] = ()
    certificates: tuple[CertificateReport, ...] = ()
    pending_restart: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


class Status(Overview, frozen=True, kw_only=True):
    """How a broker is, with what only its own user and root may know: who was at the door.

    Attributes:
        refused_addresses: addresses refused most recently, the latest first.
        recent: the latest decisions, the latest first.
    """

    refused_addresses: tuple[Refused, ...]
    recent: tuple[RecentDecision, ...] = ()
