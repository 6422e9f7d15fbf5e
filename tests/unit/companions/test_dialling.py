"""How a connection is made: whose certificates are accepted."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from choria_broker.companions.dialling import _context
from choria_broker.settings.companions import SideTls


def shaken_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Have both ends agree, or raise."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="broker.example.net"),
        server.wrap_bio(there, back, server_side=True),
    ]
    while ends:
        for end in tuple(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


@pytest.mark.parametrize("trusted", ["root", "intermediate", "both"])
def test_each_certificate_of_the_ca_file_is_an_anchor_as_in_go(tmp_path: Path, trusted: str) -> None:
    root = trustme.CA()
    intermediate = root.create_child_ca()
    own = intermediate.issue_cert("broker.example.net")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.configure_cert(server)
    pems = {"root": [root], "intermediate": [intermediate], "both": [intermediate, root]}[trusted]
    (tmp_path / "ca.pem").write_bytes(b"".join(each.cert_pem.bytes() for each in pems))
    shaken_hands(server, _context(SideTls(ca=str(tmp_path / "ca.pem"))))


def test_others_are_refused(tmp_path: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("broker.example.net").configure_cert(server)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken_hands(server, _context(SideTls(ca=str(tmp_path / "ca.pem"))))
    shaken_hands(server, _context(SideTls(ca=str(tmp_path / "ca.pem"), verify=False)))


def test_no_more_is_wanted_of_a_certificate_than_go_wants(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert not _context(SideTls(ca=str(tmp_path / "ca.pem"))).verify_flags & ssl.VERIFY_X509_STRICT
