"""What a first set-up consists of."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509

from choria_broker.security.tokens import Envelope, open_envelope
from choria_broker.setup.plan import Plan, Tls, Wish, planned

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
FOLDER = Path("/etc/choria")
GIVEN = Tls(Path("/pki/ca.pem"), Path("/pki/mq.pem"), Path("/pki/mq.key"))


def plan(**more: object) -> Plan:
    wish = Wish(folder=FOLDER, identity="mq.example.net", port=4222, stats_port=8222, **more)  # type: ignore[arg-type] # any of them
    return planned(wish, NOW, bytes)


@pytest.mark.parametrize("given", [None, GIVEN])
@pytest.mark.parametrize("issuer", ["", "choria"])
def test_what_has_a_key_in_it_is_private(given: Tls | None, issuer: str) -> None:
    for each in plan(given=given, issuer=issuer).files:
        secret = b"PRIVATE KEY" in each.content or each.path.suffix in {".seed", ".jwt", ".key"}
        assert each.private is secret, each.path
        assert each.private or not each.of_broker


@pytest.mark.parametrize("given", [None, GIVEN])
@pytest.mark.parametrize("issuer", ["", "choria"])
def test_everything_lies_in_the_folder_and_once(given: Tls | None, issuer: str) -> None:
    made = plan(given=given, issuer=issuer)
    paths = [each.path for each in made.files]
    assert len(paths) == len(set(paths))
    assert all(path.is_relative_to(FOLDER) for path in paths)
    assert paths[-1] == made.config == FOLDER / "broker.conf"
    named = {each for each in (made.client, made.server, *made.keep) if each}
    assert named <= set(paths)


def test_certificates_that_are_given_are_used_and_no_ca_is_made() -> None:
    made = plan(given=GIVEN)
    assert [each.path.name for each in made.files] == ["broker.conf"]
    assert f"plugin.security.file.key = {GIVEN.key}" in made.files[-1].content.decode()
    assert made.login == ("--certificate", str(GIVEN.certificate), "--key", str(GIVEN.key))
    assert made.client is None


def test_the_broker_gets_its_key_and_nobody_else_s() -> None:
    assert [each.path.name for each in plan(issuer="choria").files if each.of_broker] == ["mq.example.net.key"]


def test_a_made_certificate_has_every_name_and_the_time_that_was_asked_for() -> None:
    files = {each.path.name: each.content for each in plan(hosts=("mq2.example.net", "192.0.2.7"), days=30).files}
    made = x509.load_pem_x509_certificate(files["mq.example.net.pem"])
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mq.example.net", "localhost", "mq2.example.net"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "192.0.2.7"]
    assert made.not_valid_after_utc == NOW + dt.timedelta(days=30)


def test_tokens_are_of_the_issuer_that_the_broker_believes() -> None:
    made = plan(issuer="acme", days=30)
    files = {each.path.name: each.content.decode() for each in made.files}
    assert f"plugin.security.issuer.acme.public = {files['acme.public']}" in files["broker.conf"]
    for name in ("bob.jwt", "node1.jwt"):
        envelope = open_envelope(files[name])
        assert isinstance(envelope, Envelope)
        claims = envelope.payload
        assert claims["ou"] == "acme"
        assert claims["exp"] == int((NOW + dt.timedelta(days=30)).timestamp())
    assert made.keep == (FOLDER / "ssl/ca.key", FOLDER / "issuer/acme.seed")


def test_streams_are_kept_where_it_is_said() -> None:
    configuration = plan(streams=Path("/var/lib/choria-broker")).files[-1].content.decode()
    assert "plugin.choria.network.stream.store = /var/lib/choria-broker\n" in configuration
