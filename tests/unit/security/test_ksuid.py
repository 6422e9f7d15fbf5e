"""Times inside KSUIDs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.ksuid import EPOCH, issued_at
from unit.security.minting import ksuid


def test_time_of_a_token_id_made_by_the_choria_command_line() -> None:
    assert issued_at("3MWoZtfBFAbpBWpJlX4iVuBkwqT") == 1795475742


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1))
def test_every_time_comes_back(seconds: int, random: int) -> None:
    assert issued_at(ksuid(EPOCH + seconds, random)) == EPOCH + seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 26,
        "0" * 28,
        "z" * 27,
        "0" * 26 + "-",
        "0" * 26 + "\u0660",
        " " + "0" * 26,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="KSUID"):
        issued_at(text)


def test_largest_ksuid() -> None:
    assert issued_at(ksuid(EPOCH + 2**32 - 1, 2**128 - 1)) == EPOCH + 2**32 - 1
