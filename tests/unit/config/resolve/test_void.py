"""Every setting that another one can make void has a finding that says so: the whole table is walked."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from choria_broker.config.resolve.providers import ProviderInput, provider_files
from choria_broker.config.table.rows import BROKER_SETTINGS
from choria_broker.config.table.schema import Setting
from choria_broker.host.facts import FileFact
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.network import NETWORK
from choria_broker.settings.security import Provider
from choria_broker.settings.streams import STANDARD_STREAMS
from support.scenario import BASE, NET, Result, pems, scenario

KEY = "ab" * 32
PROVIDER = "plugin.security.provider = "
PUPPET = (
    f"identity = x.example.net\nplugin.choria.broker_network = true\nplugin.choria.ssldir = /ssl\n{PROVIDER}puppet\n"
)
STORE = BASE + f"{NET}stream.store = /store\n"
ISSUER = BASE + f"plugin.security.issuer.names = acme\nplugin.security.issuer.acme.public = {KEY}\n"
NO_SRV = BASE + "plugin.choria.use_srv = false\n"
UNMANAGED = STORE + f"{NET}stream.manage_streams = false\n"
CHORIA = BASE.replace("provider = file", "provider = choria")
RETENTIONS, COPIES = (
    [f"stream.{getattr(each, kind)}" for each in STANDARD_STREAMS] for kind in ("retention_key", "replicas_key")
)
OPERATOR = BASE + f"{NET}operator_account = OPS\n"
GATEWAY = (
    BASE + f"{NET}gateway_port = 7222\n{NET}gateway_remotes = x\n{NET}gateway_remote.x.urls = b.example.net:7222\n"
)
CLEAR = GATEWAY + f"{NET}gateway_tls = false\n"
LEAF = BASE + f"{NET}leafnode_remotes = x\n{NET}leafnode_remote.x.url = "
ANON = BASE + f"{NET}client_signer_cert = {KEY}\n{NET}client_anon_tls = true\n"

NEVER = {
    "identity": "all have a name",
    "logfile": "all have a log",
    "loglevel": "all have a log",
    NET + "soft_shutdown_timeout": "all stop",
    NET + "drain_on_stop": "all stop",
    "plugin.choria.broker_network": "without it there is no broker",
    "plugin.choria.broker_federation": "stands for itself",
    "plugin.choria.adapters": "stands for itself",
    "plugin.choria.stats_port": "stands for itself",
    NET + "publish_events": "all publish them, kept or not",
    "plugin.choria.use_srv": "says whether DNS is asked",
    NET + "listen_address": "all have a port for clients",
    NET + "client_port": "all have a port for clients",
    NET + "public_url": "announced to all clients",
    NET + "write_deadline": "for all clients",
    NET + "tls_key_processes": "only an option of the command line turns TLS off",
    NET + "tls_timeout": "only an option of the command line turns TLS off",
    NET + "auth_timeout": "for all clients",
    NET + "max_connections": "for all clients",
    NET + "max_unauthenticated": "for all listeners",
    NET + "max_handshakes": "for all clients",
    NET + "max_subscriptions": "for all clients",
    NET + "client_tls_force_required": "goes with an option of the command line",
    NET + "pprof_port": "stands for itself",
    NET + "revocations": "entries for certificates count in any case",
    NET + "operator_account": "settings that go without it are refused",
    NET + "gateway_name": "the name of the cluster, with and without gateways",
    NET + "leafnode_port": "stands for itself",
    NET + "leafnode_remotes": "stands for itself",
    NET + "websocket_port": "stands for itself",
    NET + "stream.store": "stands for itself",
    PROVIDER.removesuffix(" = "): "all have one",
    "plugin.security.issuer.names": "settings that go against it are refused",
    "plugin.security.cipher_suites": "only an option of the command line turns TLS off",
    "plugin.security.ecc_curves": "only an option of the command line turns TLS off",
}
"""Settings that no other one makes void, and why."""


def of(base: str, *keys: str, value: str = "x") -> dict[str, tuple[str, str]]:
    """Cases for keys: what else is set, and their value."""
    return dict.fromkeys(keys, (base, value))


def net(base: str, *names: str, value: str = "x") -> dict[str, tuple[str, str]]:
    return of(base, *(NET + name for name in names), value=value)


CASES = {
    **of(BASE, "plugin.choria.middleware_hosts", value="b.example.net:4222"),
    **of(BASE, "plugin.nats.user", "plugin.nats.pass", "plugin.nats.credentials", "collectives", "main_collective"),
    **of(BASE, "plugin.security.support_legacy_certificates", value="true"),
    **of(BASE, "plugin.choria.federation_middleware_hosts", value="b.example.net:4222"),
    **of(BASE, "plugin.choria.federation.cluster"),
    **of(BASE, "plugin.choria.stats_address", value="127.0.0.1"),
    **of(BASE, "plugin.choria.stats_ui", value="true"),
    **of(NO_SRV, "plugin.choria.srv_domain", value="example.net"),
    **net(NO_SRV, "peer_port", value="5222"),
    **net(NO_SRV + f"{NET}peer_password = x\n", "peer_user"),
    **net(NO_SRV + f"{NET}peer_user = x\n", "peer_password"),
    **net(NO_SRV, "peer_tls", value="false"),
    **net(BASE, "gateway_port", value="7222"),
    **net(BASE, "gateway_remotes"),
    **net(BASE, "gateway_tls", value="false"),
    **net(BASE, "system.user", "system.password"),
    **net(OPERATOR, "accounts", "client_hosts", "unverified_account"),
    **net(OPERATOR, "client_signer_cert", value=KEY),
    **net(OPERATOR, "deny_server_connections", "client_anon_tls", "enforce_expiry", value="true"),
    **net(OPERATOR, "reload_sessions", value="end"),
    **net(OPERATOR, "mapping.names"),
    **net(ANON, "server_signer_cert", value=KEY),
    **net(BASE.replace("plugin.security.file.ca = /tls/ca.pem\n", ""), "crl", value="/tls/crl.pem"),
    **net(BASE, "crl_expired", value="refuse"),
    **net(ISSUER, "provisioning.signer_cert", value="/tls/signer.pem"),
    **net(BASE, "provisioning.client_password"),
    **net(ISSUER, "provisioning.provisioner_without_token", value="true"),
    **net(BASE, "system_account", "choria_account"),
    **net(BASE, "peers", value="b.example.net:5222"),
    **net(GATEWAY.replace("gateway_remotes = x", "gateway_remotes = y"), "gateway_remote.x.urls", value="b:7222"),
    **net(CLEAR, *(f"gateway_remote.x.tls.{name}" for name in ("cert", "key", "ca")), value="/tls/cert.pem"),
    **net(CLEAR, "gateway_remote.x.tls.verify", value="yes"),
    **net(CLEAR, "gateway_remote.x.tls.disable", value="yes"),
    **net(BASE, "leafnode_remote.x.url", value="b:7422"),
    **net(BASE, "leafnode_remote.x.account", "leafnode_remote.x.credentials", "leafnode_remote.x.credential"),
    **net(
        LEAF + f"b:7422\n{NET}leafnode_remote.x.tls.disable = yes\n",
        *(f"leafnode_remote.x.tls.{name}" for name in ("cert", "key", "ca")),
        value="/tls/cert.pem",
    ),
    **net(LEAF + f"b:7422\n{NET}leafnode_remote.x.tls.disable = yes\n", "leafnode_remote.x.tls.verify", value="yes"),
    **net(LEAF + "wss://b:443\n", "leafnode_remote.x.tls.disable", value="yes"),
    **net(BASE, "websocket_advertise", value="b:443"),
    **net(BASE, "websocket_origins", value="https://b"),
    **net(BASE, "mapping.x.source", "mapping.x.destination"),
    **net(BASE, "stream.manage_streams", value="false"),
    **net(BASE, "stream.sync", value="always"),
    **net(UNMANAGED, *RETENTIONS, value="1h"),
    **net(UNMANAGED, *COPIES, value="1"),
    **of(BASE, "plugin.choria.ssldir", value="/ssl"),
    **of(PUPPET, *(f"plugin.security.file.{name}" for name in ("certificate", "key", "ca")), value="/tls/x.pem"),
    **of(BASE, *(f"plugin.security.choria.{name}" for name in ("certificate", "key", "token_file", "seed_file", "ca"))),
    **of(BASE, "plugin.security.choria.trusted_signers", value=KEY),
    **of(BASE, "plugin.security.pkcs11.driver_file", value="/x"),
    **of(BASE, "plugin.security.pkcs11.slot", value="1"),
    **of(BASE, "plugin.security.issuer.x.public", value=KEY),
    **of(BASE, "plugin.security.issuer.x.account"),
    **of(CHORIA, "plugin.security.server_anon_tls", "plugin.security.client_anon_tls", value="true"),
    **of(BASE, "plugin.choria.security.request_signing_certificate", value="/tls/signer.pem"),
    **of(BASE, *(row.key.replace("NAME", "x") for row in BROKER_SETTINGS if row.group == "Adapters"), value="1"),
}
"""For every other setting a configuration in which another one makes it void, or one that goes with it is missing."""


def found_in(text: str, files: dict[str, bytes] | None = None) -> Result:
    return scenario(text, files={name: FileFact(content) for name, content in (files or {}).items()})


@pytest.mark.parametrize("row", BROKER_SETTINGS, ids=lambda row: row.key)
def test_each_setting_is_never_void_or_has_a_finding_when_it_is(row: Setting) -> None:
    key = row.key.replace("NAME", "x")
    assert (key in NEVER) is not (key in CASES), key
    if key in CASES:
        base, value = CASES[key]
        findings = found_in(f"{base}{key} = {value}\n").findings
        assert key in {each.key for each in findings}, [str(each) for each in findings]


@pytest.mark.parametrize("provider", Provider)
def test_the_directory_of_tls_files_is_void_where_no_file_lies_in_it(provider: Provider) -> None:
    text = PUPPET.replace(f"{PROVIDER}puppet", f"{PROVIDER}{provider}")
    void = "plugin.choria.ssldir" in {each.key for each in found_in(text).findings if each.code == "no-effect"}
    given = ProviderInput(provider, "x", *map(Path, ("/ssl", "/cert", "/key", "/ca")))
    files = provider_files(given).files
    assert void is (files is None or "/ssl" not in str(files.key))


def test_the_lists_name_settings_of_the_table_only() -> None:
    known = {row.key.replace("NAME", "x") for row in BROKER_SETTINGS}
    assert {*NEVER, *CASES} <= known
    assert all(NETWORK not in reason for reason in NEVER.values())


def test_a_stream_that_is_off_has_no_copies() -> None:
    first = next(each for each in STANDARD_STREAMS if not each.elects)
    text = f"{STORE}{NET}stream.{first.retention_key} = 0\n{NET}stream.{first.replicas_key} = 1\n"
    assert f"{first.retention_key} is 0" in found_in(text).one("no-effect").problem


def test_what_another_setting_needs_is_not_void() -> None:
    peers = f"{NET}peers = b.example.net:5222\n{NET}peer_user = x\n{NET}peer_password = y\n"
    assert "no-effect" not in found_in(NO_SRV + peers).codes()
    assert "no-effect" not in found_in(BASE + f"{NET}peer_tls = true\n").codes()
    assert "no-effect" not in found_in(ISSUER + "plugin.security.choria.ca = /tls/ca.pem\n").codes()


def test_a_signer_of_provisioning_tokens_beside_issuers_counts_for_rsa_alone() -> None:
    text = f"{ISSUER}{NET}provisioning.client_password = x\n{NET}provisioning.signer_cert = /tls/signer.pem\n"
    public = rsa.generate_private_key(65537, 2048).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    idle = found_in(text, {"/tls/signer.pem": pems().public}).one("no-effect")
    half = found_in(text, {"/tls/signer.pem": pem}).one("no-effect")
    assert (idle.severity, half.severity) == (Severity.WARN, Severity.INFO)
    assert "refused" in idle.effect
    assert "RSA" in half.effect
    assert Path(str(idle.origin)).name.startswith("broker.conf")
