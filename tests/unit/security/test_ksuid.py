"""Times inside KSUIDs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.ksuid import EPOCH, RANDOM_BYTES, build, issued_at
from support.minting import ksuid


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


@pytest.mark.parametrize(
    ("moment", "random", "text"),
    [
        (EPOCH, bytes(16), "0" * 27),
        (EPOCH + 2**32 - 1, b"\xff" * 16, "aWgEPTl1tmebfsQzFP4bxwgy80V"),
    ],
    ids=["first", "last"],
)
def test_known_ksuids(moment: int, random: bytes, text: str) -> None:
    assert build(moment, random) == text


@pytest.mark.parametrize(
    ("moment", "random"),
    [(EPOCH - 1, bytes(16)), (EPOCH + 2**32, bytes(16)), (EPOCH, bytes(RANDOM_BYTES - 1)), (EPOCH, bytes(17))],
    ids=["too early", "too late", "too little", "too much"],
)
def test_what_a_ksuid_cannot_say(moment: int, random: bytes) -> None:
    with pytest.raises(ValueError, match="KSUID"):
        build(moment, random)
