"""How many copies a standard stream has, and how long a member of a cluster waits before it makes the streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable

EVERY_PEER = -1
"""The number of copies that means: as many as there are peers."""

MOST_COPIES = 5
"""JetStream keeps no more copies of a stream than this."""

_SHORTEST, _SPREAD = 10, 60
_EXPLICIT_SPREAD = 5.0


def copies(wanted: int, peers: int) -> int:
    """Return how many copies a stream gets.

    Args:
        wanted: the setting: 1 or more, or ``EVERY_PEER``.
        peers: members of the cluster, this broker included; 0 for a broker that is alone.
    """
    if peers == 0:
        return 1  # The engine keeps one copy only when it is in no cluster.
    return min(peers if wanted == EVERY_PEER else wanted, MOST_COPIES)


def first_wait(wanted: Iterable[int], peers: int, random: Callable[[], float]) -> float:
    """Return the seconds to wait before anything is made, so that the members of a cluster do not race.

    Args:
        wanted: the settings of all streams that are made, as for ``copies``.
        peers: as for ``copies``.
        random: gives numbers from 0 up to, and without, 1.

    Returns:
        0 with fewer than two peers; 10 to 69 whole seconds when a number of copies depends on the peers; up to 5
        seconds when none does.
    """
    if peers <= 1:
        return 0.0
    if EVERY_PEER in set(wanted):
        return float(_SHORTEST + int(random() * _SPREAD))
    return round(random() * _EXPLICIT_SPREAD, 3)
