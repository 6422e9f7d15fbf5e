"""Looks for somebody in what a broker knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from choria_broker.access.selection import mentions
from choria_broker.access.session import Departed, Session
from choria_broker.audit.decided import Decision
from choria_broker.sessions.documents import Refused, Sightings

MOST = 50
"""Sessions, and refusals, of each kind that are told."""


def look(
    text: str,
    *,
    broker: str,
    since: float,
    live: Iterable[Session],
    departed: Sequence[Departed],
    decisions: Sequence[Decision],
) -> Sightings:
    """Find whatever mentions a text.

    Args:
        text: what is looked for; not empty.
        broker: identity of the broker that looks.
        since: when its engine started, Unix seconds.
        live: sessions that are connected.
        departed: sessions that have ended, oldest first.
        decisions: the latest decisions, oldest first.
    """
    here = [each for each in live if mentions(each, text)]
    gone = [each for each in reversed(departed) if mentions(each, text)]
    refused = [_refused(each) for each in reversed(decisions) if not each.allowed and _tells_of(each, text)]
    return Sightings(
        broker=broker,
        since=since,
        connected=tuple(here[:MOST]),
        departed=tuple(gone[:MOST]),
        refused=tuple(refused[:MOST]),
        left_out=sum(max(len(each) - MOST, 0) for each in (here, gone, refused)),
    )


def within(sightings: Sightings, most: int) -> bytes:
    """Write what was seen, and leave out half again and again until it fits.

    Args:
        sightings: what was seen.
        most: bytes that it may have.
    """
    text = msgspec.json.encode(sightings)
    while len(text) > most and not sightings.nothing:
        kept = {name: getattr(sightings, name) for name in ("connected", "departed", "refused")}
        halves = {name: each[: len(each) // 2] for name, each in kept.items()}
        dropped = sum(len(kept[name]) - len(halves[name]) for name in kept)
        sightings = msgspec.structs.replace(sightings, **halves, left_out=sightings.left_out + dropped)
        text = msgspec.json.encode(sightings)
    return text


def _tells_of(decision: Decision, text: str) -> bool:
    # Whom a token claims to be for is in the reason; the names of nobody who was refused are believed.
    wanted = text.lower()
    known = (decision.address, decision.common_name, decision.serial, decision.fingerprint, decision.reason)
    return str(decision.connection_id) == wanted or any(wanted in each.lower() for each in known)


def _refused(decision: Decision) -> Refused:
    return Refused(
        time=decision.time,
        connection=decision.connection_id,
        address=decision.address,
        common_name=decision.common_name,
        rule=decision.rule,
        reason=decision.reason,
        remedy=decision.remedy,
    )
