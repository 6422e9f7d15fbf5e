"""Certificate, key and CA files are looked into."""

from __future__ import annotations

import datetime as dt
import ipaddress

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.tls_files import Part, inspect

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: Key, password: bytes = b"") -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def make(
    name: str,
    key: Key,
    issuer: tuple[str, Key] | None = None,
    *,
    begin: dt.datetime = NOW - 30 * DAY,
    end: dt.datetime = NOW + 300 * DAY,
    alternative: list[x509.GeneralName] | None = None,
) -> x509.Certificate:
    """Make a certificate, signed by itself unless an issuer is given."""
    by, by_key = issuer or (name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    return builder.sign(by_key, None if isinstance(by_key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


ROOT_KEY, MIDDLE_KEY, LEAF_KEY = new_key(), new_key(), new_key()
ROOT = make("root", ROOT_KEY)
MIDDLE = make("middle", MIDDLE_KEY, ("root", ROOT_KEY))
LEAF = make("broker.example.net", LEAF_KEY, ("root", ROOT_KEY))
DEEP = make("broker.example.net", LEAF_KEY, ("middle", MIDDLE_KEY))


def codes(certificate: bytes | None, key: bytes | None, ca: bytes | None, identity: str = "") -> list[str]:
    return [problem.code for problem in inspect(certificate, key, ca, NOW, identity)]


def test_good_files() -> None:
    assert codes(pem(LEAF), key_pem(LEAF_KEY), pem(ROOT), "broker.example.net") == []
    assert codes(pem(LEAF), key_pem(LEAF_KEY), None, "Broker.Example.net") == []


def test_good_files_of_trustme() -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("broker.example.net")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    found = inspect(chain, issued.private_key_pem.bytes(), authority.cert_pem.bytes(), dt.datetime.now(dt.UTC))
    assert found == ()


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()], ids=["rsa", "ed25519"]
)
def test_other_kinds_of_keys(key: Key) -> None:
    assert codes(pem(make("x", key, ("root", ROOT_KEY))), key_pem(key), pem(ROOT)) == []


def test_text_before_the_pem_block_is_fine() -> None:
    assert codes(b"Certificate:\n    Data:\n" + pem(LEAF), key_pem(LEAF_KEY), b"# our CA\n" + pem(ROOT)) == []


@pytest.mark.parametrize(
    ("certificate", "key", "ca", "code", "part"),
    [
        (b"", key_pem(LEAF_KEY), pem(ROOT), "tls-no-pem", Part.CERTIFICATE),
        (b"junk", key_pem(LEAF_KEY), pem(ROOT), "tls-no-pem", Part.CERTIFICATE),
        (key_pem(LEAF_KEY), key_pem(LEAF_KEY), pem(ROOT), "tls-no-pem", Part.CERTIFICATE),
        (pem(LEAF)[:200], key_pem(LEAF_KEY), pem(ROOT), "tls-bad-pem", Part.CERTIFICATE),
        (pem(LEAF), key_pem(LEAF_KEY), b"", "tls-no-pem", Part.CA),
        (pem(LEAF), key_pem(LEAF_KEY), b"junk", "tls-no-pem", Part.CA),
        (pem(LEAF), b"", pem(ROOT), "tls-no-key", Part.KEY),
        (pem(LEAF), pem(LEAF), pem(ROOT), "tls-no-key", Part.KEY),
        (pem(LEAF), key_pem(LEAF_KEY, b"secret"), pem(ROOT), "tls-key-encrypted", Part.KEY),
        (pem(LEAF), key_pem(ROOT_KEY), pem(ROOT), "tls-key-mismatch", Part.KEY),
        (pem(LEAF), key_pem(LEAF_KEY), pem(MIDDLE), "tls-untrusted", Part.CERTIFICATE),
        (pem(DEEP), key_pem(LEAF_KEY), pem(ROOT), "tls-untrusted", Part.CERTIFICATE),
        (
            pem(make("x", LEAF_KEY, ("root", new_key()))),
            key_pem(LEAF_KEY),
            pem(ROOT),
            "tls-untrusted",
            Part.CERTIFICATE,
        ),
    ],
)
def test_files_that_break_tls(certificate: bytes, key: bytes, ca: bytes, code: str, part: Part) -> None:
    (problem,) = inspect(certificate, key, ca, NOW)
    assert (problem.code, problem.part, problem.fatal, problem.overdue) == (code, part, True, False)
    assert problem.remedy


def test_one_damaged_certificate_in_a_bundle_is_a_warning() -> None:
    (problem,) = inspect(pem(LEAF), key_pem(LEAF_KEY), pem(ROOT) + pem(MIDDLE)[:100], NOW)
    assert (problem.code, problem.part, problem.fatal) == ("tls-bad-pem", Part.CA, False)


@pytest.mark.parametrize(
    ("begin", "end", "code", "fatal"),
    [
        (NOW - 30 * DAY, NOW - DAY, "tls-expired", True),
        (NOW + DAY, NOW + 30 * DAY, "tls-not-yet-valid", True),
        (NOW - 30 * DAY, NOW + 13 * DAY, "tls-expires-soon", False),
        (NOW - 30 * DAY, NOW + 14 * DAY, "", False),
    ],
)
@pytest.mark.parametrize("part", [Part.CERTIFICATE, Part.CA])
def test_dates(begin: dt.datetime, end: dt.datetime, code: str, fatal: bool, part: Part) -> None:
    leaf, root = LEAF, ROOT
    if part is Part.CERTIFICATE:
        leaf = make("broker.example.net", LEAF_KEY, ("root", ROOT_KEY), begin=begin, end=end)
    else:
        root = make("root", ROOT_KEY, begin=begin, end=end)
    found = inspect(pem(leaf), key_pem(LEAF_KEY), pem(root), NOW)
    assert [(problem.code, problem.part, problem.fatal, problem.overdue) for problem in found] == (
        [(code, part, fatal, fatal)] if code else []
    )


def test_chains() -> None:
    assert codes(pem(DEEP) + pem(MIDDLE), key_pem(LEAF_KEY), pem(ROOT)) == []
    assert codes(pem(DEEP), key_pem(LEAF_KEY), pem(MIDDLE)) == []
    assert codes(pem(DEEP), key_pem(LEAF_KEY), pem(ROOT) + pem(MIDDLE)) == []
    alone = make("alone", LEAF_KEY)
    assert codes(pem(alone), key_pem(LEAF_KEY), pem(alone)) == []


def test_an_intermediate_over_its_date() -> None:
    late = make("middle", MIDDLE_KEY, ("root", ROOT_KEY), end=NOW - DAY)
    assert codes(pem(DEEP) + pem(late), key_pem(LEAF_KEY), pem(ROOT)) == ["tls-expired"]


def test_a_renewed_ca_beside_the_old_one() -> None:
    old = make("root", ROOT_KEY, end=NOW - DAY)
    assert codes(pem(LEAF), key_pem(LEAF_KEY), pem(old) + pem(ROOT)) == []


@pytest.mark.parametrize(
    ("names", "identity", "warned"),
    [
        (["a.example.net"], "a.example.net", False),
        (["b.example.net", "A.example.net"], "a.example.net", False),
        (["*.example.net"], "a.example.net", False),
        (["*.example.net"], "a.b.example.net", True),
        (["b.example.net"], "broker.example.net", True),
        ([], "broker.example.net", False),
        ([], "a.example.net", True),
        (["b.example.net"], "", False),
    ],
)
def test_names(names: list[str], identity: str, warned: bool) -> None:
    alternative: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    leaf = make("broker.example.net", LEAF_KEY, ("root", ROOT_KEY), alternative=alternative)
    found = inspect(pem(leaf), key_pem(LEAF_KEY), pem(ROOT), NOW, identity)
    assert [(problem.code, problem.fatal) for problem in found] == ([("tls-name-mismatch", False)] if warned else [])


def test_addresses_as_names() -> None:
    leaf = make("x", LEAF_KEY, ("root", ROOT_KEY), alternative=[x509.IPAddress(ipaddress.ip_address("2001:db8::1"))])
    assert codes(pem(leaf), key_pem(LEAF_KEY), pem(ROOT), "2001:DB8::1") == []
    assert codes(pem(leaf), key_pem(LEAF_KEY), pem(ROOT), "192.0.2.1") == ["tls-name-mismatch"]


def test_only_what_is_given_is_checked() -> None:
    assert codes(None, None, None) == []
    assert codes(None, None, pem(ROOT)) == []
    assert codes(None, key_pem(LEAF_KEY), None) == []


def test_the_key_is_in_no_message() -> None:
    found = inspect(pem(LEAF), key_pem(ROOT_KEY), pem(MIDDLE), NOW, "other")
    assert len(found) == 3
    assert "PRIVATE" not in "".join(problem.problem + problem.remedy for problem in found)


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_give_problems_not_errors(certificate: bytes, key: bytes, ca: bytes) -> None:
    assert {problem.code for problem in inspect(certificate, key, ca, NOW)} >= {"tls-no-key"}


@given(st.integers(0, len(pem(LEAF)) - 1), st.integers(0, 255))
def test_a_flipped_byte_never_raises(place: int, byte: int) -> None:
    damaged = bytearray(pem(LEAF))
    damaged[place] = byte
    assert isinstance(inspect(bytes(damaged), key_pem(LEAF_KEY), pem(ROOT), NOW, "x"), tuple)
