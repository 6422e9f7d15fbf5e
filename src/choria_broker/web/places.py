"""Who gives way on a port without a free place: whoever holds too many of them, or does nothing."""

from __future__ import annotations

import collections
from collections.abc import Collection
from typing import Protocol, TypeVar


class Held(Protocol):
    """A place that is taken."""

    @property
    def place(self) -> str:
        """Where its peer is: an address, or the network that one peer can have all addresses of."""
        ...

    @property
    def waiting(self) -> bool:
        """Nothing was asked on it so far."""
        ...


_H = TypeVar("_H", bound=Held)


def gives_way(newcomer: str, held: Collection[_H]) -> _H | None:
    """Choose who is to give way to a newcomer, None for nobody: then the newcomer has to go.

    Whoever holds the most places loses one to everybody who holds fewer, and silent connections lose theirs to anybody.
    So a monitor still gets its answer while one address holds all places, or while many addresses hold silent ones.

    Args:
        newcomer: place of the newcomer.
        held: the places that are taken, those that were taken first coming first.
    """
    counts = collections.Counter(each.place for each in held)
    crowd, most = counts.most_common(1)[0] if counts else (newcomer, 0)
    if most > 1 and counts[newcomer] < most:
        of_crowd = [each for each in held if each.place == crowd]
        return next((each for each in of_crowd if each.waiting), of_crowd[0])
    return next((each for each in held if each.waiting), None)
