"""How fast the store of streams fills, and when it is full."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from choria_broker.settings.durations import DAY
from choria_broker.status.document import StoreReport


class Growth(msgspec.Struct, frozen=True):
    """How fast the store fills.

    Attributes:
        seconds: over which that was measured.
        bytes: that it has grown; negative when it got smaller.
        days_until_full: until it is full, or its disk, when that goes on; None when it does not grow.
    """

    seconds: float
    bytes: int
    days_until_full: float | None = None


def growth(before: StoreReport | None, after: StoreReport | None, seconds: float) -> Growth | None:
    """Tell how fast the store fills, by two looks at it.

    Args:
        before: the first look; None when there was nothing to be seen.
        after: the second one.
        seconds: between them.
    """
    if before is None or after is None:
        return None
    return _growth(after, after.bytes_used - before.bytes_used, seconds)


def growth_of(now: StoreReport | None, times: Sequence[float], used: Sequence[float | None]) -> Growth | None:
    """Tell the same by what was seen over some time.

    Args:
        now: the store now; None when there was nothing to be seen.
        times: of the looks, ascending, in seconds.
        used: bytes that were used then, None where that is not known.
    """
    known = [(time, size) for time, size in zip(times, used, strict=True) if size is not None]
    if now is None or len(known) < 2:  # noqa: PLR2004 - a rate needs two
        return None
    (since, first), (until, last) = known[0], known[-1]
    return _growth(now, round(last - first), until - since)


def _growth(now: StoreReport, grown: int, seconds: float) -> Growth:
    if grown <= 0:
        return Growth(seconds, grown)
    rooms = [now.bytes_most - now.bytes_used] if now.bytes_most else []
    rooms += [now.bytes_free] if now.bytes_free is not None else []
    left = max(min(rooms), 0) if rooms else None
    return Growth(seconds, grown, None if left is None else round(left / (grown / seconds) / DAY, 1))
