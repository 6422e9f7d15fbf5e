"""What a key process answers to a request."""

from __future__ import annotations

import functools
import itertools

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.engine.outside.signing import (
    ECDSA,
    ED25519,
    HASHES,
    LONGEST,
    PKCS1,
    PSS,
    PrivateKey,
    RequestError,
    answer,
    key_name,
    load_key,
)

NOW = 1_700_000_000.0
NUMBER = bytes(range(8))


@functools.cache
def key(kind: str) -> PrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else ed25519.Ed25519PrivateKey.generate()


def name(kind: str) -> bytes:
    return key_name(key(kind).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def request(kind: str, how: int, hashed: int, digest: bytes, until: float = NOW + 2) -> bytes:
    return NUMBER + int(until * 1000).to_bytes(8, "big") + name(kind) + bytes([how, hashed]) + digest


def asked(kind: str, how: int, hashed: int, digest: bytes, until: float = NOW + 2) -> bytes:
    keys = {name(each): key(each) for each in ("rsa", "ec", "ed")}
    return answer(keys, request(kind, how, hashed, digest, until), NOW)


@pytest.mark.parametrize("hashed", list(HASHES))
@pytest.mark.parametrize("how", [PKCS1, PSS])
def test_rsa_signs_with_every_hash_of_tls(how: int, hashed: int) -> None:
    digest = bytes(HASHES[hashed].digest_size)
    made = asked("rsa", how, hashed, digest)
    assert made[:9] == NUMBER + b"\x00"
    public = key("rsa").public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    size = HASHES[hashed].digest_size
    how_padded = padding.PKCS1v15() if how == PKCS1 else padding.PSS(padding.MGF1(HASHES[hashed]), size)
    public.verify(made[9:], digest, how_padded, utils.Prehashed(HASHES[hashed]))
    with pytest.raises(InvalidSignature):
        public.verify(made[9:], b"\x01" * size, how_padded, utils.Prehashed(HASHES[hashed]))


def test_the_salt_of_pss_is_as_long_as_the_hash() -> None:
    one, two = (asked("rsa", PSS, 2, bytes(32)) for _ in range(2))
    assert one != two  # It has a salt.


def test_ecdsa_signs_hashes_and_ed25519_messages() -> None:
    public, other = key("ec").public_key(), key("ed").public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(other, ed25519.Ed25519PublicKey)
    public.verify(asked("ec", ECDSA, 3, bytes(48))[9:], bytes(48), ec.ECDSA(utils.Prehashed(HASHES[3])))
    other.verify(asked("ed", ED25519, 0, b"a message of any length")[9:], b"a message of any length")


@pytest.mark.parametrize(
    ("kind", "how", "hashed", "digest", "why"),
    [
        ("rsa", ECDSA, 2, bytes(32), b"not for this key"),
        ("rsa", ED25519, 2, bytes(32), b"not for this key"),
        ("rsa", 0, 2, bytes(32), b"not for this key"),
        ("ec", PSS, 2, bytes(32), b"not for this key"),
        ("ed", PKCS1, 0, bytes(32), b"not for this key"),
        ("rsa", PSS, 0, bytes(32), b"unknown hash"),
        ("rsa", PSS, 9, bytes(32), b"unknown hash"),
        ("rsa", PSS, 2, bytes(31), b"ValueError"),
    ],
)
def test_what_cannot_be_signed_is_refused(kind: str, how: int, hashed: int, digest: bytes, why: bytes) -> None:
    assert asked(kind, how, hashed, digest) == NUMBER + b"\x01" + why


def test_keys_that_are_not_there_and_what_is_too_short_are_refused() -> None:
    whole = request("rsa", PSS, 2, bytes(32))
    assert answer({}, whole, NOW) == NUMBER + b"\x01unknown key"
    assert answer({}, whole[:40], NOW) == NUMBER + b"\x01malformed"


def test_nobody_signs_what_nobody_waits_for() -> None:
    assert asked("ec", ECDSA, 2, bytes(32), until=NOW) == b""
    assert asked("ec", ECDSA, 2, bytes(32), until=NOW + 0.01)


@given(st.binary(max_size=LONGEST))
def test_no_request_ends_the_process(noise: bytes) -> None:
    assert isinstance(answer({name("ec"): key("ec")}, noise, 0.0), bytes)


FORMS = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)


@pytest.mark.parametrize(("kind", "form"), list(itertools.product(("rsa", "ec"), FORMS)))
def test_keys_are_read_in_every_form_that_the_engine_reads(kind: str, form: PrivateFormat) -> None:
    text = key(kind).private_bytes(Encoding.PEM, form, NoEncryption())
    before = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    words = b"# the PRIVATE KEY----- of the broker\nx-----BEGIN PRIVATE KEY-----\n"
    for content in (text, before + text, b"words\n" + text + text, words + text.replace(b"\n", b"\r\n")):
        found, private = load_key(content)
        assert found == name(kind)
        assert private.public_key() == key(kind).public_key()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----END PRIVATE KEY-----",
        key("ec").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
    ],
    ids=["empty", "damaged", "no beginning", "encrypted"],
)
def test_what_is_no_key_is_refused_without_its_content(content: bytes) -> None:
    with pytest.raises(RequestError, match="no usable private key: ") as refused:
        load_key(content)
    assert "AAAA" not in str(refused.value)


def test_keys_of_other_kinds_are_refused() -> None:
    other = dsa.generate_private_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(RequestError, match="of a kind that TLS does not use"):
        load_key(other)
