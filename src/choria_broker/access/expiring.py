"""Tokens of sessions that are about to end, by who signed them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from choria_broker.access.session import Session
from choria_broker.settings.durations import DAY

SOON = DAY
"""Seconds before its end from which a token is about to end."""

_MOST = 100


def expiring(sessions: Iterable[Session], now: float) -> Mapping[tuple[str, str], int]:
    """Count sessions whose token ends within a day, or has ended, by organization and key of the issuer.

    Of very many issuers only those with most are told.

    Args:
        sessions: those that are connected.
        now: Unix seconds.
    """
    counted: collections.Counter[tuple[str, str]] = collections.Counter()
    for each in sessions:
        holder = each.holder
        if holder.signer:
            soon = holder.expires is not None and holder.expires <= now + SOON
            counted[holder.organization, holder.signer] += soon
    return dict(counted.most_common(_MOST))
