"""Certificate, key and CA files are looked into; tests/integration/test_certificate_judgement.py asks Go about them."""

from __future__ import annotations

import base64
import datetime as dt
import time

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.tls_files import inspect, load
from choria_broker.security.tls_problems import Part, TlsProblem
from choria_broker.security.verifier import Use
from support.certificate_cases import BAD, CASES, GOOD, LEAF, MIDDLE, OTHER, ROOT, Case
from support.certificates import CLIENT, DAY, HOST, NOW, SERVER, Key, authority, broker, private_pem, stored


def found(case: Case, use: Use = Use.SERVER) -> tuple[TlsProblem, ...]:
    return inspect(case.certificate, case.key, case.ca, NOW, case.host, use)


def codes(certificate: bytes | None, key: bytes | None, ca: bytes | None, identity: str = "") -> list[str]:
    return [problem.code for problem in inspect(certificate, key, ca, NOW, identity)]


@pytest.mark.parametrize("name", CASES)
def test_what_is_said(name: str) -> None:
    case = CASES[name]
    problems = found(case)
    fatal = {problem.code for problem in problems if problem.fatal}
    assert fatal - set(case.said) <= {case.server}, [problem.problem for problem in problems]
    assert case.server in fatal or not case.server
    assert {problem.code for problem in problems} - {case.server} == set(case.said) - {case.server}
    assert all((problem.remedy or problem.code.remedy) and problem.effect for problem in problems)
    assert not any(problem.problem.endswith(".") for problem in problems)


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_a_client(name: str) -> None:
    case = CASES[name]
    fatal = {problem.code for problem in found(case, Use.CLIENT) if problem.fatal}
    assert (case.client in fatal) if case.client else not fatal


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.words])
def test_the_words(name: str) -> None:
    case = CASES[name]
    assert any(case.words in problem.problem for use in Use for problem in found(case, use))


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_said_of_good_files(name: str) -> None:
    assert found(GOOD[name]) == found(GOOD[name], Use.CLIENT) == ()


def test_good_files_of_trustme() -> None:
    made = trustme.CA()
    issued = made.issue_cert("broker.example.net")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    files = (chain, issued.private_key_pem.bytes(), made.cert_pem.bytes())
    for use in Use:
        assert inspect(*files, dt.datetime.now(dt.UTC), HOST, use) == ()


@pytest.mark.parametrize(
    "private", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()], ids=["rsa", "ed25519"]
)
def test_other_kinds_of_keys(private: Key) -> None:
    leaf = broker(ROOT, private=private)
    assert codes(leaf.pem, leaf.key_pem, ROOT.pem) == []


def test_a_key_whose_numbers_do_not_belong_together() -> None:
    private = rsa.generate_private_key(65537, 2048)
    leaf = broker(ROOT, private=private)
    mine = private.private_numbers()
    mixed = rsa.RSAPrivateNumbers(
        mine.p, mine.q, mine.d + 2, mine.dmp1, mine.dmq1, mine.iqmp, mine.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    assert codes(leaf.pem, private_pem(mixed), ROOT.pem) == ["tls-no-key"]


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
        leaf = broker(ROOT, private=LEAF.key, begin=begin, end=end)
    else:
        root = authority(private=ROOT.key, begin=begin, end=end)
    said = inspect(leaf.pem, leaf.key_pem, root.pem, NOW)
    assert [(each.code, each.part, each.fatal, each.overdue) for each in said if each.fatal == fatal] == (
        [(code, part, fatal, fatal)] if code else []
    )


def test_a_ca_that_ends_soon_beside_its_renewal() -> None:
    old = authority(private=ROOT.key, end=NOW + DAY)
    assert codes(LEAF.pem, LEAF.key_pem, old.pem) == ["tls-expires-soon"]
    assert codes(LEAF.pem, LEAF.key_pem, old.pem + ROOT.pem) == []


def test_a_ca_that_is_out_of_date_is_idle_beside_a_good_one() -> None:
    old, later = authority(end=NOW - DAY, name="old"), authority(begin=NOW + DAY, name="later")
    said = inspect(LEAF.pem, LEAF.key_pem, old.pem + ROOT.pem + later.pem, NOW)
    assert [(each.code, each.idle, each.fatal) for each in said] == [
        ("tls-expired", True, False),
        ("tls-not-yet-valid", True, False),
    ]
    assert [each.idle for each in inspect(None, None, old.pem, NOW)] == [False]


def test_only_what_is_given_is_checked() -> None:
    assert codes(None, None, None) == []
    assert codes(None, None, ROOT.pem) == []
    assert codes(None, LEAF.key_pem, None) == []
    assert codes(LEAF.pem, LEAF.key_pem, None, HOST) == []


@pytest.mark.parametrize(("use", "usage"), [(Use.SERVER, CLIENT), (Use.CLIENT, SERVER)])
def test_without_a_ca_the_use_of_a_certificate_is_a_warning(use: Use, usage: x509.ObjectIdentifier) -> None:
    leaf = broker(ROOT, usages=(usage,))
    (problem,) = inspect(leaf.pem, leaf.key_pem, None, NOW, use=use)
    assert (problem.code, problem.fatal) == (f"tls-not-for-{use.name.lower()}s", False)


def test_without_a_ca_a_signature_with_sha1_is_a_warning() -> None:
    (problem,) = inspect(stored("sha1.pem"), stored("sha1.key"), None, NOW)
    assert (problem.code, problem.fatal) == ("tls-weak-signature", False)
    assert "SHA-1" in problem.problem


def test_a_name_mismatch_says_what_to_ask_for() -> None:
    (problem,) = inspect(LEAF.pem, LEAF.key_pem, ROOT.pem, NOW, "other.example.net")
    assert problem.problem == f"the certificate is for {HOST}, not for other.example.net"
    assert problem.remedy == "request a certificate with the alternative name other.example.net"


def test_der_says_how_to_convert() -> None:
    assert "-inform der" in found(BAD["DER"])[0].remedy
    (problem,) = inspect(LEAF.pem, b"\x30\x82" + b"x" * 50, ROOT.pem, NOW)
    assert (problem.code, "openssl pkey -inform der" in problem.remedy) == ("tls-no-key", True)


@pytest.mark.untraced
def test_many_cas_of_one_name_are_not_tried_for_ever() -> None:
    shared = authority("loop")
    loop = [authority("loop", shared, private=shared.key) for _ in range(30)]
    leaf = broker(loop[0])
    begin = time.thread_time()
    inspect(leaf.pem + b"".join(each.pem for each in loop), leaf.key_pem, ROOT.pem, NOW)
    assert time.thread_time() - begin < 1


def test_certificates_are_loaded_as_the_engine_does() -> None:
    assert load(MIDDLE.pem + b"  " + OTHER.pem) == (MIDDLE.certificate,)


def test_the_key_is_in_no_message() -> None:
    for case in CASES.values():
        text = "".join(problem.problem + problem.remedy for problem in found(case))
        lines = [line for line in case.key.decode(errors="replace").split() if len(line) > 30]
        assert not any(line in text for line in lines)


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_give_problems_not_errors(certificate: bytes, key: bytes, ca: bytes) -> None:
    assert {problem.code for problem in inspect(certificate, key, ca, NOW)} >= {"tls-no-key"}


@given(st.integers(0, len(LEAF.pem) - 1), st.integers(0, 255), st.sampled_from([LEAF, ROOT]))
def test_a_flipped_byte_never_raises(place: int, byte: int, which: object) -> None:
    files = {LEAF: bytearray(LEAF.pem), ROOT: bytearray(ROOT.pem)}
    damaged = files[LEAF if which is LEAF else ROOT]
    damaged[place % len(damaged)] = byte
    for use in Use:
        assert isinstance(inspect(bytes(files[LEAF]), LEAF.key_pem, bytes(files[ROOT]), NOW, "x", use), tuple)


@given(st.integers(0, len(LEAF.der) - 1), st.integers(0, 255))
def test_a_flipped_byte_inside_a_certificate_never_raises(place: int, byte: int) -> None:
    damaged = bytearray(LEAF.der)
    damaged[place] = byte
    text = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(damaged) + b"\n-----END CERTIFICATE-----\n"
    for use in Use:
        assert isinstance(inspect(text, LEAF.key_pem, ROOT.pem, NOW, HOST, use), tuple)
