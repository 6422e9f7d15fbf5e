"""Which sessions end, and with which words: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from choria_broker.access.revoked import Found
from choria_broker.access.session import Session

EXPIRED = "expired"
"""What ends sessions that are over, beside the rules."""

_MOST_REASONS = 50


class Ending(msgspec.Struct, frozen=True):
    """Sessions that end for one reason.

    Attributes:
        cause: rule, or ``expired``.
        reason: for the engine's log, and for who asks later.
        connections: the engine's numbers of them.
    """

    cause: str
    reason: str
    connections: tuple[int, ...]


def endings(matches: Sequence[tuple[Session, Found]]) -> tuple[Ending, ...]:
    """Bring together what ends for the same reason; where there are very many reasons, only the rule is told."""
    exact = _grouped((found.rule.name, f"{found.rule.name}, {found.place}", each) for each, found in matches)
    if len(exact) <= _MOST_REASONS:
        return exact
    return _grouped((found.rule.name, found.rule.name, each) for each, found in matches)


def _grouped(told: Iterable[tuple[str, str, Session]]) -> tuple[Ending, ...]:
    groups: dict[tuple[str, str], list[int]] = {}
    for cause, reason, session in told:
        groups.setdefault((cause, reason), []).append(session.connection)
    return tuple(Ending(cause, reason, tuple(connections)) for (cause, reason), connections in groups.items())
