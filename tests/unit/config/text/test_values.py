"""Types of values."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.text import values
from choria_broker.config.text.values import BadValueError


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("4222", 4222), ("+5", 5), ("-1", -1), ("007", 7), (str(2**63 - 1), 2**63 - 1), ("0" * 500 + "1", 1)],
)
def test_integer(text: str, number: int) -> None:
    assert values.integer(text) == number


@pytest.mark.parametrize(
    "text", ["", "14230x", "1 0", "1_000", "0x10", "1.0", "1e3", "--1", "٣", "\uff19", str(2**63), "9" * 5000]
)
def test_not_an_integer(text: str) -> None:
    with pytest.raises(BadValueError):
        values.integer(text)


@pytest.mark.parametrize(("text", "malformed"), [("65536", False), ("-1", False), ("x", True), ("", True)])
def test_not_a_port(text: str, malformed: bool) -> None:
    with pytest.raises(BadValueError) as caught:
        values.port(text)
    assert caught.value.malformed is malformed
    assert caught.value.remedy == "write a port between 0 and 65535"


@pytest.mark.parametrize("text", ["0", "65535"])
def test_port(text: str) -> None:
    assert values.port(text) == int(text)


@pytest.mark.parametrize("word", ["1", "yes", "true", "y", "t", "YES", "True", "T"])
def test_true(word: str) -> None:
    assert values.boolean(word) is True
    assert values.switch(word) is True


@pytest.mark.parametrize("word", ["0", "no", "false", "n", "f", "NO", "False", "F"])
def test_false(word: str) -> None:
    assert values.boolean(word) is False
    assert values.switch(word) is False


@pytest.mark.parametrize("word", ["on", "off", "enabled", "", "2", "tru", "yes please"])
def test_not_a_boolean(word: str) -> None:
    with pytest.raises(BadValueError):
        values.boolean(word)


@pytest.mark.parametrize(("word", "meaning"), [("on", True), ("ON", True), ("off", False), ("Off", False)])
def test_switches_also_take_on_and_off(word: str, meaning: bool) -> None:
    assert values.switch(word) is meaning


def test_not_a_switch() -> None:
    with pytest.raises(BadValueError):
        values.switch("enabled")


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("false", False),
        ("no", False),
        ("off", False),
        ("0", False),
        ("False", True),
        ("n", True),
        ("yes", True),
        ("x", True),
    ],
)
def test_how_go_choria_reads_a_switch(word: str, meaning: bool) -> None:
    assert values.switch_in_go_choria(word) is meaning


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("5", 5.0),
        ("90", 90.0),
        ("300ms", 0.3),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("5ns", 5e-9),
        ("1h30m", 5400.0),
        ("-1.5h", -5400.0),
        ("+2s", 2.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("1m", 60.0),
        ("1M", 30 * 86400.0),
        ("1d", 86400.0),
        ("1D", 86400.0),
        ("2w", 14 * 86400.0),
        ("2W", 14 * 86400.0),
        ("1y", 365 * 86400.0),
        ("1Y", 365 * 86400.0),
        ("0.3w", 50 * 3600.0),
        ("0.5d", 12 * 3600.0),
        ("-1d", -86400.0),
        ("5S", 5.0),
        ("5H", 5 * 3600.0),
        ("1d12h", 36 * 3600.0),
        ("30d", 30 * 86400.0),
        ("168h", 604800.0),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert values.duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["", "s", "-5", "1.5", "5 s", "1h 30m", "5x", "5MS", "1e3s", "0x5s", "..5s", "300y", "9" * 41, "5sm", "infd"],
)
def test_not_a_duration(text: str) -> None:
    with pytest.raises(BadValueError):
        values.duration(text)


@given(st.integers(min_value=-(2**62), max_value=2**62))
def test_durations_are_exact_to_the_nanosecond(nanoseconds: int) -> None:
    assert values.duration(f"{nanoseconds}ns") == nanoseconds / 10**9


@pytest.mark.parametrize(
    ("text", "home", "path"),
    [
        ("~/x", "/home/bob", "/home/bob/x"),
        ("~", "/home/bob", "/home/bob"),
        ("~alice/x", "/home/bob", "/home/bobalice/x"),
        ("~/x", "", "~/x"),
        ("a/~/x", "/home/bob", "a/~/x"),
        ("$HOME/x", "/home/bob", "$HOME/x"),
        ("relative", "/home/bob", "relative"),
    ],
)
def test_path(text: str, home: str, path: str) -> None:
    assert values.path(text, home) == path


@pytest.mark.parametrize(("text", "titled"), [("abc", "Abc"), ("ABC", "ABC"), ("", ""), ("éa", "Éa")])
def test_title(text: str, titled: str) -> None:
    assert values.title(text) == titled


@pytest.mark.parametrize(
    ("text", "found", "empty"),
    [
        ("a", ("a",), 0),
        ("a, b ,c", ("a", "b", "c"), 0),
        ("a,,b", ("a", "b"), 1),
        ("a,", ("a",), 1),
        (",", (), 2),
        ("", (), 0),
    ],
)
def test_items(text: str, found: tuple[str, ...], empty: int) -> None:
    assert values.items(text) == (found, empty)


def test_choice_is_exact() -> None:
    assert values.choice("info", ("info", "warn")) == "info"
    with pytest.raises(BadValueError, match="accepted words"):
        values.choice("INFO", ("info", "warn"))


@pytest.mark.parametrize("convert", [values.integer, values.port, values.boolean, values.switch, values.duration])
@given(text=st.text(max_size=30) | st.from_regex(re.compile(r"[0-9smhdwMy.+-]{0,12}"), fullmatch=True))
def test_nothing_but_bad_values_is_raised(convert: Callable[[str], object], text: str) -> None:
    try:
        convert(text)
    except BadValueError as error:
        problem, remedy = error.problem, error.remedy
    else:
        return
    assert problem
    assert remedy
