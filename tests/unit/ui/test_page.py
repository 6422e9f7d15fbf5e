"""What a reader asks, and the command lines that pages show."""

from __future__ import annotations

import pytest

from choria_broker.ui.page import Asked, BadInputError, command


def test_texts_come_without_blanks_around_them_and_the_last_one_counts() -> None:
    asked = Asked(0.0, {"sort": ("name", " rate "), "empty": ("",)})
    assert asked.text("sort") == "rate"
    assert asked.text("empty", "otherwise") == "otherwise"
    assert asked.text("missing") == ""


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "٣", "1" * 16, "1e3", "<b>"])
def test_what_is_no_number_is_told_of(text: str) -> None:
    with pytest.raises(BadInputError, match="whole number") as told:
        Asked(0.0, {"page": (text,)}).number("page", 1)
    assert told.value.status == 400
    assert told.value.remedy


def test_numbers_are_read_or_left_out() -> None:
    assert Asked(0.0, {"page": ("12",)}).number("page", 1) == 12
    assert Asked(0.0).number("page", 1) == 1


def test_a_command_line_is_quoted_as_a_shell_wants_it() -> None:
    line = command("/etc/choria/broker.conf", "find", "it's *")
    assert line == "choria-broker find 'it'\"'\"'s *' --config /etc/choria/broker.conf"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("web1", "choria-broker find web1 --config broker.conf"),
        ("--json", "choria-broker find --config broker.conf -- --json"),
        ("-x; reboot", "choria-broker find --config broker.conf -- '-x; reboot'"),
    ],
)
def test_what_is_looked_for_is_never_an_option(text: str, line: str) -> None:
    assert command("broker.conf", "find", text=text) == line
