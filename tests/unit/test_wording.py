"""Text that others chose, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker import wording
from choria_broker.access.explain import Direction, Ground, SubjectAnswer
from choria_broker.access.verdict import Permissions, Step, SubjectRules, Verdict
from choria_broker.cli.explanation import text
from choria_broker.explaining.explanation import Explanation
from choria_broker.wording import configured_key, in_bytes, plain, sentence, table, without_credentials

HOSTILE = "a\x1b[31m\x07\x9b2J\u202eb\nc"


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("", ""),
        ("grün, 日本 \\n", "grün, 日本 \\n"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eevil\u2028", "\\u202eevil\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_may_obey_is_escaped(given_: str, shown: str) -> None:
    assert plain(given_) == shown


@given(st.text())
def test_nothing_unprintable_is_left(given_: str) -> None:
    assert plain(given_).isprintable()
    assert plain(plain(given_)) == plain(given_)


def explained(*, allowed: bool) -> Iterator[str]:
    rules = SubjectRules(allow=(HOSTILE,), deny=(HOSTILE,))
    verdict = Verdict(
        allowed=allowed,
        rule=HOSTILE,
        reason=HOSTILE,
        method=HOSTILE,
        account=HOSTILE,
        username=HOSTILE,
        permissions=Permissions(publish=rules, subscribe=rules),
        remedy=HOSTILE,
        trail=(Step(HOSTILE, HOSTILE),),
    )
    return text(
        Explanation(
            connection={"from": HOSTILE},
            verdict=verdict,
            assumptions=(HOSTILE,),
            subjects=(SubjectAnswer(Direction.PUBLISH, HOSTILE, allowed=False, ground=Ground.DENY, entry=HOSTILE),),
        )
    )


@pytest.mark.parametrize("allowed", [True, False])
def test_an_explanation_has_no_commands_for_terminals_but_its_own_colours(*, allowed: bool) -> None:
    lines = [click.unstyle(line) for line in explained(allowed=allowed)]

    assert all(line.isprintable() for line in lines)
    assert any("\\x1b[31m" in line for line in lines)


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("peer broker.example.net:5222 cannot be resolved", "peer broker.example.net:5222 cannot be resolved"),
        ("see https://choria.io/docs/x, or write wss://", "see https://choria.io/docs/x, or write wss://"),
        ("use nats://u:SECRET@a:1/x", "use nats://*****@a:1/x"),
        ("use nats://u:SEC@RET@a", "use nats://*****@a"),
        ("use nats://u:SECRET", "use nats://*****"),
        ("open nats:/u:SECRET: no such file", "open nats:/*****: no such file"),
        ("u:SECRET@a is not a name", "*****@a is not a name"),
        ("get https://a/x?token=SECRET now", "get https://a/x... now"),
        ("get https://a/x#SECRET", "get https://a/x..."),
        (
            "set plugin.choria.network.gateway_remote.u:SECRET.urls",
            "set plugin.choria.network.gateway_remote.*****.urls",
        ),
        ("set plugin.choria.network.gateway_remote.u:SECRET", "set plugin.choria.network.gateway_remote.u..."),
        (
            "set plugin.choria.network.gateway_remote.a-1.b.tls.ca",
            "set plugin.choria.network.gateway_remote.a-1.b.tls.ca",
        ),
        ("set plugin.security.issuer.names, or a.public", "set plugin.security.issuer.names, or a.public"),
        ("open /etc/plugin.d/x.cfg: is a directory", "open /etc/plugin.d/x.cfg: is a directory"),
        ("write plugin.choria.use_srv = false", "write plugin.choria.use_srv = false"),
        ("eyewitness1.production1.example.net is not known", "eyewitness1.production1.example.net is not known"),
        ("token eyJhbGciOiJFZERTQSJ9.eyJjYWxsZXJpZCI6ImIifQ.c2ln it was", "token ***** it was"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("x" * 2000, "x" * 1000 + "..."),
    ],
)
def test_sentences(given_: str, shown: str) -> None:
    assert sentence(given_) == shown


@pytest.mark.parametrize(
    "name", ["SECRET@h:4222", "h:1;nats://x:SECRET", "password: SECRET", '{"pass":"SECRET"}', "u SECRET"]
)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("plugin.choria.network.leafnode_remote.", ".url"),
        ("plugin.choria.network.gateway_remote.", ".tls.cert"),
        ("plugin.choria.network.mapping.", ".source"),
        ("plugin.choria.adapter.", ".ingest.topic"),
        ("plugin.security.issuer.", ".public"),
    ],
)
def test_what_was_pasted_for_the_name_of_an_item_is_not_shown_in_its_key(before: str, name: str, after: str) -> None:
    assert configured_key(f"{before}{name}{after}") == f"{before}*****{after}"
    assert sentence(f"set {before}{name}{after} to x") == f"set {before}*****{after} to x"
    assert configured_key(f"{before}HQ-1{after}") == f"{before}HQ-1{after}"


@given(st.text(alphabet=st.sampled_from("ab:/@?#= .-\x1b\n"), max_size=60))
def test_a_sentence_is_one_line_with_nothing_behind_a_mask_lost(given_: str) -> None:
    assert sentence(given_).isprintable()
    assert sentence(f"{given_} end").endswith(" end")


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB"), (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB")],
)
def test_bytes_for_people(number: int, shown: str) -> None:
    assert in_bytes(number) == shown


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert list(table((("A", "LONG", "C"), ("wide", "x", ""), ("", "", "z")))) == [
        "A     LONG  C",
        "wide  x",
        "            z",
    ]


CREDENTIALS = [
    "-----BEGIN JWT",
    "-----BEGIN EC PRIVATE KEY-----\nMHcC",
    "-----BEGIN USER NKEY SEED-----",
    "$2a$11$" + "a" * 22,
    "Bearer abcdefghijklmnop",
    "beaRER\tabcdefghijklmnop",
    "SU" + "A" * 56,
    "eyJhbGc.eyJjYWxs",
    "eyAbcde.abcdefgh",
    "ewgAbcde.abcdefgh",
    "ewogICJhbGci.abcdefgh.sig",
    "up=bob eyJhbGc.eyJjYWxs x",
]


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("around", ["", " ", "a b "])
def test_the_shortest_of_each_kind_is_hidden(credential: str, around: str) -> None:
    text = f"{around}{credential}"
    assert credential not in without_credentials(text)


PIECES = st.sampled_from(
    [*CREDENTIALS, "ey", "ew", "eyJ", "ewo", "$2a$", "-----BEGIN ", "JWT", "bearer ", "S", ".", " "]
)


@given(st.lists(PIECES | st.text("aAeEyJwg019.-_ \n$", max_size=12), max_size=6).map("".join))
def test_a_text_that_is_not_looked_at_closely_holds_no_credentials(text: str) -> None:
    assert without_credentials(text) == wording._without_credentials(text, wording.HIDDEN)
