"""Whose a connection is, and what is known of one that was let in.

The engine keeps a holder with its connection, as JSON that it does not look into, and may hand it to a newer broker
than the one that wrote it: fields may be added, but what one means and its type stay.
"""

from __future__ import annotations

import msgspec

from choria_broker.access.request import Certificate

LAST_MOMENT = 253_402_300_799
"""The last second that a calendar has, of the year 9999, Unix seconds: what ends later, never ends."""


class Holder(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Whose a connection is, as far as it was proven.

    Attributes:
        identity: of a server, from its token; the common name of a verified certificate where no token was read.
        caller: caller id of the client token.
        method: how it was recognised, as in the verdict.
        rule: that let it in.
        organization: of the token.
        signer: the signer's or organization's key that the token goes back to, as ``keys.key_id`` names it.
        token_id: of the token, its ``jti``.
        key: the token holder's public key, as lower-case hex.
        chain: the chain issuers above the token, each with its key and the id of its own token.
        certificate: the verified certificate, None without one.
        expires: when the first of token, chain issuer's token and certificate ends, Unix seconds; None for never.
    """

    identity: str = ""
    caller: str = ""
    method: str = ""
    rule: str = ""
    organization: str = ""
    signer: str = ""
    token_id: str = ""
    key: str = ""
    chain: tuple[tuple[str, str], ...] = ()
    certificate: Certificate | None = None
    expires: int | None = None


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that the engine let in by itself, by a verdict that it was given about another one.

    Attributes:
        connection: the engine's number for it.
        by: number of the connection that the verdict was about.
        address: of the peer, without port.
        holder: whose it is.
        name, language, version: as CONNECT claims; nobody has checked them.
        seconds: that it took to be let in.
    """

    connection: int
    by: int
    address: str = ""
    holder: Holder = Holder()
    name: str = ""
    language: str = ""
    version: str = ""
    seconds: float = 0.0


class Traffic(msgspec.Struct, frozen=True):
    """What went over a connection since it was made.

    Attributes:
        rtt: round trip time as measured last, in seconds; 0 when it was not measured yet.
        pending: bytes that wait to be sent to the peer.
        in_msgs, in_bytes: messages from the peer, and their bytes.
        out_msgs, out_bytes: messages to the peer, and their bytes.
    """

    rtt: float
    pending: int
    in_msgs: int
    in_bytes: int
    out_msgs: int
    out_bytes: int


KINDS = ("client", "websocket", "leafnode")
"""Kinds of sessions. Links between brokers and the broker's own connections are none."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that was let in.

    Attributes:
        connection: the engine's number for it.
        kind: ``client``, ``websocket`` or ``leafnode``.
        address: of the peer, without port; empty when unknown.
        account: it is in.
        username: it is shown with.
        tls: ``none``, ``anon`` or ``mtls``.
        since: when it was let in, Unix seconds.
        generation: of the policy that let it in; 0 when the engine decided by itself.
        holder: whose it is; empty when the engine decided by itself.
        traffic: None when it was not asked for.
    """

    connection: int
    kind: str
    address: str
    account: str
    username: str
    tls: str
    since: float
    generation: int = 0
    holder: Holder = Holder()
    traffic: Traffic | None = None


class Rates(msgspec.Struct, frozen=True):
    """Messages and bytes in a second, from the peer and to it."""

    in_msgs: float = 0.0
    in_bytes: float = 0.0
    out_msgs: float = 0.0
    out_bytes: float = 0.0

    @property
    def messages(self) -> float:
        """In both directions."""
        return self.in_msgs + self.out_msgs


class BusySession(Session, frozen=True, kw_only=True):
    """A session with what goes over it in a second."""

    rates: Rates = Rates()


class Busy(Rates, frozen=True, kw_only=True):
    """What goes over all sessions together.

    Attributes:
        seconds: over which that was measured; 0 when nobody has asked before, and rates are not known yet.
        connections: how many there are.
        pending: bytes that wait for all of them.
        waiting: for how many some do.
    """

    seconds: float = 0.0
    connections: int = 0
    pending: int = 0
    waiting: int = 0


class Departed(Session, frozen=True, kw_only=True):
    """A session that has ended.

    Attributes:
        number: counts those that have ended since the engine's start.
        until: when it ended, Unix seconds.
        reason: why, in the engine's words, or in those with which the broker ended it.
    """

    number: int
    until: float
    reason: str
