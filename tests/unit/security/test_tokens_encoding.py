"""The one spelling of base64url."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.tokens_encoding import decode_base64url
from support.minting import (
    encoded,
)


@given(st.binary(max_size=80))
def test_base64url_has_one_spelling(raw: bytes) -> None:
    text = encoded(raw)
    assert decode_base64url(text) == raw
    for other in (f"{text}=", f"{text}\n", f" {text}", f"{text}!"):
        with pytest.raises(ValueError, match=r"base64|pad|ASCII|character"):
            decode_base64url(other)


@pytest.mark.parametrize("text", ["AB", "AAB", "A", "AA+A", "AA/A", "AA==", "\u00e9", "\ud800"])
def test_other_spellings_of_base64url(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_base64url(text)


@given(st.text(max_size=40))
def test_base64url_never_lies(text: str) -> None:
    try:
        raw = decode_base64url(text)
    except ValueError:
        return
    assert base64.urlsafe_b64encode(raw).decode().rstrip("=") == text
