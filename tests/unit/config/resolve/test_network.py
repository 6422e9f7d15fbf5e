"""The network broker's own settings: timeouts, allow-list, accounts, provisioning, streams, mappings."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.host.facts import FileFact
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.links import SubjectMapping
from support.scenario import IDENTITY, NET, base, net

MISSING = FileFact(problem="no such file or directory")
KEY_FILES = Path(__file__).parents[3] / "vectors" / "keys"
SIGNER_FILES = [
    (KEY_FILES / name).read_bytes()
    for name in ("rsa_cert.pem", "rsa_public.pem", "trusted_signer.pub", "trusted_signer_newline.pub")
]
KEY = "9b0b5c1f1f2bb2a0c1c6a4f4c2a0b1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c"


@pytest.mark.parametrize(("text", "seconds"), [("5", 5.0), ("2s", 2.0), ("500ms", 0.5), ("60s", 60.0), ("1m", 60.0)])
@pytest.mark.parametrize("key", ["tls_timeout", "auth_timeout"])
def test_timeouts(key: str, text: str, seconds: float) -> None:
    found = net(f"{key} = {text}").ok
    assert (found.tls.handshake_timeout if key == "tls_timeout" else found.network.auth_timeout) == seconds


@pytest.mark.parametrize(
    "line",
    [
        "tls_timeout = 0",
        "tls_timeout = -1s",
        "tls_timeout = 61",
        "auth_timeout = 0s",
        "auth_timeout = 2m",
        "write_deadline = 0",
        "max_connections = 0",
        "max_connections = -1",
        "max_unauthenticated = 0",
        "max_subscriptions = 0",
        "max_subscriptions = 2147483648",
        "public_url = a b",
        "listen_address = a b",
        "listen_address = ::g",
        "websocket_advertise = host",
    ],
)
def test_values_that_make_no_sense(line: str) -> None:
    found = net(line)
    finding = found.one("bad-value")
    assert finding.severity is Severity.REFUSE
    assert finding.key == NET + line.partition(" ")[0]
    assert found.settings is None


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        (["public_url = nats://h:4222"], "h:4222"),
        (["public_url = h"], "h"),
        (["client_advertise_name = h:1"], "h:1"),
        (["client_advertise_name = h:1", "public_url = g:2"], "g:2"),
    ],
)
def test_public_url(lines: list[str], url: str) -> None:
    found = net(*lines)
    assert found.ok.network.public_url == url
    assert found.codes() == [*("alias-key" for line in lines if line.startswith("client")), "tls-name-mismatch"]


def test_client_hosts() -> None:
    assert net("client_hosts = 192.0.2.1/24, 2001:db8::1").ok.network.client_hosts == (
        ipaddress.ip_network("192.0.2.0/24"),
        ipaddress.ip_network("2001:db8::1"),
    )
    finding = net("client_hosts = 192.0.2.0/24, 192.0.2.0/99").one("bad-client-host")
    assert (finding.severity, finding.value) == (Severity.REFUSE, "192.0.2.0/99")


def test_websocket() -> None:
    websocket = net("websocket_port = 4333", "websocket_advertise = wss://h:443").ok.network.websocket
    assert (websocket.port, websocket.advertise) == (4333, "h:443")
    assert net("websocket_advertise = h:443").one("no-effect").severity is Severity.WARN


def test_system_user() -> None:
    user = net("system.user = u", "system.password = p").ok.network.system_user
    assert user is not None
    assert (user.user, user.password.reveal()) == ("u", "p")
    assert net().ok.network.system_user is None


@pytest.mark.parametrize("line", ["system.user = u", "system.password = p"])
def test_half_a_system_login(line: str) -> None:
    finding = net(line).one("half-login")
    assert (finding.severity, finding.lenient) == (Severity.REFUSE, True)
    found = net(line, overrides=Overrides(lenient=True))
    assert "every login" in found.one("half-login").effect
    assert found.ok.network.system_user is None


def test_a_system_user_in_the_way_of_provisioning() -> None:
    assert net("system.user = provisioner", "system.password = p").one("user-clash").severity is Severity.WARN


SIGNER, PASSWORD = "provisioning.signer_cert = /signer.pem", "provisioning.client_password = p"


def test_provisioning() -> None:
    found = net(SIGNER, PASSWORD)
    assert found.findings == ()
    provisioning = found.ok.network.provisioning
    assert str(provisioning.signer) == "/signer.pem"
    assert provisioning.client_password is not None


@pytest.mark.parametrize(("line", "effect"), [(SIGNER, "tokens are refused"), (PASSWORD, "only the provisioner")])
def test_half_of_provisioning(line: str, effect: str) -> None:
    finding = net(line).one("half-provisioning")
    assert finding.severity is Severity.WARN
    assert effect in finding.effect


def test_on_issuer_networks_the_password_is_enough() -> None:
    issuer = ("plugin.security.issuer.names = x", f"plugin.security.issuer.x.public = {KEY}")
    assert base(*issuer, NET + PASSWORD).findings == ()
    assert base(*issuer, NET + PASSWORD, NET + "provisioning.provisioner_without_token = 1").findings == ()
    assert net(SIGNER, PASSWORD, "provisioning.provisioner_without_token = 1").codes() == ["no-effect"]


@pytest.mark.parametrize("line", ["client_signer_cert = /signer.pem", "server_signer_cert = /signer.pem", SIGNER])
def test_missing_signers(line: str) -> None:
    for fact in (MISSING, FileFact(b" \n")):
        finding = net(line, PASSWORD, SIGNER, files={"/signer.pem": fact}).findings[-1]
        assert (finding.code, finding.severity) == ("signer-missing", Severity.REFUSE)
        assert "/signer.pem" in finding.problem


EC = ec.generate_private_key(ec.SECP256R1()).public_key()
NO_KEYS = [
    (b"nothing of the kind", "neither a PEM certificate"),
    (b"\xff\xfe", "neither a PEM certificate"),
    (KEY[:-1].encode(), "neither a PEM certificate"),
    (b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "cannot be read"),
    (b"-----BEGIN PUBLIC KEY-----\n", "incomplete"),
    (EC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "neither an RSA nor an ed25519 key"),
]


@pytest.mark.parametrize(("content", "problem"), NO_KEYS)
@pytest.mark.parametrize("name", ["client_signer_cert", "server_signer_cert", "provisioning.signer_cert"])
def test_signer_files_without_a_key(name: str, content: bytes, problem: str) -> None:
    finding = net(PASSWORD, SIGNER, f"{name} = /x", files={"/x": FileFact(content)}).one("bad-signer")
    assert (finding.severity, finding.key, finding.value) == (Severity.REFUSE, NET + name, "/x")
    assert finding.problem.startswith("/x: ")
    assert problem in finding.problem


@pytest.mark.parametrize("content", [KEY.encode(), KEY.upper().encode() + b"\n", *SIGNER_FILES])
def test_signer_files_with_a_key(content: bytes) -> None:
    assert net("client_signer_cert = /x", files={"/x": FileFact(content)}).findings == ()


def test_the_file_of_the_older_name_is_checked_too() -> None:
    older = "plugin.choria.security.request_signing_certificate"
    finding = base(f"{older} = /x", files={"/x": FileFact(b"x")}).one("bad-signer")
    assert (finding.severity, finding.key) == (Severity.REFUSE, older)


def test_every_missing_signer_is_listed() -> None:
    found = net("client_signer_cert = /a, /b, " + KEY, files={"/a": MISSING, "/b": MISSING})
    assert [finding.value for finding in found.findings] == ["/a", "/b"]


def test_signers() -> None:
    network = net(f"client_signer_cert = {KEY}, /signer.pem", "server_signer_cert = /signer.pem").ok.network
    assert network.client_signers == (KEY, "/signer.pem")
    assert network.server_signers == ("/signer.pem",)


def test_the_older_name_of_the_client_signer() -> None:
    older = "plugin.choria.security.request_signing_certificate = ~/signer.pem"
    found = base(older)
    assert found.one("alias-key").severity is Severity.WARN
    assert found.ok.network.client_signers == ("/root/signer.pem",)
    found = base(older, NET + "client_signer_cert = " + KEY)
    assert "ignored" in found.one("alias-key").effect
    assert found.ok.network.client_signers == (KEY,)


def test_without_tls_some_settings_are_ignored_and_reported() -> None:
    found = net(
        SIGNER,
        PASSWORD,
        "client_signer_cert = /missing",
        overrides=Overrides(disable_tls=True),
        files={"/missing": MISSING},
    )
    needing = [finding.key for finding in found.findings if finding.code == "needs-tls"]
    assert sorted(needing) == [
        NET + name for name in ("client_signer_cert", "provisioning.client_password", "provisioning.signer_cert")
    ]
    assert found.ok.identity == IDENTITY


def test_mappings_keep_their_order() -> None:
    found = net(
        "mapping.names = b, a",
        "mapping.a.source = x.*",
        "mapping.a.destination = y.$1",
        "mapping.b.source = p",
        "mapping.b.destination = q",
    )
    assert found.ok.network.mappings == (
        SubjectMapping(name="b", source="p", destination="q"),
        SubjectMapping(name="a", source="x.*", destination="y.$1"),
    )


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["mapping.a.source = x"],
        ["mapping.a.destination = x"],
        ["mapping.a.source = x.*", "mapping.a.destination = y.$2"],
    ],
)
def test_bad_mappings_are_left_out(lines: list[str]) -> None:
    found = net("mapping.names = a", *lines)
    assert found.one("bad-mapping").severity is Severity.SKIP
    assert found.ok.network.mappings == ()


def test_streams_reach_around_limits_by_address_and_by_certificate() -> None:
    assert "streams-around-limits" not in net("stream.store = /store").codes()
    assert "streams-around-limits" not in net("client_hosts = 192.0.2.1").codes()
    finding = net("stream.store = /store", "client_hosts = 192.0.2.1").one("streams-around-limits")
    assert (finding.severity, finding.key) == (Severity.WARN, f"{NET}client_hosts")


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        (
            [f"plugin.security.issuer.x.public = {'ab' * 32}", "plugin.security.issuer.names = x"],
            "plugin.security.issuer.names",
        ),
        ([f"{NET}client_signer_cert = {'ab' * 32}"], f"{NET}client_signer_cert"),
        ([f"{NET}server_signer_cert = {'ab' * 32}"], f"{NET}server_signer_cert"),
        (
            ["plugin.choria.security.request_signing_certificate = /signer.pem"],
            "plugin.choria.security.request_signing_certificate",
        ),
    ],
)
def test_streams_reach_around_the_limits_of_tokens(lines: list[str], key: str) -> None:
    assert "streams-around-limits" not in base(*lines).codes()
    finding = base(*lines, f"{NET}stream.store = /store").one("streams-around-limits")
    assert (finding.severity, finding.key) == (Severity.WARN, key)
    assert "streams_user" in finding.problem
