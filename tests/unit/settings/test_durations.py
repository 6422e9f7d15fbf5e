"""Lengths of time as texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.settings.durations import in_go, in_short, in_words, milliseconds, read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", 0.0),
        ("0", 0.0),
        ("+0", 0.0),
        ("530ns", 0.00053),
        ("372us", 0.372),
        ("372\u00b5s", 0.372),  # The micro sign.
        ("372\u03bcs", 0.372),  # The Greek letter.
        ("1.482913ms", 1.482913),
        ("12.004ms", 12.004),
        ("3ms", 3.0),
        ("1.2s", 1200.0),
        (".5s", 500.0),
        ("1.s", 1000.0),
        ("1m2.5s", 62_500.0),
        ("1h1m1.001s", 3_661_001.0),
        ("-1.5s", -1500.0),
        ("+1s", 1000.0),
    ],
)
def test_every_unit_counts(text: str, expected: float) -> None:
    assert milliseconds(text) == pytest.approx(expected, abs=1e-12)


NO_DURATIONS = ["", "5", "ms", "1.2.3s", "1 s", " 1s", "1s ", "s1", "1d", "1S", "1s\n", ".s", "--1s", "+-0", "nan"]
OTHER_DIGITS = "\u0663ms"


@pytest.mark.parametrize("text", [*NO_DURATIONS, OTHER_DIGITS, "1s" * 200])
def test_anything_else_is_no_duration(text: str) -> None:
    assert milliseconds(text) is None


@given(st.text())
def test_no_text_fails(text: str) -> None:
    found = milliseconds(text)
    assert found is None or isinstance(found, float)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59_999_999_999))
def test_parts_add_up(hours: int, minutes: int, nanoseconds: int) -> None:
    text = f"{hours}h{minutes}m{nanoseconds // 10**9}.{nanoseconds % 10**9:09}s"
    expected = hours * 3_600_000 + minutes * 60_000 + nanoseconds / 1_000_000
    assert milliseconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.05, "50ms"),
        (0.9996, "1s"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (90.25, "1m30.25s"),
        (3600, "1h0m0s"),
        (86400, "24h0m0s"),
        (604800, "168h0m0s"),
    ],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert in_go(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (10, "10s"),
        (0.3, "300ms"),
        (60, "1m"),
        (90.25, "1m30.25s"),
        (60.5, "1m0.5s"),
        (600, "10m"),
        (3600, "1h"),
        (3605, "1h5s"),
        (36600, "10h10m"),
        (604800, "168h"),
    ],
)
def test_durations_are_written_without_units_of_nothing(seconds: float, text: str) -> None:
    assert in_short(seconds) == text
    assert read(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(604800, "7 days"), (86400, "1 day"), (5400, "90 minutes"), (61, "61 seconds"), (0.5, "0.5 seconds")],
)
def test_lengths_of_time_are_written_in_their_largest_unit(seconds: float, text: str) -> None:
    assert in_words(seconds) == text
