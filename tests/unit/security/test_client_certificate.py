"""Judging a client's certificate as the engine would in the handshake."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from choria_broker.security.client_certificate import CertificateFileError, load_chain, path, refusal

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
CA = x509.BasicConstraints(ca=True, path_length=None)
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
ANY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x")


@dataclasses.dataclass(frozen=True)
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(
    name: str,
    issuer: Made | None = None,
    *extensions: x509.ExtensionType,
    critical: bool = False,
    begin: dt.datetime = NOW - dt.timedelta(days=1),
    end: dt.datetime = NOW + dt.timedelta(days=1),
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Made:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Made(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


ROOT = make("root", None, CA)
OTHER = make("other", None, CA)
BETWEEN = make("between", ROOT, CA)
NOT_A_CA = make("not-a-ca", ROOT)
PATH_0 = make("narrow", None, x509.BasicConstraints(ca=True, path_length=0))
OLD = make("old-root", None, CA, end=NOW - dt.timedelta(hours=1))


def judged(chain: Sequence[Made], trusted: Sequence[Made] = (ROOT,)) -> str | None:
    return refusal([made.certificate for made in chain], [made.certificate for made in trusted], NOW)


@pytest.mark.parametrize(
    "chain",
    [
        [make("common-name-only", ROOT)],
        [make("for-clients", ROOT, CLIENT)],
        [make("for-anything", ROOT, ANY)],
        [make("below", BETWEEN), BETWEEN],
        [make("below", BETWEEN), OTHER, BETWEEN, ROOT],
        [ROOT],
        [make("signing-ca", ROOT, CA, key_usage(signs_certificates=True))],
    ],
)
def test_verified(chain: list[Made]) -> None:
    assert judged(chain) is None


def test_of_a_ca_that_was_renewed_the_valid_certificate_counts() -> None:
    renewed = make("old-root", None, CA, key=OLD.key)

    assert judged([make("leaf", OLD)], [OLD, renewed]) is None


@pytest.mark.parametrize(
    ("chain", "trusted", "reason"),
    [
        ([make("leaf", OTHER)], [ROOT], "it was not issued by a CA in the broker's CA file; its issuer is CN=other"),
        ([make("below", BETWEEN)], [ROOT], "its issuer is CN=between"),
        (
            [make("leaf", ROOT, end=NOW - dt.timedelta(hours=1))],
            [ROOT],
            "the certificate CN=leaf expired on 2026-05-31",
        ),
        ([make("leaf", ROOT, begin=NOW + dt.timedelta(hours=1))], [ROOT], "CN=leaf is not valid before 2026-06-01"),
        ([make("leaf", OLD)], [OLD], "CA certificate CN=old-root expired on 2026-05-31"),
        ([make("leaf", ROOT, SERVER)], [ROOT], "its extended key usage lacks clientAuth"),
        ([make("leaf", NOT_A_CA), NOT_A_CA], [ROOT], "CA certificate CN=not-a-ca is not a CA"),
        ([make("leaf", ROOT, STRANGE, critical=True)], [ROOT], "an unsupported critical extension, 1.2.3.4"),
    ],
)
def test_refused(chain: list[Made], trusted: list[Made], reason: str) -> None:
    found = judged(chain, trusted)
    assert found is not None
    assert reason in found


def test_a_ca_may_limit_the_cas_below_it() -> None:
    middle = make("middle", PATH_0, CA)
    assert judged([make("leaf", PATH_0)], [PATH_0]) is None
    assert "allows fewer intermediate CAs below it" in str(judged([make("leaf", middle), middle], [PATH_0]))


def test_a_ca_must_be_allowed_to_sign() -> None:
    silent = make("silent", None, CA, key_usage(signs_certificates=False))
    assert "lacks keyCertSign" in str(judged([make("leaf", silent)], [silent]))


def test_a_name_is_not_enough_to_be_the_issuer() -> None:
    impostor = make("root", None, CA)
    assert "it was not issued by a CA in the broker's CA file" in str(judged([make("leaf", impostor)], [ROOT]))


def test_files() -> None:
    pem = ROOT.certificate.public_bytes(Encoding.PEM)
    assert load_chain(b"a comment\n" + pem + b"\n" + pem) == (ROOT.certificate, ROOT.certificate)
    with pytest.raises(CertificateFileError, match="no PEM certificate"):
        load_chain(b"")
    with pytest.raises(CertificateFileError, match="damaged"):
        load_chain(pem[:200] + b"\n-----END CERTIFICATE-----\n")


def test_the_way_to_the_ca_file() -> None:
    root, other = make("root", None, CA), make("other", None, CA)
    child = make("child", root, CA)
    leaf, self_signed = make("leaf", child, CLIENT).certificate, make("alone").certificate
    top, between = root.certificate, child.certificate
    assert path((leaf, between), (other.certificate, top)) == (leaf, between, top)
    assert path((leaf, between), (between, top)) == (leaf, between), "what is in the CA file ends the way"
    assert path((leaf, other.certificate), (top,)) == (leaf,)
    assert path((leaf,), ()) == (leaf,)
    assert path((self_signed,), (self_signed,)) == (self_signed, self_signed)
