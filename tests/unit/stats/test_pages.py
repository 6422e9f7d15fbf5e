"""Values of pages that may be anything."""

from __future__ import annotations

from choria_broker.stats.pages import mapping, number, sequence, text


def test_what_is_there_is_taken() -> None:
    page = {"a": {"b": 1}, "c": [1], "n": 2.9, "t": "x"}
    assert (mapping(page["a"]), list(sequence(page["c"])), number(page, "n"), text(page, "t")) == (
        {"b": 1},
        [1],
        2,
        "x",
    )


def test_what_is_not_counts_as_nothing() -> None:
    page = {"n": True, "t": 3}
    assert (mapping(3), list(sequence("x")), number(page, "n"), number(page, "m"), text(page, "t")) == (
        {},
        [],
        0,
        0,
        "",
    )
