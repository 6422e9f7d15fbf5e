"""Forms private keys come in."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from choria_broker.security.keys import KeyFormError
from choria_broker.security.signing import SigningKey, signing_key_from_file
from support.minting import HOLDER, RSA

SEED = HOLDER.private_bytes_raw().hex().encode()
EC = ec.generate_private_key(ec.SECP256R1())


def pem(key: SigningKey | ec.EllipticCurvePrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


@pytest.mark.parametrize(
    ("content", "key"),
    [
        pytest.param(SEED, HOLDER, id="seed"),
        pytest.param(SEED.upper() + b"\n", HOLDER, id="seed in upper case with a newline"),
        pytest.param(pem(HOLDER), HOLDER, id="ed25519 PEM"),
        pytest.param(pem(RSA), RSA, id="PRIVATE KEY"),
        pytest.param(pem(RSA, PrivateFormat.TraditionalOpenSSL), RSA, id="RSA PRIVATE KEY"),
        pytest.param(b"\n" + pem(RSA) + b"\n", RSA, id="white space around"),
    ],
)
def test_usable_files(content: bytes, key: SigningKey) -> None:
    found = signing_key_from_file(content)
    assert type(found) is type(key)
    assert found.public_key() == key.public_key()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "neither", id="empty"),
        pytest.param(SEED[:-1], "neither", id="63 digits"),
        pytest.param(SEED + b"00", "neither", id="66 digits"),
        pytest.param(b"\xff" * 64, "neither", id="not text"),
        pytest.param(b"x" * 64, "neither", id="not hex"),
        pytest.param(pem(EC), "neither an RSA", id="EC"),
        pytest.param(pem(EC, PrivateFormat.TraditionalOpenSSL), "neither", id="EC PRIVATE KEY"),
        pytest.param(
            RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "encrypted",
            id="encrypted",
        ),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read", id="damaged"),
    ],
)
def test_unusable_files(content: bytes, problem: str) -> None:
    with pytest.raises(KeyFormError, match=problem) as caught:
        signing_key_from_file(content)
    assert content[:20].decode(errors="replace") not in str(caught.value) or not content
