"""Issuers, signers, and what cannot be combined."""

from __future__ import annotations

import pytest

from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.security import Issuer, Provider
from support.scenario import BASE, NET, Result, base, net, scenario

KEY = "9b0b5c1f1f2bb2a0c1c6a4f4c2a0b1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c"
ON = "plugin.choria.broker_network = true\nidentity = broker1.example.net\n"
ISSUER = f"plugin.security.issuer.names = x\nplugin.security.issuer.x.public = {KEY}\n"
CHORIA = (
    ON
    + "plugin.security.provider = choria\nplugin.security.choria.certificate = /cert.pem\n"
    + "plugin.security.choria.key = /key.pem\nplugin.security.choria.token_file = /t\n"
    + "plugin.security.choria.seed_file = /s\n"
)


def test_issuers() -> None:
    security = scenario(BASE + ISSUER.replace(KEY, KEY.upper())).ok.security
    assert security.issuers == (Issuer(name="x", public_key=KEY, account="choria"),)
    assert security.provider is Provider.FILE


@pytest.mark.parametrize(
    ("public", "code"),
    [
        ("", "no-issuer-key"),
        (KEY[:-2], "bad-issuer-key"),
        (KEY + "0", "bad-issuer-key"),
        (KEY + KEY, "bad-issuer-key"),
        ("g" * 64, "bad-issuer-key"),
        ("\uff11" * 64, "bad-issuer-key"),
        ("/etc/choria/issuer.pub", "bad-issuer-key"),
    ],
)
def test_issuer_keys_that_are_refused(public: str, code: str) -> None:
    lines = ["plugin.security.issuer.names = x", f"plugin.security.issuer.x.public = {public}"]
    finding = base(*lines[: 2 if public else 1]).one(code)
    assert (finding.severity, finding.key) == (Severity.REFUSE, "plugin.security.issuer.x.public")


def test_one_bad_issuer_among_good_ones_is_enough_to_refuse() -> None:
    found = scenario(BASE + ISSUER.replace("names = x", "names = x, y"))
    assert found.one("no-issuer-key").key == "plugin.security.issuer.y.public"
    assert found.settings is None


@pytest.mark.parametrize(
    "line",
    [
        NET + "client_signer_cert = " + KEY,
        NET + "server_signer_cert = " + KEY,
        "plugin.security.choria.trusted_signers = " + KEY,
        "plugin.choria.security.request_signing_certificate = /signer.pem",
    ],
)
def test_issuers_and_signers_exclude_each_other(line: str) -> None:
    finding = scenario(BASE + ISSUER + line).one("issuer-with-signers")
    assert finding.severity is Severity.REFUSE
    assert f"using {finding.key} when an issuer is configured" in finding.problem


def choria(*lines: str) -> Result:
    return scenario(CHORIA + "\n".join(lines))


def test_the_choria_provider() -> None:
    assert choria(ISSUER).findings == ()
    assert choria(ISSUER).ok.collectives == ("choria",)
    assert not choria(ISSUER).ok.security.choria_ca
    assert choria(ISSUER, "plugin.security.choria.ca = /ca.pem").ok.security.choria_ca
    assert choria("plugin.security.choria.trusted_signers = " + KEY).findings == ()


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "choria-without-signers"),
        (["plugin.security.choria.trusted_signers = abc"], "bad-signer-key"),
        ([ISSUER, "plugin.security.server_anon_tls = 1"], "choria-conflict"),
        ([ISSUER, "plugin.security.client_anon_tls = 1"], "choria-conflict"),
        ([ISSUER, "plugin.choria.security.server.token_file = /x"], "choria-conflict"),
        ([ISSUER, "plugin.choria.security.server.seed_file = /x"], "choria-conflict"),
        ([ISSUER, "plugin.choria.security.request_signer.token_file = /x"], "choria-conflict"),
        ([ISSUER, "plugin.choria.security.request_signer.seed_file = /x"], "choria-conflict"),
    ],
)
def test_what_the_choria_provider_refuses(lines: list[str], code: str) -> None:
    assert choria(*lines).one(code).severity is Severity.REFUSE


@pytest.mark.parametrize("name", ["token_file", "seed_file"])
def test_the_choria_provider_needs_token_and_seed(name: str) -> None:
    text = "\n".join(line for line in (CHORIA + ISSUER).splitlines() if name not in line)
    assert scenario(text).one("choria-without-token").key == f"plugin.security.choria.{name}"


def test_a_service_that_is_off_is_no_conflict() -> None:
    assert choria(ISSUER, "plugin.choria.security.request_signer.service = false").findings == ()


TOKENS_ONLY = NET + "client_anon_tls = true"
SIGNED = NET + "client_signer_cert = " + KEY


def test_clients_with_tokens_only() -> None:
    found = base(TOKENS_ONLY, SIGNED)
    assert found.findings == ()
    assert found.ok.network.client_anon_tls
    assert found.ok.tls.enabled
    assert not found.ok.tls.verify_clients
    assert scenario(BASE + ISSUER + TOKENS_ONLY).ok.network.client_anon_tls
    assert not base(SIGNED).ok.network.client_anon_tls
    assert base(SIGNED).ok.tls.verify_clients


def test_the_older_name_of_the_signer_is_enough_for_them() -> None:
    found = base(TOKENS_ONLY, "plugin.choria.security.request_signing_certificate = /signer.pem")
    assert found.codes() == ["alias-key"]
    assert found.ok.network.client_signers == ("/signer.pem",)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "client-anon-tls-without-signer"),
        ([NET + "server_signer_cert = " + KEY], "client-anon-tls-without-signer"),
        (["plugin.security.choria.trusted_signers = " + KEY], "client-anon-tls-without-signer"),
        ([SIGNED, "plugin.security.client_anon_tls = true"], "client-anon-tls-twice"),
        ([SIGNED, NET + "accounts = EDGE", NET + "unverified_account = EDGE"], "unverified-with-tokens-only"),
    ],
)
def test_what_clients_with_tokens_only_excludes(lines: list[str], code: str) -> None:
    assert base(TOKENS_ONLY, *lines).one(code).severity is Severity.REFUSE
    assert code not in base(*lines).codes()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (NET + "server_signer_cert = " + KEY, "no-effect"),
        (NET + "provisioning.client_password = p", "provisioner-without-certificate"),
        (NET + "leafnode_port = 7422", "leafnodes-without-certificates"),
    ],
)
def test_what_cannot_work_beside_it_is_warned_about(line: str, code: str) -> None:
    assert base(TOKENS_ONLY, SIGNED, line).one(code).severity is Severity.WARN
    assert code not in base(SIGNED, line).codes()


def test_on_issuer_networks_the_provisioner_needs_no_certificate() -> None:
    assert scenario(BASE + ISSUER + TOKENS_ONLY + "\n" + NET + "provisioning.client_password = p").findings == ()


def test_secrets_of_remotes_are_not_in_findings() -> None:
    found = net("peers = nats://u:hunter2@a", "provisioning.client_password = hunter2")
    assert not any("hunter2" in str(finding) for finding in found.findings)
