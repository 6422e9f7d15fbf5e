"""What hangs on which CA."""

from __future__ import annotations

from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from choria_broker.engine.authorities import Count
from choria_broker.stats.authorities import Authority, Use, authorities, uses
from choria_broker.stats.certificates import Role, Source

CA, LEAFNODE_CA = Source(Role.CA, Path("/ca.pem")), Source(Role.LEAFNODE_CA, Path("/leafnode.pem"))
OLD, NEW = Authority("0a", "CN=old", 100, (Path("/ca.pem"),)), Authority("0b", "CN=new", 200, (Path("/ca.pem"),))


def test_each_certificate_of_the_files_once() -> None:
    one, two = trustme.CA(), trustme.CA()
    content = one.cert_pem.bytes() + two.cert_pem.bytes() + one.cert_pem.bytes()
    files = [(CA, content), (Source(Role.BROKER, Path("/b.pem")), content), (LEAFNODE_CA, two.cert_pem.bytes())]
    found = authorities(files)
    read = [x509.load_pem_x509_certificate(each.cert_pem.bytes()) for each in (one, two)]
    assert [each.fingerprint for each in found] == [each.fingerprint(SHA256()).hex() for each in read]
    assert [each.subject for each in found] == [each.subject.rfc4514_string() for each in read]
    assert [each.expires for each in found] == [each.not_valid_after_utc.timestamp() for each in read]
    assert [each.files for each in found] == [(CA.file,), (CA.file, LEAFNODE_CA.file)]


def test_what_cannot_be_read_is_passed_over() -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert authorities([(CA, broken + trustme.CA().cert_pem.bytes())])
    assert authorities([(CA, b"")]) == ()


def test_connections_by_authority() -> None:
    counts = [
        Count("client", "mtls", 3, "CN=gone", "0c", 50),
        Count("client", "mtls", 2, "CN=new", "0b", 200),
        Count("leafnode", "mtls", 1, "CN=new", "0b", 200),
        Count("client", "anon", 4),
        Count("websocket", "none", 5),
    ]
    found = uses([OLD, NEW], counts, 1000)
    assert found.authorities == (
        Use(OLD, {}),
        Use(NEW, {"client": 2, "leafnode": 1}),
        Use(Authority("0c", "CN=gone", 50), {"client": 3}),
    )
    assert (found.without_certificate, found.clear_text, found.time) == ({"client": 4}, {"websocket": 5}, 1000)


def test_nothing_is_counted_where_nothing_is() -> None:
    assert uses([], [], 0).authorities == ()
