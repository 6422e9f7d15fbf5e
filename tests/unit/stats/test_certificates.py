"""When certificates expire."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import trustme

from choria_broker.settings.broker import Settings
from choria_broker.settings.links import Gateway, GatewayRemote, LeafnodeRemote, Leafnodes
from choria_broker.settings.network import Network
from choria_broker.settings.tls import RemoteTls, Tls, TlsFiles
from choria_broker.stats.certificates import Certificate, Role, Source, certificates, sources

SOURCE = Source(Role.CA, Path("/etc/ca.pem"))
SOON = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def settings(network: Network, *, tls: bool = True) -> Settings:
    files = TlsFiles(certificate=Path("/b.pem"), key=Path("/b.key"), ca=Path("/ca.pem")) if tls else None
    return Settings(
        source=Path("/broker.conf"),
        identity="broker",
        tls=Tls(enabled=tls, everywhere=tls, verify_clients=tls, files=files),
        network=network,
    )


def test_every_file_of_the_settings() -> None:
    own = RemoteTls(certificate=Path("/g.pem"), key=Path("/g.key"), ca=Path("/gca.pem"))
    network = Network(
        client_signers=("/signer.pem", "aa" * 32),
        server_signers=("/signer.pem",),
        gateway=Gateway(
            remotes=(GatewayRemote(name="A", urls=(), tls=own), GatewayRemote(name="B", urls=(), tls=RemoteTls()))
        ),
        leafnodes=Leafnodes(
            remotes=(
                LeafnodeRemote(
                    name="C", urls=(), account="choria", credentials=None, tls=RemoteTls(ca=Path("/lca.pem"))
                ),
            )
        ),
    )
    assert [(source.role.value, str(source.file)) for source in sources(settings(network))] == [
        ("broker", "/b.pem"),
        ("ca", "/ca.pem"),
        ("signer", "/signer.pem"),
        ("gateway", "/g.pem"),
        ("gateway-ca", "/gca.pem"),
        ("leafnode-ca", "/lca.pem"),
    ]


def test_without_tls_there_are_none() -> None:
    assert sources(settings(Network(client_signers=("/signer.pem",)), tls=False)) == ()


def test_the_end_of_validity_and_the_subject() -> None:
    pem = trustme.CA().issue_cert("b", common_name="b", not_after=SOON).cert_chain_pems[0].bytes()
    (found,) = certificates([(SOURCE, pem)])
    assert found.source == SOURCE
    assert found.subject.startswith("CN=b,")
    assert found.expires == SOON.timestamp()


def test_a_bundle_has_one_of_each_subject_and_the_longest_lived_counts() -> None:
    ca = trustme.CA()
    pems = [
        ca.issue_cert(name, common_name=name, not_after=until, organization_name="o", organization_unit_name="u")
        .cert_chain_pems[0]
        .bytes()
        for name, until in (("a", SOON), ("a", SOON + dt.timedelta(days=9)), ("a", SOON), ("b", SOON))
    ]
    found = certificates([(SOURCE, b"".join(pems))])
    assert [each.expires for each in found] == [(SOON + dt.timedelta(days=9)).timestamp(), SOON.timestamp()]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"aa" * 32,
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_passed_over(content: bytes) -> None:
    good = trustme.CA().cert_pem.bytes()
    assert certificates([(SOURCE, content)]) == ()
    assert [type(each) for each in certificates([(SOURCE, content + b"\n" + good)])] == [Certificate]
