"""How TLS is used: modes, files by provider, suites and curves."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.host.facts import FileFact
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.tls import TlsFiles
from support.scenario import BASE, NET, base, pems, scenario

KEY = "9b0b5c1f1f2bb2a0c1c6a4f4c2a0b1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c"
MISSING = FileFact(problem="no such file or directory")
ON = "plugin.choria.broker_network = true\nidentity = broker1.example.net\n"
ISSUER = f"plugin.security.issuer.names = x\nplugin.security.issuer.x.public = {KEY}\n"
CHORIA = (
    ON
    + "plugin.security.provider = choria\nplugin.security.choria.certificate = /cert.pem\n"
    + "plugin.security.choria.key = /key.pem\nplugin.security.choria.token_file = /t\n"
    + "plugin.security.choria.seed_file = /s\n"
)
FORCED = NET + "client_tls_force_required = true"


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        (BASE, Overrides(), (True, True, True)),
        (BASE + FORCED, Overrides(), (True, True, True)),
        (CHORIA + ISSUER, Overrides(), (True, True, False)),
        (CHORIA + ISSUER + "plugin.security.choria.ca = /ca.pem", Overrides(), (True, True, True)),
        (BASE, Overrides(disable_ssl_verification=True), (True, True, False)),
        (BASE + "plugin.security.server_anon_tls = 1", Overrides(), (True, True, False)),
        (BASE, Overrides(disable_tls=True), (False, False, False)),
        (BASE + FORCED, Overrides(disable_tls=True), (True, False, True)),
        (BASE + FORCED, Overrides(disable_tls=True, disable_ssl_verification=True), (True, False, False)),
    ],
)
def test_tls_mode(text: str, overrides: Overrides, expected: tuple[bool, bool, bool]) -> None:
    tls = scenario(text, overrides=overrides).ok.tls
    assert (tls.enabled, tls.everywhere, tls.verify_clients) == expected


@pytest.mark.parametrize(
    ("text", "overrides", "code"),
    [
        (BASE, Overrides(disable_tls=True), "tls-disabled"),
        (BASE, Overrides(disable_ssl_verification=True), "verification-disabled"),
        (BASE + "plugin.security.server_anon_tls = 1", Overrides(), "verification-disabled"),
    ],
)
def test_weaker_modes_are_warned_about(text: str, overrides: Overrides, code: str) -> None:
    assert scenario(text, overrides=overrides).one(code).severity is Severity.WARN


def test_anonymous_tls_of_clients_needs_a_signer() -> None:
    anon = "plugin.security.client_anon_tls = true"
    assert base(anon).one("anon-tls-without-signer").severity is Severity.REFUSE
    signer = "plugin.choria.security.request_signer."
    assert base(anon, signer + "url = https://x").codes() == ["verification-disabled"]
    assert base(anon, signer + "service = true").codes() == ["verification-disabled"]
    assert "anon-tls-without-signer" in base(anon, signer + "service = false").codes()


def test_puppet_files() -> None:
    found = scenario(ON + "plugin.choria.ssldir = /ssl", environ={"HOME": "/root"})
    assert found.ok.tls.files == TlsFiles(
        certificate=Path("/ssl/certs/broker1.example.net.pem"),
        key=Path("/ssl/private_keys/broker1.example.net.pem"),
        ca=Path("/ssl/certs/ca.pem"),
    )
    found = scenario(ON, facts={"ssldir": Path("/asked"), "certname": "other"})
    assert found.ok.tls.files is not None
    assert found.ok.tls.files.certificate == Path("/asked/certs/other.pem")


def test_puppet_without_directory() -> None:
    finding = scenario(ON).one("no-ssldir")
    assert finding.severity is Severity.REFUSE
    assert "plugin.choria.ssldir" in finding.remedy


@pytest.mark.parametrize("part", ["certificate", "key", "ca"])
def test_the_file_provider_needs_all_three(part: str) -> None:
    text = "\n".join(line for line in BASE.splitlines() if f"file.{part} " not in line)
    finding = scenario(text).one("no-tls-file")
    assert (finding.severity, finding.key) == (Severity.REFUSE, f"plugin.security.file.{part}")


@pytest.mark.parametrize("part", ["certificate", "key"])
def test_the_choria_provider_needs_two(part: str) -> None:
    text = "\n".join(line for line in (CHORIA + ISSUER).splitlines() if f"choria.{part} " not in line)
    assert scenario(text).one("no-tls-file").key == f"plugin.security.choria.{part}"


def test_every_missing_file_is_listed_with_the_rule() -> None:
    found = scenario(BASE, files={"/tls/cert.pem": MISSING, "/tls/ca.pem": MISSING})
    problems = [finding.problem for finding in found.findings if finding.code == "tls-file-missing"]
    assert problems == [
        "/tls/cert.pem: no such file or directory (security provider file)",
        "/tls/ca.pem: no such file or directory (security provider file)",
    ]
    assert found.settings is None


def test_certmanager_uses_existing_files_only() -> None:
    text = ON + "plugin.security.provider = certmanager\nplugin.choria.ssldir = /cm\n"
    assert scenario(text).ok.tls.files == TlsFiles(
        certificate=Path("/cm/cert.pem"), key=Path("/cm/key.pem"), ca=Path("/cm/ca.pem")
    )
    finding = scenario(text, files={"/cm/cert.pem": MISSING}).one("tls-file-missing")
    assert "this version cannot request certificates" in finding.remedy
    assert scenario(ON + "plugin.security.provider = certmanager").one("no-ssldir").severity is Severity.REFUSE


def test_pkcs11_is_refused() -> None:
    finding = scenario(ON + "plugin.security.provider = pkcs11").one("pkcs11")
    assert finding.severity is Severity.REFUSE
    assert "file" in finding.remedy


def test_an_unknown_provider_makes_no_further_noise() -> None:
    assert scenario(ON + "plugin.security.provider = vault").codes() == ["bad-provider"]


def other() -> bytes:
    return pems("other.example").certificate


@pytest.mark.parametrize(
    ("files", "now", "code", "severity"),
    [
        ({"/tls/cert.pem": b"nothing"}, None, "tls-no-pem", Severity.REFUSE),
        ({"/tls/ca.pem": b"nothing"}, None, "tls-no-pem", Severity.REFUSE),
        ({"/tls/key.pem": b"nothing"}, None, "tls-no-key", Severity.REFUSE),
        ({"/tls/key.pem": pems("other.example").key}, None, "tls-key-mismatch", Severity.REFUSE),
        ({"/tls/ca.pem": pems("other.example").ca}, None, "tls-untrusted", Severity.REFUSE),
        ({}, dt.datetime(9999, 1, 1, tzinfo=dt.UTC), "tls-expired", Severity.REFUSE),
        ({}, dt.datetime(1990, 1, 1, tzinfo=dt.UTC), "tls-not-yet-valid", Severity.REFUSE),
        (
            {
                "/tls/cert.pem": pems("other.example").certificate,
                "/tls/key.pem": pems("other.example").key,
                "/tls/ca.pem": pems("other.example").ca,
            },
            None,
            "tls-name-mismatch",
            Severity.WARN,
        ),
    ],
)
def test_broken_files(files: dict[str, bytes], now: dt.datetime | None, code: str, severity: Severity) -> None:
    facts = {"now": now} if now else {}
    found = scenario(BASE, files={path: FileFact(content) for path, content in files.items()}, facts=facts)
    assert severity in {finding.severity for finding in found.findings if finding.code == code}
    assert (found.settings is None) == (severity is Severity.REFUSE)


def test_without_tls_broken_files_are_warnings() -> None:
    found = scenario(BASE, files={"/tls/cert.pem": MISSING}, overrides=Overrides(disable_tls=True))
    assert found.one("tls-file-missing").severity is Severity.WARN
    assert found.ok.tls.files is None


def test_suites_and_curves() -> None:
    suite = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
    tls = base(f"plugin.security.cipher_suites = {suite}", "plugin.security.ecc_curves = X25519, CurveP256").ok.tls
    assert tls.cipher_suites == (suite,)
    assert tls.curves == ("X25519", "CurveP256")


@pytest.mark.parametrize(
    "line",
    [
        "plugin.security.cipher_suites = TLS_AES_128_GCM_SHA256, NOPE",
        "plugin.security.cipher_suites = TLS_RSA_WITH_RC4_128_SHA",
        "plugin.security.ecc_curves = P256",
    ],
)
def test_unknown_suites_and_curves(line: str) -> None:
    assert base(line).one("unknown-tls-name").severity is Severity.REFUSE
