"""Who gives way on a port whose places are all taken."""

from __future__ import annotations

import dataclasses

import pytest

from choria_broker.web.places import gives_way


@dataclasses.dataclass(frozen=True)
class Connection:
    """One place, as ``gives_way`` looks at it."""

    name: str
    place: str
    waiting: bool = False


def held(*names: str) -> list[Connection]:
    """Write connections as ``address/number``, with ``?`` at the end of those on which nothing was asked."""
    return [Connection(name, name.split("/")[0], name.endswith("?")) for name in names]


@pytest.mark.parametrize(
    ("newcomer", "there", "gives"),
    [
        ("a", (), None),
        ("b", ("a/1", "a/2"), "a/1"),  # One address holds all.
        ("b", ("a/1", "a/2?", "a/3?"), "a/2?"),  # Of its connections first those that ask nothing.
        ("b", ("b/1", "a/1", "a/2"), "a/1"),
        ("b", ("b/1", "b/2", "a/1", "a/2"), None),  # Who holds as many himself takes nobody's.
        ("b", ("b/1", "b/2?", "a/1", "a/2"), "b/2?"),
        ("a", ("a/1", "a/2", "b/1"), None),
        ("a", ("a/1?", "a/2", "b/1"), "a/1?"),
        ("d", ("a/1", "b/1?", "c/1?"), "b/1?"),  # Many addresses with one each.
        ("d", ("a/1", "b/1", "c/1"), None),
        ("a", ("a/1", "b/1", "b/2", "b/3?"), "b/3?"),
    ],
)
def test_who_gives_way(newcomer: str, there: tuple[str, ...], gives: str | None) -> None:
    found = gives_way(newcomer, held(*there))
    assert (found.name if found else None) == gives
