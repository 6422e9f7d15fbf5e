"""To which subjects a companion publishes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choria_broker.companions.subjects import LONGEST, may_publish, may_publish_all
from support.fuzzing import examples


@pytest.mark.parametrize(
    "subject",
    [
        "mcollective.node.web1.example.net",
        "mcollective.broadcast.agent.rpcutil",
        "choria.reply.e33b.2",
        "_INBOX.a-b_c.1",
        "a",
        "a.$b",
        "\u00e9.\u65e5",
        "a" * LONGEST,
    ],
)
def test_allowed(subject: str) -> None:
    assert may_publish(subject)


@pytest.mark.parametrize(
    "subject",
    [
        "",
        ".",
        ".a",
        "a.",
        "a..b",
        "a b",
        "a\tb",
        "a\r\nPUB b 0\r\n\r\n",
        "a\n",
        "a\u00a0b",
        "a\u2028b",
        "a\x00",
        "a\x7f",
        "*",
        ">",
        "a.*",
        "a.>",
        "a*b",
        "a>",
        "$SYS.REQ.SERVER.PING",
        "$JS.API.INFO",
        "$KV.a.b",
        "$O.a",
        "$",
        "a" * (LONGEST + 1),
        "\u00e9" * (LONGEST // 2 + 1),
    ],
)
def test_refused(subject: str) -> None:
    assert not may_publish(subject)


WORDS = st.sampled_from(["a", "b.c", ".", "..", " ", "$", "*", ">", "\n", "\u00e9", "a" * LONGEST, "", "x-1_y"])
SUBJECTS = st.lists(WORDS, max_size=4).map("".join)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SUBJECTS, min_size=1, max_size=4))
def test_many_at_once_are_judged_as_one_by_one(subjects: list[str]) -> None:
    assert may_publish_all(subjects) == all(map(may_publish, subjects))
