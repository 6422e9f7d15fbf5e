from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.crls import authorities_of, newest, read_crls
from choria_broker.security.tls_files import load_authorities
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.revocation import Crl
from support.revoking import HOUR, crl

FILE = Path("/etc/crl.pem")
ROOT, OTHER = trustme.CA(), trustme.CA(key_type=trustme.KeyType.RSA)
CHILD = ROOT.create_child_ca()
BUNDLE = ROOT.cert_pem.bytes() + OTHER.cert_pem.bytes() + CHILD.cert_pem.bytes()
KNOWN = load_authorities(BUNDLE)
NOW = dt.datetime.now(dt.UTC)


def test_several_lists_of_several_cas_in_one_file() -> None:
    content = crl(ROOT, [1, 0xAB]) + b"some words\n" + crl(OTHER, [2], number=None) + crl(CHILD, [3])
    read = read_crls(content, FILE, KNOWN)
    assert not read.problems
    assert not read.strangers
    assert [sorted(each.serials) for each in read.lists] == [["1", "ab"], ["2"], ["3"]]
    assert [each.number for each in read.lists] == [1, None, 1]
    authorities = authorities_of(KNOWN)
    assert [each.key for each in read.lists] == [each.key for each in authorities]
    first = read.lists[0]
    assert first.next_update
    assert first.next_update - first.updated == HOUR.total_seconds()
    assert not first.overdue(first.next_update - 1)
    assert first.overdue(first.next_update)
    assert "trustme" in first.issuer
    assert first.file == FILE


def test_lists_signed_with_rsa_pss() -> None:
    read = read_crls(crl(OTHER, [5], pss=True), FILE, KNOWN)
    assert [each.serials for each in read.lists] == [frozenset({"5"})]


def test_an_intermediate_ca_knows_who_issued_it() -> None:
    root, other, child = authorities_of(KNOWN)
    assert (root.issuer_key, other.issuer_key, child.issuer_key) == ("", "", root.key)
    assert child.issuer == root.subject
    assert child.serial == f"{KNOWN[2].serial_number:x}"


def renamed() -> trustme.CA:
    """Make another CA with the name of the first."""
    made = trustme.CA()
    made._certificate = ROOT._certificate
    return made


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", Code.CRL_DAMAGED, "no list of revoked certificates in the file: the file is empty"),
        (ROOT.cert_pem.bytes(), Code.CRL_DAMAGED, "no list"),
        (crl(ROOT)[:-40], Code.CRL_DAMAGED, "damaged or incomplete"),
        (crl(ROOT) + crl(OTHER)[:200], Code.CRL_DAMAGED, "damaged or incomplete"),
        (b" " + crl(ROOT), Code.CRL_DAMAGED, "damaged or incomplete: "),
        (
            b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
            Code.CRL_DAMAGED,
            "the list of revoked certificates is damaged",
        ),
        (x509.load_pem_x509_crl(crl(ROOT)).public_bytes(Encoding.DER), Code.CRL_DAMAGED, "DER form"),
        (crl(ROOT, delta=True), Code.CRL_KIND, "is a delta list, which has only the changes"),
        (crl(ROOT) + crl(ROOT, delta=True), Code.CRL_KIND, "list 2 in the file, of .* is a delta list"),
        (
            crl(ROOT, extension=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")),
            Code.CRL_KIND,
            r"unknown critical extension \(1.2.3.4\)",
        ),
        (crl(ROOT, signed_by=OTHER), Code.CRL_SIGNATURE, "was not signed by the CA of this name"),
        (crl(trustme.CA()), Code.CRL_STRANGER, "only lists of CAs that are not in the CA file: "),
    ],
)
def test_what_cannot_be_used(content: bytes, code: Code, words: str) -> None:
    read = read_crls(content, FILE, KNOWN)
    assert [each.code for each in read.problems] == [code]
    assert read.problems[0].remedy or code.remedy
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(read.problems[0].problem)


def point(**more: Any) -> x509.IssuingDistributionPoint:
    plain: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(plain | more))


def test_lists_about_some_certificates_only() -> None:
    whole = point(full_name=[x509.UniformResourceIdentifier("http://ca.example.net/crl")])
    assert read_crls(crl(ROOT, [7], extension=whole), FILE, KNOWN).lists
    for more in ({"indirect_crl": True}, {"only_contains_user_certs": True}, {"only_contains_ca_certs": True}):
        read = read_crls(crl(ROOT, extension=point(**more)), FILE, KNOWN)
        assert [each.code for each in read.problems] == [Code.CRL_KIND]


def part(number: int) -> bytes:
    """Make one of several lists over which a CA spreads its certificates."""
    where = x509.UniformResourceIdentifier(f"http://ca.example.net/{number}")
    return crl(ROOT, [number], number=number, extension=point(full_name=[where]))


def test_lists_that_are_each_about_a_part_are_not_taken_for_newer_ones_of_the_whole() -> None:
    for content in (part(1) + part(2), part(1) + crl(ROOT, [2], number=2)):
        (problem,) = read_crls(content, FILE, KNOWN).problems
        assert (problem.code, "for several distribution points" in problem.problem) == (Code.CRL_KIND, True)
    assert read_crls(part(1) + part(1), FILE, KNOWN).problems == ()


def test_an_entry_for_a_certificate_of_another_ca_revokes_none_of_this_one() -> None:
    moment = dt.datetime.now(dt.UTC)
    other = x509.CertificateIssuer([x509.DirectoryName(OTHER._certificate.subject)])
    entry = x509.RevokedCertificateBuilder(7, moment).add_extension(other, critical=True).build()
    builder = x509.CertificateRevocationListBuilder(ROOT._certificate.subject, moment, moment + HOUR)
    made = builder.add_revoked_certificate(entry).sign(ROOT._private_key, hashes.SHA256()).public_bytes(Encoding.PEM)
    read = read_crls(made, FILE, KNOWN)
    assert (read.lists, [each.code for each in read.problems]) == ((), [Code.CRL_KIND])
    assert "covers certificates of other CAs" in read.problems[0].problem


def test_a_ca_of_the_same_name_has_lists_of_its_own() -> None:
    """Puppet names a new CA as the old one, and its serial numbers begin anew."""
    second = renamed()
    assert read_crls(crl(ROOT, [1], signed_by=second), FILE, KNOWN).problems[0].code is Code.CRL_SIGNATURE


def test_a_stranger_beside_a_known_one() -> None:
    stranger = trustme.CA()
    read = read_crls(crl(stranger, [9]) + crl(ROOT, [1]), FILE, KNOWN)
    assert not read.problems
    assert len(read.strangers) == 1
    assert [each.serials for each in read.lists] == [frozenset({"1"})]


def test_the_newest_list_of_each_ca_counts() -> None:
    old, new = crl(ROOT, [1], number=3), crl(ROOT, [1, 2], number=4)
    for content in (old + new, new + old):
        assert [each.number for each in read_crls(content, FILE, KNOWN).lists] == [4]
    before = crl(ROOT, [1], number=None, updated=NOW - HOUR)
    after = crl(ROOT, [2], number=None, updated=NOW)
    for content in (before + after, after + before):
        assert [each.serials for each in read_crls(content, FILE, KNOWN).lists] == [frozenset({"2"})]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.one_of(st.none(), st.integers(0, 3)), st.integers(0, 3)), max_size=6)
)
def test_one_list_for_each_key_is_left(made: list[tuple[str, int | None, int]]) -> None:
    lists = [Crl("CN=x", key, FILE, float(updated), number) for key, number, updated in made]
    found = newest(lists)
    assert sorted(each.key for each in found) == sorted({each.key for each in lists})
    assert all(each in lists for each in found)


@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_damage_never_raises_and_never_takes_away(place: int, byte: int) -> None:
    content = bytearray(_WHOLE)
    content[place % len(content)] = byte
    read = read_crls(bytes(content), FILE, KNOWN)
    if not read.problems and not read.strangers:
        assert [each.serials for each in read.lists] == [frozenset({"1", "ab"})]


_WHOLE = crl(ROOT, [1, 0xAB])
