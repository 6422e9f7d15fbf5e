"""What is read of the engine's lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.audit.engine_lines import EngineLine, read
from choria_broker.values import replace

CLIENT = "192.0.2.1:4711 - cid:7"
HERE = "192.0.2.1"
TLS_ERROR = "tls-handshake-error"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Server is ready", EngineLine("Server is ready")),
        ("", EngineLine("")),
        (f"{CLIENT} - read error: reset", EngineLine(f"{CLIENT} - read error: reset", HERE, about="read-error")),
        ("pipe - cid:7 - Slow Consumer", EngineLine("pipe - cid:7 - Slow Consumer", "", about="slow-consumer")),
        (
            f'{CLIENT} - authentication error - User "bob"',
            EngineLine(f"{CLIENT} - authentication error", HERE, decided=True, about="authentication-error"),
        ),
        (
            "192.0.2.1:4711 - rid:7 - authentication error",
            EngineLine("192.0.2.1:4711 - rid:7 - authentication error", HERE, about="authentication-error"),
        ),
        (
            f"{CLIENT} - TLS handshake error: EOF",
            EngineLine(f"{CLIENT} - TLS handshake error: EOF", HERE, refusal="tls-handshake", about=TLS_ERROR),
        ),
        (
            "websocket: TLS handshake error from [2001:db8::1]:4711: EOF",
            EngineLine(
                "websocket: TLS handshake error from [2001:db8::1]:4711: EOF",
                "2001:db8::1",
                refusal="tls-handshake",
                about=TLS_ERROR,
            ),
        ),
    ],
)
def test_lines(text: str, expected: EngineLine) -> None:
    found = read(text, asked=True)
    assert found == replace(expected, connection=7 if "id:7" in text else 0)


def test_an_engine_that_decides_tells_of_refusals() -> None:
    text = f'{CLIENT} - "v1:go" - "AKEY/ACME/jwt:UKEY" - authentication error - JWT User "UKEY"'
    line = read(text, asked=False)
    assert (line.peer, line.refusal, line.decided) == (HERE, "authentication", False)
    assert line.text.endswith("authentication error")


@given(st.text(), st.booleans())
def test_no_line_is_a_refusal_and_decided(text: str, asked: bool) -> None:
    line = read(f"{CLIENT} - {text}", asked=asked)
    assert not (line.refusal and line.decided)
    assert line.peer == HERE


@pytest.mark.parametrize(
    ("told", "about"),
    [
        ("Route Error 'Authorization Violation'", "route-error"),
        ('Publish Violation - Subject "a.b"', "publish-violation"),
        ('"v1.40:go:web1" - Subscription Violation - Subject "a", SID 1', "subscription-violation"),
        ("link refused: it sent no login", "link-refused"),
        ("...", "unnamed"),
    ],
)
def test_lines_are_counted_by_the_first_words_of_the_library(told: str, about: str) -> None:
    assert read(f"192.0.2.1:4711 - rid:7 - {told}", asked=True).about == about
    assert read(f"192.0.2.1:4711 - cid:7 - {told}", asked=True).about == about


def test_after_the_login_lines_say_whose_a_connection_is() -> None:
    told = r'192.0.2.1:4711 - cid:7 - "v1:go" - "choria/user:up=\"bob" - Publish Violation - Subject "a"'
    assert (read(told, asked=True).user, read(told, asked=True).connection) == ('up="bob', 7)
    assert not read(told.replace("/user:", "/"), asked=True).user
