"""How often the same line may come: lines of libraries are as many as whoever connects wants."""

from __future__ import annotations

import collections
from collections.abc import Hashable

import msgspec

_MOST_KINDS = 256


class _Window(msgspec.Struct):
    """What came of one kind since a moment."""

    since: float
    admitted: int = 0
    held_back: int = 0


class Admission(msgspec.Struct, frozen=True):
    """Whether a line may come.

    Attributes:
        admitted: it may.
        last: it is the last of its kind, or of all, for a while.
        held_back: lines of its kind that did not come since the one before.
    """

    admitted: bool
    last: bool = False
    held_back: int = 0


class Restraint:
    """Admits so many lines of a kind, and of all kinds together, in a period; remembers a bounded number of kinds.

    Args:
        of_kind: lines of one kind in a period.
        of_all: lines of all kinds in a period.
        period: seconds.
    """

    def __init__(self, of_kind: int = 5, of_all: int = 60, period: float = 60.0) -> None:
        """Nothing has come yet."""
        self._of_kind = of_kind
        self._of_all = of_all
        self._period = period
        self._kinds: collections.OrderedDict[Hashable, _Window] = collections.OrderedDict()
        self._all = _Window(float("-inf"))

    def admit(self, kind: Hashable, now: float) -> Admission:
        """Decide about a line that comes now.

        Args:
            kind: what makes two lines the same.
            now: seconds of a clock that never goes back.
        """
        window = self._kinds.pop(kind, None) or _Window(now)
        self._kinds[kind] = window
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.popitem(last=False)
        for each in (window, self._all):
            if now - each.since >= self._period:
                each.since, each.admitted = now, 0
        if window.admitted >= self._of_kind or self._all.admitted >= self._of_all:
            window.held_back += 1
            return Admission(admitted=False)
        window.admitted += 1
        self._all.admitted += 1
        held_back, window.held_back = window.held_back, 0
        last = window.admitted == self._of_kind or self._all.admitted == self._of_all
        return Admission(admitted=True, last=last, held_back=held_back)
