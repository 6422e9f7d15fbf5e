"""What is told of sessions, to commands and between members of a cluster."""

from __future__ import annotations

import msgspec

from choria_broker.access.session import Busy, BusySession, Departed, Session


class Page(msgspec.Struct, frozen=True):
    """Some of the connections that were asked for, in the order of the engine's numbers.

    Attributes:
        time: when they were listed, Unix seconds.
        sessions: the connections.
        more: there are more, with larger numbers.
    """

    time: float
    sessions: tuple[Session, ...]
    more: bool = False


class SlowReceiver(msgspec.Struct, frozen=True):
    """Somebody who did not take messages in time.

    Attributes:
        who: identity, or the address where that is not known.
        connection: the latest one, by the engine's number.
        times: how often since the start.
        last: when last, Unix seconds.
        words: what waited for it.
    """

    who: str
    connection: int
    times: int
    last: float
    words: str


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """Over which connections most goes.

    Attributes:
        time: when that was looked at, Unix seconds.
        broker: identity of the broker.
        busy: what goes over all of them together.
        sessions: those over which most goes, in that order.
        slow_consumers: how often a receiver was too slow since the engine's start, of all kinds of connections.
        slow: who was, the latest first.
        subscriptions: of all accounts.
        memory: bytes of the engine's process.
    """

    time: float
    broker: str
    busy: Busy
    sessions: tuple[BusySession, ...]
    slow_consumers: int = 0
    slow: tuple[SlowReceiver, ...] = ()
    subscriptions: int = 0
    memory: int = 0


class Kicked(msgspec.Struct, frozen=True):
    """Whom a kick hit, or would hit.

    Attributes:
        dry_run: nothing was done.
        matched: how many sessions are meant.
        ended: how many were ended; the others had ended by themselves.
        sessions: the first of them.
    """

    dry_run: bool
    matched: int
    ended: int
    sessions: tuple[Session, ...]


class Refused(msgspec.Struct, frozen=True):
    """A connection that was refused.

    Attributes:
        time: when, Unix seconds.
        connection: the engine's number for it.
        address: of the peer.
        common_name: of the certificate that it presented, verified or not; empty without one.
        rule: that refused it.
        reason: why, in one sentence.
        remedy: what can be done about it.
    """

    time: float
    connection: int
    address: str
    common_name: str
    rule: str
    reason: str
    remedy: str


class Sightings(msgspec.Struct, frozen=True):
    """What one broker knows of somebody.

    Attributes:
        broker: its identity.
        since: when its engine started, Unix seconds; nothing is known of the time before.
        connected: sessions that are connected.
        departed: the latest of those that have ended lately, the newest first.
        refused: the latest of those that were refused lately, the newest first.
        left_out: how many more there are.
        partly: it is not a broker of this kind, or of another version, and tells only who is connected.
    """

    broker: str
    since: float
    connected: tuple[Session, ...] = ()
    departed: tuple[Departed, ...] = ()
    refused: tuple[Refused, ...] = ()
    left_out: int = 0
    partly: bool = False

    @property
    def nothing(self) -> bool:
        """It has not seen anybody of the kind."""
        return not (self.connected or self.departed or self.refused)


class Found(msgspec.Struct, frozen=True):
    """Where somebody is, or was.

    Attributes:
        text: what was looked for.
        whole: every member of the cluster was asked; else only this broker, because of ``limit``.
        limit: why only this broker was asked; empty when others were.
        brokers: those that answered, this one first.
        silent: identities of brokers that are connected and did not answer in time.
        missing: how many members of the cluster are not connected, going by the peers that are set.
    """

    text: str
    whole: bool
    limit: str
    brokers: tuple[Sightings, ...]
    silent: tuple[str, ...] = ()
    missing: int = 0
