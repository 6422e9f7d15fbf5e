"""Proof of possession."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.nonce import proof_fault
from support.minting import HOLDER, NONCE, STRANGER, encoded, hex_of, proof

GOOD = proof()


def test_good_proof() -> None:
    assert proof_fault(hex_of(HOLDER), NONCE, GOOD) is None


def test_upper_case_key_is_the_same_key() -> None:
    assert proof_fault(hex_of(HOLDER).upper(), NONCE, GOOD) is None


@pytest.mark.parametrize(
    ("key", "nonce", "signature"),
    [
        pytest.param(hex_of(HOLDER), NONCE, "", id="no signature"),
        pytest.param(hex_of(HOLDER), "", proof(nonce=""), id="no nonce, signature over nothing"),
        pytest.param(hex_of(HOLDER), NONCE, proof(STRANGER), id="another key"),
        pytest.param(hex_of(HOLDER), NONCE, proof(nonce=NONCE + "A"), id="another nonce"),
        pytest.param(
            hex_of(HOLDER), NONCE, encoded(HOLDER.sign(base64.urlsafe_b64decode(NONCE + "="))), id="decoded nonce"
        ),
        pytest.param("", NONCE, GOOD, id="no key"),
        pytest.param(hex_of(HOLDER)[:-2], NONCE, GOOD, id="short key"),
        pytest.param(hex_of(HOLDER) + "00", NONCE, GOOD, id="long key"),
        pytest.param(" " + hex_of(HOLDER)[1:], NONCE, GOOD, id="key with a space"),
        pytest.param("zz" * 32, NONCE, GOOD, id="key is not hex"),
        pytest.param("\u0661" * 64, NONCE, GOOD, id="key in other digits"),
        pytest.param(hex_of(HOLDER), NONCE, GOOD + "==", id="padding"),
        pytest.param(hex_of(HOLDER), NONCE, GOOD + "\n", id="newline"),
        pytest.param(hex_of(HOLDER), NONCE, HOLDER.sign(NONCE.encode()).hex(), id="hex"),
        pytest.param(
            hex_of(HOLDER), NONCE, base64.b64encode(HOLDER.sign(NONCE.encode())).decode().rstrip("="), id="plain base64"
        ),
        pytest.param(hex_of(HOLDER), NONCE, GOOD[:-2], id="short signature"),
        pytest.param(hex_of(HOLDER), NONCE, GOOD + "AA", id="long signature"),
        pytest.param(hex_of(HOLDER), NONCE + "\ud800", GOOD, id="nonce is not text"),
        pytest.param(hex_of(HOLDER), NONCE, "\ud800", id="signature is not text"),
    ],
)
def test_bad_proof(key: str, nonce: str, signature: str) -> None:
    fault = proof_fault(key, nonce, signature)

    assert fault
    assert not signature or signature not in fault


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 6))
def test_any_changed_bit_breaks_the_proof(position: int, bit: int) -> None:
    changed = GOOD[:position] + chr(ord(GOOD[position]) ^ 1 << bit) + GOOD[position + 1 :]

    assert proof_fault(hex_of(HOLDER), NONCE, changed)
