"""When a watched file is read again: a table of looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.host.facts import Mark
from choria_broker.reload.watching import Decision, Marks, Watch

WAIT, READ, LAST, BEFORE = Decision.WAIT, Decision.READ, Decision.READ_AT_LAST, Decision.AS_BEFORE
CERTIFICATE, KEY = Path("/cert.pem"), Path("/key.pem")
PATIENCE = 30.0


def marks(letters: str) -> Marks:
    """Make a look: one letter for the certificate, one for the key; a dot is a file that is not there."""
    return {
        path: None if letter == "." else Mark(1, ord(letter), 100, 0, 0)
        for path, letter in zip((CERTIFICATE, KEY), letters, strict=True)
    }


def decisions(looks: str, good: str, *, every: float = 10.0) -> list[Decision]:
    """Take looks into account one after the other, in front of a broker that only takes what is good."""
    watch, used, found = Watch(), "aa", []
    for number, look in enumerate(looks.split()):
        watch, decision = watch.looked(marks(used), marks(look), number * every, PATIENCE)
        if decision in {READ, LAST}:
            if look in good.split():
                watch, used = Watch(), look
            else:
                watch = watch.refused(decision)
        found.append(decision)
    return found


@pytest.mark.parametrize(
    ("looks", "good", "expected"),
    [
        pytest.param("aa aa aa", "", [WAIT] * 3, id="nothing changes"),
        pytest.param("aa bb bb bb", "bb", [WAIT, WAIT, READ, WAIT], id="read when two looks agree"),
        pytest.param("ba bb bb", "bb", [WAIT, WAIT, READ], id="a change that is still under way"),
        pytest.param("ba ba bb bb bb", "bb", [WAIT, READ, WAIT, LAST, WAIT], id="one half long before the other"),
        pytest.param("ba aa aa", "bb", [WAIT] * 3, id="taken back before anybody read it"),
        pytest.param("ba ba ba ba ba ba", "bb", [WAIT, READ, WAIT, LAST, WAIT, WAIT], id="broken, said once"),
        pytest.param(". . . .".replace(".", ".a"), "", [WAIT, READ, WAIT, LAST], id="gone"),
        pytest.param("xa xa xa xa aa aa", "", [WAIT, READ, WAIT, LAST, BEFORE, WAIT], id="broken, and taken back"),
        pytest.param("xa xa xa xa bb bb bb", "bb", [WAIT, READ, WAIT, LAST, WAIT, READ, WAIT], id="broken, mended"),
        pytest.param("xa xa xa xa ya ya ya ya ya", "", [WAIT, READ, WAIT, LAST, WAIT, READ, WAIT, LAST, WAIT],
                     id="broken in another way"),
        pytest.param("ba ca da ea fa", "fa", [WAIT, WAIT, WAIT, LAST, WAIT], id="never at rest"),
        pytest.param("bb bb cc cc", "bb cc", [WAIT, READ, WAIT, READ], id="two changes"),
    ],
)  # fmt: skip
def test_looks(looks: str, good: str, expected: list[Decision]) -> None:
    assert decisions(looks, good) == expected


def test_patience_counts_time_and_not_looks() -> None:
    assert decisions("xa " * 7, "", every=5.0) == [WAIT, READ, WAIT, WAIT, WAIT, WAIT, LAST]
    assert decisions("xa xa xa", "", every=60.0) == [WAIT, LAST, WAIT]


LOOKS = st.lists(st.sampled_from(["aa", "ba", "bb", "ca", "cc", ".a", ".."]), max_size=20)


@given(LOOKS, st.sampled_from(["", "bb", "bb cc"]))
def test_what_stays_good_is_in_use_in_the_end_and_what_stays_bad_is_read_no_more(looks: list[str], good: str) -> None:
    for last in ("bb", "cc", "ca"):
        found = decisions(" ".join([*looks, *[last] * 8]), good)
        assert found[-1] is WAIT
        assert found[-8:].count(LAST) <= 1
        assert found[-8:].count(READ) <= 1


@given(LOOKS)
def test_one_look_is_never_enough_before_patience_ends(looks: list[str]) -> None:
    found = decisions(" ".join(looks), "bb cc")
    for number, decision in enumerate(found):
        if decision is READ:
            assert looks[number] == looks[number - 1]
