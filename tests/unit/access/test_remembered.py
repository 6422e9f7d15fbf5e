from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.remembered import Remembered


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 40))))
def test_room_is_bounded_by_bytes_whatever_is_put_in(puts: list[tuple[int, int]]) -> None:
    memory: Remembered[int, int] = Remembered(2000)
    for key, size in puts:
        memory.put(key, -key, size)
        assert memory.size <= 2000
        assert memory.get(key) == (-key if size <= 20 or memory.get(key) is not None else None)


def test_the_least_recently_used_goes_first() -> None:
    memory: Remembered[str, int] = Remembered(300)
    for name in ("a", "b", "c"):
        memory.put(name, 1, 3)
    for _ in range(2):
        memory.get("a")
    for number in range(98):
        memory.put(str(number), 1, 3)
    assert (memory.get("a"), memory.get("b")) == (1, None)
    assert (memory.size, len(memory)) == (300, 100)


def test_what_is_large_is_not_kept() -> None:
    memory: Remembered[str, int] = Remembered(1000)
    memory.put("large", 1, 11)
    assert memory.get("large") is None
    assert memory.size == 0
