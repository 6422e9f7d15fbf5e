"""The document, its time, and the subject it goes to."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.subjects import is_literal
from choria_broker.adapters.document import Target, document, rfc3339
from choria_broker.adapters.unwrap import Unwrapped, unwrap
from support.registrations import message

SECOND = 10**9


def test_the_sample() -> None:
    assert document(unwrap(message(), request=True)) == (
        b'{"protocol":"choria:adapters:choria_streams:output:1","data":"eyJoZWxsbyI6MX0=","sender":"web1.example.net",'
        b'"time":"2024-02-03T00:00:00Z","requestid":"2e3a5b1c0d9f4a6b8c7d6e5f4a3b2c1d"}'
    )


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1706918400 * SECOND, "2024-02-03T00:00:00Z"),
        (1706918400 * SECOND + 120_000_000, "2024-02-03T00:00:00.12Z"),
        (1706918400 * SECOND + 1, "2024-02-03T00:00:00.000000001Z"),
        (1706918400 * SECOND + 123_456_789, "2024-02-03T00:00:00.123456789Z"),
        (0, "1970-01-01T00:00:00Z"),
        (253402300799 * SECOND, "9999-12-31T23:59:59Z"),
    ],
)
def test_times(nanoseconds: int, text: str) -> None:
    assert rfc3339(nanoseconds) == text


@given(st.integers(0, 253402300800 * SECOND - 1))
def test_times_are_exact(nanoseconds: int) -> None:
    text = rfc3339(nanoseconds)
    whole, _, digits = text.removesuffix("Z").partition(".")
    seconds = int((dt.datetime.fromisoformat(whole + "+00:00") - dt.datetime.fromtimestamp(0, dt.UTC)).total_seconds())
    assert seconds * SECOND + int(digits.ljust(9, "0") or 0) == nanoseconds
    assert not digits.endswith("0")


@given(st.text(), st.text())
def test_any_body_makes_json(body: str, sender: str) -> None:
    body, sender = (each.encode(errors="replace").decode() for each in (body, sender))
    found = json.loads(document(Unwrapped(body, sender, 0, "r")))
    assert list(found) == ["protocol", "data", "sender", "time", "requestid"]
    assert (found["data"], found["sender"]) == (body, sender)


@pytest.mark.parametrize(
    ("template", "sender", "subject"),
    [
        ("meta.%s", "web1.example.net", b"meta.web1.example.net"),
        ("%s.meta.%s", "web1", b"web1.meta.web1"),
        ("meta", "anybody at all\r\n", b"meta"),
        ("$KV.NODES.%s", "web1", b"$KV.NODES.web1"),
        ("%s", "$SYS", None),
        ("%s.x", "$JS.API", None),
        ("meta.%s", "a b", None),
        ("meta.%s", "a\r\nPUB x 0\r\n", None),
        ("meta.%s", "a.*", None),
        ("meta.%s", ">", None),
        ("meta.%s", "a..b", None),
        ("meta.%s", "", None),
        ("meta.%s", "a" * 2000, None),
        ("a.%s.%s.%s.%s", "a" * 240, b".".join([b"a", *[b"a" * 240] * 4])),
        # A control line of more than 4,096 bytes would end the connection, and then be sent again.
        ("a.%s.%s.%s.%s.%s", "a" * 1000, None),
    ],
)
def test_subjects(template: str, sender: str, subject: bytes | None) -> None:
    assert Target(template).subject(sender) == subject


@given(st.text(), st.sampled_from(["meta.%s", "%s", "%s.b.%s", "a.%s.b"]))
def test_no_sender_makes_another_command(sender: str, template: str) -> None:
    subject = Target(template).subject(sender)
    assert subject is None or is_literal(subject.decode())
