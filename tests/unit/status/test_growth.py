"""How fast the store fills, and when it is full."""

from __future__ import annotations

import msgspec
import pytest

from choria_broker.status.document import StoreReport
from choria_broker.status.growth import Growth, growth, growth_of

GIB = 1 << 30
STORE = StoreReport(True, 3, 1, 10, GIB, 3 * GIB, 8 * GIB, "/store")


def test_the_disk_may_be_full_first() -> None:
    after = msgspec.structs.replace(STORE, bytes_used=GIB + 86400, bytes_free=86400 * 5)
    assert growth(STORE, after, 86400) == Growth(86400, 86400, 5.0)
    unknown = msgspec.structs.replace(after, bytes_most=0, bytes_free=None)
    assert growth(STORE, unknown, 10) == Growth(10, 86400, None)
    assert growth(None, STORE, 10) is None


@pytest.mark.parametrize(
    ("times", "used", "expected"),
    [
        ((), (), None),
        ((0,), (GIB,), None),
        ((0, 10), (None, GIB), None),
        ((0, 10, 20), (GIB, None, GIB), Growth(20, 0)),
        ((0, 10, 20), (GIB, 2, 3), Growth(20, 3 - GIB)),
        ((0, 10, 3610), (None, 0, 2 * GIB / 240), Growth(3600, round(2 * GIB / 240), 10.0)),
    ],
)
def test_by_what_was_seen_over_some_time(
    times: tuple[float, ...], used: tuple[float | None, ...], expected: Growth | None
) -> None:
    assert growth_of(STORE, times, used) == expected
    assert growth_of(None, times, used) is None


def test_a_full_store_is_full_now() -> None:
    full = msgspec.structs.replace(STORE, bytes_used=4 * GIB)
    assert growth_of(full, (0, 10), (GIB, 4 * GIB)) == Growth(10, 3 * GIB, 0.0)
