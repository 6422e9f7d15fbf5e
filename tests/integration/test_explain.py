"""``choria-broker explain``: offline answers, and that they are the engine's."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner, Result

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.minting import HOLDER, ORGANIZATION, STRANGER, client, encoded, hex_of, mint, server
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, configuration

ALWAYS = {"iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 4_102_444_800}
ISSUER = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
}


def explain(config: Path, *arguments: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["explain", "--config", str(config), *map(str, arguments)], input=given)


def explained(config: Path, *arguments: str | Path, given: str | None = None) -> dict[str, Any]:
    result = explain(config, *arguments, "--json", given=given)
    assert result.exit_code in {0, 1}, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["allowed"] is (result.exit_code == 0)
    return document


@pytest.fixture
def issuing(tmp_path: Path, authority: Authority) -> Path:
    """A configuration with an organization issuer."""
    return configuration(tmp_path, authority, **ISSUER)


def token(claims: Mapping[str, Any] | None = None) -> str:
    return mint(client(**ALWAYS, permissions={"fleet_management": True}) if claims is None else claims)


def test_a_certificate_of_the_ca(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    bob = authority.issue("bob.mcollective")
    document = explained(config, "--certificate", bob.certificate, "--publish", "mcollective.node.n1")

    assert document["connection"]["certificate"] == "bob.mcollective"
    assert document["verdict"]["rule"] == document["trail"][-1]["rule"] == "mtls"
    assert document["verdict"]["account"] == "choria"
    assert document["verdict"]["permissions"] is None
    assert document["subjects"][0]["ground"] == "unlimited"


def test_a_certificate_of_a_foreign_ca_does_not_survive_the_handshake(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    mallory = Authority(tmp_path, "foreign").issue("mallory")
    document = explained(config, "--certificate", mallory.certificate)

    assert document["verdict"]["rule"] == "tls-handshake"
    assert "It was not issued by a CA in the broker's CA file; its issuer is" in document["verdict"]["reason"]
    assert document["trail"][-1]["says"]


def test_an_expired_certificate_does_not_survive_the_handshake(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    ca = trustme.CA()
    ca.cert_pem.write_to_path(authority.ca)
    old = ca.issue_cert("old", not_after=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    own = ca.issue_cert("broker.example.net")
    (tmp_path / "broker.example.net.pem").write_bytes(own.cert_chain_pems[0].bytes())
    own.private_key_pem.write_to_path(tmp_path / "broker.example.net.key")
    old.cert_chain_pems[0].write_to_path(tmp_path / "old.pem")

    assert "expired on 2024-01-01" in explained(config, "--certificate", tmp_path / "old.pem")["verdict"]["reason"]


def test_nothing_presented(tmp_path: Path, authority: Authority) -> None:
    result = explain(configuration(tmp_path, authority))

    assert result.exit_code == 1
    assert "Refused by certificate-required" in result.stdout
    assert "Remedy: " in result.stdout
    assert "1. certificate-required: refused" in result.stdout


@pytest.mark.parametrize("form", ["text", "file", "standard input"])
def test_a_token(issuing: Path, tmp_path: Path, form: str) -> None:
    text = token()
    (tmp_path / "token.jwt").write_text(f"{text}\n", encoding="utf-8")
    argument = {"text": text, "file": str(tmp_path / "token.jwt"), "standard input": "-"}[form]
    result = explain(issuing, "--token", argument, "--publish", "c.node.n1", "--publish", "c.reply.x", given=text)

    assert result.exit_code == 1
    assert "Accepted by client-token" in result.stdout
    assert "Username: 'up=alice'" in result.stdout
    assert "may publish to c.node.n1: allowed by *.node.>" in result.stdout
    assert "may not publish to c.reply.x: not in the allow list" in result.stdout
    assert "there is no nonce to sign offline" in result.stdout
    assert "assumed: the peer holds the token's private key" in result.stdout
    assert text not in result.output


def test_a_token_without_its_key(issuing: Path) -> None:
    assert explained(issuing, "--token", token(), "--nonce-proof", "missing")["verdict"]["rule"] == "token-nonce"


def test_a_bad_token_gives_both_reasons_where_there_is_provisioning(
    issuing: Path, tmp_path: Path, authority: Authority
) -> None:
    document = explained(issuing, "--token", mint(client(**ALWAYS), STRANGER))
    assert [step["rule"] for step in document["trail"]] == ["token-signature"]

    config = configuration(tmp_path, authority, **ISSUER, network__provisioning__client_password="s3cret")
    document = explained(config, "--token", mint(client(**ALWAYS), STRANGER))
    assert document["verdict"]["rule"] == "token-signature"
    assert [step["rule"] for step in document["trail"]] == ["token-signature", "token-purpose", "token-signature"]
    assert document["subjects"] == []


def test_client_hosts(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority, **ISSUER, network__client_hosts="192.0.2.0/24")
    arguments = ("--token", token(), "--publish", "c.node.n1")

    inside = explained(config, *arguments, "--address", "192.0.2.7")
    outside = explained(config, *arguments)
    assert (inside["allowed"], outside["allowed"]) == (True, False)
    assert outside["subjects"][0]["entry"] == "*.node.>"
    assert any("127.0.0.1" in assumption for assumption in outside["assumptions"])


def test_users(tmp_path: Path, authority: Authority) -> None:
    system = {"network__system__user": "system", "network__system__password": "s3cret"}
    config = configuration(tmp_path, authority, **system)
    arguments = ("--user", "system", "--tls", "mtls", "--password-stdin")

    assert explained(config, *arguments, given="s3cret\n")["verdict"]["account"] == "system"
    refused = explained(config, *arguments, given="hunter2\n")
    assert refused["verdict"]["rule"] == "system-password"
    assert "hunter2" not in json.dumps(refused)


def test_kinds(issuing: Path) -> None:
    assert explained(issuing, "--kind", "in_process")["verdict"]["rule"] == "in-process"
    assert explained(issuing, "--kind", "leafnode", "--token", token())["verdict"]["rule"] == "token-kind"


def test_clear_text(issuing: Path) -> None:
    assert explained(issuing, "--tls", "none", "--token", token())["verdict"]["rule"] == "tls-required"
    document = explained(issuing, "--disable-tls", "--token", token())
    assert document["connection"]["tls"] == "none"
    assert not document["allowed"]


def test_a_certificate_nobody_asks_for_is_not_sent(issuing: Path, authority: Authority) -> None:
    bob = authority.issue("bob.mcollective")
    document = explained(issuing, "--disable-ssl-verification", "--certificate", bob.certificate)

    assert document["connection"]["tls"] == "anon"
    assert any("does not ask for certificates" in assumption for assumption in document["assumptions"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--token", "/nowhere/token.jwt"), "--token: cannot be read: no such file or directory"),
        (("--certificate", "/nowhere/cert.pem"), "--certificate: cannot be read: no such file or directory"),
        (("--certificate", __file__), "no PEM certificate in the file"),
        (("--certificate", __file__, "--tls", "anon"), "contradict each other"),
        (("--publish", "a.>"), "not a subject to which messages can be sent"),
        (("--subscribe", "a..b"), "not a subject"),
        (("--token", "-", "--password-stdin"), "both read standard input"),
        (("--kind", "router"), "router"),
        (("--token", "/"), "--token: cannot be read"),
    ],
)
def test_questions_that_make_no_sense(issuing: Path, arguments: tuple[str, ...], told: str) -> None:
    result = explain(issuing, *arguments)

    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_a_configuration_is_needed(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["explain"]).exit_code == 2
    result = explain(tmp_path / "none.conf")
    assert result.exit_code == 2
    assert "none.conf" in result.stderr


def test_a_token_is_not_repeated_in_errors(issuing: Path) -> None:
    result = explain(issuing, "--token", "secret-part")

    assert result.exit_code == 2
    assert "secret-part" not in result.output


PUBLISH = ("a.b", "c.node.n1", "c.reply.x", "c.broadcast.agent.x.y", "$SYS.REQ.USER.INFO", "extra.one", "extra.one.two")
TRIED = """
a.b extra.* extra.> extra.one extra.a.b *.one > jobs.x,q1 jobs.x,q2 jobs.x * *.* *.> a.> a.>,q2 extra.*.> extra.>,q1
jobs.>,q1 jobs.>,q2 jobs.>,q.1 jobs.> a.one.> a.one.b *.one.> a.*.> a.b.c.> a.b.c.d c.reply.>
"""
SUBSCRIBE = [entry.replace(",", " ") for entry in TRIED.split()]


@pytest.mark.parametrize(
    "claims",
    [
        client(**ALWAYS, pub_subjects=["extra.*"], sub_subjects=["extra.*", "jobs.* q1"]),
        client(**ALWAYS, sub_subjects=["*", "extra.*", "extra.a.b", "*.one.*", "a.> q2", "jobs.> q2"]),
        client(**ALWAYS, sub_subjects=["extra.*", "extra.>", "jobs.* q1", "jobs.> q.*", "*.*.*.*", "*.one"]),
        client(**ALWAYS, sub_subjects=["*.*", "extra.>"]),
        client(**ALWAYS, permissions={"org_admin": True}),
        client(**ALWAYS, permissions={"fleet_management": True}),
        server(**ALWAYS, collectives=["c"], pub_subjects=["extra.>"]),
        server(**ALWAYS, collectives=[]),
    ],
    ids=["extra-subjects", "one-part", "anyway", "all-below", "admin", "fleet", "server", "denied"],
)
async def test_its_answers_are_the_engines(tmp_path: Path, authority: Authority, claims: dict[str, Any]) -> None:
    config = configuration(tmp_path, authority, **ISSUER, network__client_hosts="192.0.2.1")
    arguments = [option for subject in PUBLISH for option in ("--publish", subject)]
    arguments += [option for subject in SUBSCRIBE for option in ("--subscribe", subject)]
    document = explained(config, "--token", mint(claims), *arguments)
    refused = {
        direction: {
            answer["subject"]
            for answer in document["subjects"]
            if answer["direction"] == direction and not answer["allowed"]
        }
        for direction in ("publish", "subscribe")
    }
    async with NetworkBroker.from_file(config) as broker, wire(broker.ports.client, authority.context()) as peer:
        await peer.connect(auth_token=mint(claims), sig=encoded(HOLDER.sign(peer.nonce.encode())))
        assert await peer.publish(PUBLISH, "x") == refused["publish"]
        assert await peer.subscribe(SUBSCRIBE) == refused["subscribe"]
        assert document["verdict"]["rule"] == (await recent(broker))[-1].rule


async def test_what_is_granted_is_heard_and_no_more(tmp_path: Path, authority: Authority) -> None:
    """A grant of one part opens neither what lies below nor takes away what another grant opens there."""
    config = configuration(tmp_path, authority, **ISSUER)
    digest = hashlib.md5(b"up=alice", usedforsecurity=False).hexdigest()
    claims = client(**ALWAYS, sub_subjects=["extra.*", "extra.*.b", "jobs.* q"])
    wishes = [
        "extra.>",
        "extra.*",
        "extra.*.b",
        f"extra.reply.{digest}.>",
        "jobs.> q",
        "jobs.* q",
        "jobs.* other",
        "jobs.>",
    ]
    sent = ["extra.a", "extra.a.b", "extra.a.c", f"extra.reply.{digest}.1.2", "extra.reply.x.1", "jobs.a", "jobs.a.b"]
    async with NetworkBroker.from_file(config) as broker, wire(broker.ports.client, authority.context()) as peer:
        await peer.connect(auth_token=mint(claims), sig=encoded(HOLDER.sign(peer.nonce.encode())))
        assert await peer.subscribe(wishes) == {"extra.>", "jobs.> q", "jobs.* other", "jobs.>"}
        inside = await broker.connect()
        try:
            for subject in sent:
                await inside.publish(subject, b"x")
            await inside.flush()
            await peer.flush()
        finally:
            await inside.close()
        assert peer.received("x") == {"extra.a", "extra.a.b", f"extra.reply.{digest}.1.2", "jobs.a"}


async def test_a_certificate_it_refuses_is_refused_by_the_engine(tmp_path: Path, authority: Authority) -> None:
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    config = configuration(tmp_path, authority)
    authority.ca.write_bytes(authority.ca.read_bytes() + ca.cert_pem.bytes())
    certificates = {
        "good": ca.issue_cert("good"),
        "expired": ca.issue_cert("old", not_after=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        "child": ca.create_child_ca().issue_cert("child"),
        "foreign": trustme.CA().issue_cert("foreign"),
    }
    async with NetworkBroker.from_file(config) as broker:
        for name, made in certificates.items():
            path = tmp_path / f"{name}.pem"
            path.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
            context = authority.context()
            made.configure_cert(context)
            allowed = True
            try:
                async with wire(broker.ports.client, context) as peer:
                    await peer.connect()
            except (ClosedError, OSError):
                allowed = False
            assert explained(config, "--certificate", path)["allowed"] is allowed, name
            assert allowed is (name in {"good", "child"})


def test_the_command_is_there() -> None:
    assert Path(sys.executable).parent.joinpath("choria-broker").exists()
    assert "explain" in CliRunner().invoke(main, ["--help"]).output
