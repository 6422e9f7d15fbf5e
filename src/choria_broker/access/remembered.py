"""Memory of what was worked out before, bounded by the bytes it holds."""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Remembered(Generic[_K, _V]):
    """Values by their keys, the least recently used forgotten first when they become too large together.

    How many there are says nothing about how much room they take, when their size is chosen by somebody else. For one
    thread.

    Args:
        most: bytes that all may take together; what takes more than a hundredth of it is not kept at all.
    """

    def __init__(self, most: int) -> None:
        """Start with nothing remembered."""
        self._most = most
        self._held: collections.OrderedDict[_K, tuple[_V, int]] = collections.OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        """Count the values."""
        return len(self._held)

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self.size = 0

    def get(self, key: _K) -> _V | None:
        """Return the value of a key, None when there is none any more."""
        held = self._held.get(key)
        if held is None:
            return None
        self._held.move_to_end(key)
        return held[0]

    def of(self, key: _K, work_out: Callable[[], _V], size: Callable[[_V], int]) -> _V:
        """Return the value of a key, worked out and remembered where there is none.

        Args:
            key: what it is found by.
            work_out: makes the value.
            size: tells how many bytes key and value take together, about.
        """
        known = self.get(key)
        if known is None:
            known = work_out()
            self.put(key, known, size(known))
        return known

    def put(self, key: _K, value: _V, size: int) -> None:
        """Remember a value.

        Args:
            key: what it is found by.
            value: the value.
            size: bytes that key and value take together, about.
        """
        if size > self._most // 100 or key in self._held:
            return
        self._held[key] = (value, size)
        self.size += size
        while self.size > self._most:
            _, (_, freed) = self._held.popitem(last=False)
            self.size -= freed
