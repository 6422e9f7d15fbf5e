"""Forms public keys come in."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from choria_broker.security.keys import KeyFormError, ed25519_from_hex, is_hex_key, key_from_file, signature_from_hex
from support.minting import HOLDER, RSA, VECTORS, hex_of

KEYS = VECTORS / "keys"
HEX = hex_of(HOLDER)
EC = ec.generate_private_key(ec.SECP256R1())


def spki(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certificate(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    long_ago = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), 1, long_ago, long_ago + dt.timedelta(days=1))
        .sign(key, None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param((KEYS / "rsa_cert.pem").read_bytes(), id="certificate"),
        pytest.param((KEYS / "rsa_public.pem").read_bytes(), id="public key"),
        pytest.param(b"\n" + (KEYS / "rsa_public.pem").read_bytes() + b"\n\n", id="white space around"),
        pytest.param((KEYS / "rsa_public.pem").read_bytes() + spki(EC), id="first block counts"),
        pytest.param((KEYS / "rsa_cert.pem").read_bytes() + certificate(EC), id="first certificate counts"),
    ],
)
def test_rsa_files(content: bytes) -> None:
    key = key_from_file(content)

    assert isinstance(key, RSAPublicKey)
    assert key.public_numbers() == RSA.public_key().public_numbers()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HEX.encode(), id="hex"),
        pytest.param(HEX.upper().encode(), id="upper case hex"),
        pytest.param(HEX.encode() + b"\r\n", id="hex and newline"),
        pytest.param(spki(HOLDER), id="public key"),
        pytest.param(certificate(HOLDER), id="certificate, long expired"),
    ],
)
def test_ed25519_files(content: bytes) -> None:
    key = key_from_file(content)

    assert isinstance(key, Ed25519PublicKey)
    assert key.public_bytes_raw().hex() == HEX


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 64, id="not text"),
        pytest.param(HEX.encode()[:-1], id="63 digits"),
        pytest.param(HEX.encode() + b"00", id="66 digits"),
        pytest.param(spki(EC), id="EC public key"),
        pytest.param(certificate(EC), id="EC certificate"),
        pytest.param(
            RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1), id="RSA public key in the older form"
        ),
        pytest.param(RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), id="private key"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="damaged certificate"),
        pytest.param(b"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n", id="damaged public key"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n", id="cut certificate"),
        pytest.param(b"# comment\n" + (KEYS / "rsa_cert.pem").read_bytes(), id="text in front of PEM"),
    ],
)
def test_unusable_files(content: bytes) -> None:
    with pytest.raises(KeyFormError) as caught:
        key_from_file(content)

    assert len(str(caught.value)) < 120, "the content of the file is not repeated"


@pytest.mark.parametrize("text", ["", HEX[:-1], HEX + "0", "g" * 64, " " + HEX[1:], HEX[:-1] + "\n", "\u0663" * 64])
def test_not_a_hex_key(text: str) -> None:
    assert not is_hex_key(text)
    with pytest.raises(KeyFormError, match="64 hex digits"):
        ed25519_from_hex(text)


@pytest.mark.parametrize("text", ["", "0" * 127, "0" * 129, "x" * 128, "0" * 127 + "\n"])
def test_not_a_hex_signature(text: str) -> None:
    with pytest.raises(KeyFormError, match="128 hex digits"):
        signature_from_hex(text)


def test_a_certificate_of_no_known_version_is_refused_like_any_other_damage() -> None:
    der = x509.load_pem_x509_certificate(certificate(EC)).public_bytes(Encoding.DER)
    damaged = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    assert damaged != der
    body = base64.encodebytes(damaged)

    with pytest.raises(KeyFormError, match="cannot be read"):
        key_from_file(b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n")
