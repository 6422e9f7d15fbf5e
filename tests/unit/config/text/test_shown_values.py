"""What of configured values and keys may be seen."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choria_broker.config.table.foreign import FOREIGN
from choria_broker.config.table.rows import BROKER_SETTINGS, SETTINGS
from choria_broker.config.table.schema import Owner, Setting, Shows, ValueKind
from choria_broker.config.text.collector import Collector
from choria_broker.config.text.reading import read
from choria_broker.config.text.shown_values import shown_key, shown_value
from choria_broker.config.text.syntax import parse
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding, Origin
from choria_broker.settings.secret import MASK
from support.fuzzing import examples
from support.scenario import BASE, IDENTITY, NET, base

JWT = "eyJhbGciOiJFZERTQSJ9.eyJjYWxsZXJpZCI6ImIifQ.c2lnbmF0dXJl"
SEED = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"
HEX = "9b0b5c1f1f2bb2a0c1c6a4f4c2a0b1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c"
SECRETS = [
    "hunter2",
    JWT,
    SEED,
    HEX,
    "nats://u:hunter2",
    "nats://u:hunter2@a:1",
    "nats://u:hun@ter2@a:1",
    "nats://u:p/q?hunter2@a:1",
    "u:hunter2@a:1",
    "u:hunter2",
    "https://a/?token=hunter2",
    "https://a/x#hunter2",
    "https://a/hunter2/x",
    "a:1?auth=hunter2",
    "https://a:hunter2",
    "nats://u:hunter2,b@a:1",
    "-----BEGIN PRIVATE KEY----- hunter2",
    "Bearer hunter2hunter2hunter2",
    "$2a$11$hunter2hunter2hunter2hunter2",
]


def row(key: str) -> Setting:
    found = SETTINGS.find(key)
    assert found
    return found.setting


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("a:1", "a:1"),
        ("a:1, b.example.net.:2", "a:1, b.example.net.:2"),
        ("nats://a:1", "nats://a:1"),
        ("[fe80::1%eth0]:4222", "[fe80::1%eth0]:4222"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0/99", "192.0.2.0/99"),
        ("a b", "a..."),
        ("nats://u:p@a:1", f"nats://{MASK}@a:1"),
        ("u:p@a:1", f"{MASK}@a:1"),
        ("nats://u:p/q@a:1", f"nats://{MASK}@a:1"),
        ("nats://a:1, nats://u:p@b:2", f"nats://{MASK}@b:2"),
        ("nats://u:p@a:1, b:2", f"nats://{MASK}@a:1, b:2"),
        ("nats://u:SECRET", f"nats://{MASK}"),
        ("u:SECRET, b:2", f"{MASK}, b:2"),
        ("https://a/?token=SECRET", "https://a..."),
        ("https://a:1/x#SECRET", "https://a:1..."),
        ("wss://a:443/SECRET", "wss://a:443..."),
        (HEX, MASK),
        ("a\x1b[31m", MASK),
        ("a\u202eb", MASK),
        ("bj\u00f6rn.example:1", "bj\u00f6rn.example:1"),
        ("x" * 90 + "." + "y" * 90, "x" * 90 + "." + "y" * 9 + "..."),
    ],
)
def test_places(text: str, visible: str) -> None:
    assert shown_value(text, row(f"{NET}peers")) == visible


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("acme, globex", "acme, globex"),
        ("ops.*.>", "ops.*.>"),
        ("{{partition(10,1)}}.x", "{{partition(10,1)}}.x"),
        ("a\nb\x1b[2J\u202e", "a\\nb\\x1b[2J\\u202e"),
        ("x" * 200, MASK),
        ("x." * 100, "x." * 50 + "..."),
        (f"a {JWT}", f"a {MASK}"),
        (SEED, MASK),
        (HEX, MASK),
        ("nats://u:p@h", f"nats://{MASK}@h"),
        ("b1 plugin.nats.pass = SECRET", "b1..."),
        ("b1 plugin.nats.pass: SECRET", "b1..."),
        ("b1plugin.nats.pass=SECRET", "b1..."),
        ("b1 token=SECRET", "b1..."),
    ],
)
def test_words(text: str, visible: str) -> None:
    assert shown_value(text, row(f"{NET}mapping.names")) == visible


@pytest.mark.parametrize(
    ("key", "text", "visible"),
    [
        ("plugin.security.file.key", "/etc/choria/key.pem", "/etc/choria/key.pem"),
        ("plugin.security.file.key", "~/" + "a" * 40 + "/key.pem", "~/" + "a" * 40 + "/key.pem"),
        ("plugin.security.file.key", "-----BEGIN PRIVATE KEY-----MC4CAQ", MASK),
        ("plugin.choria.network.client_signer_cert", f"/a.pem, {HEX}", MASK),
        ("plugin.choria.network.client_port", "1O24", "1O24"),
        ("plugin.choria.network.client_port", "5tr0ngPassw0rd", MASK),
        ("plugin.choria.network.client_port", "hunter2", MASK),
        ("plugin.choria.network.tls_timeout", "2 min", "2 min"),
        ("plugin.choria.network.tls_timeout", "-1h30m", "-1h30m"),
        ("plugin.choria.broker_network", "maybe", "maybe"),
        ("plugin.choria.broker_network", "hunter2!", MASK),
        ("plugin.choria.broker_network", "nats://u:p", MASK),
        ("plugin.security.provider", "vault", "vault"),
        ("plugin.security.provider", JWT, MASK),
        ("plugin.choria.network.peer_password", "x", MASK),
        ("plugin.choria.network.peer_user", "x", MASK),
        ("plugin.choria.network.system.user", "x", MASK),
        ("plugin.nats.user", JWT, MASK),
        ("plugin.security.issuer.acme.public", HEX, MASK),
        ("plugin.choria.security.request_signer.url", "https://a/", MASK),
        ("plugin.login.aaasvc.login.url", "https://a/", MASK),
        ("registration", "x", MASK),
    ],
)
def test_other_kinds(key: str, text: str, visible: str) -> None:
    assert shown_value(text, row(key)) == visible


def test_nothing_is_known_of_unknown_keys() -> None:
    assert shown_value("x", None) == ""


def test_values_of_other_programs_are_not_shown_by_default() -> None:
    assert {setting.shows for setting in FOREIGN if setting.owner is not Owner.BROKER} == {Shows.NOTHING}


def test_no_setting_with_a_free_text_is_shown_by_mistake() -> None:
    free = {setting.key for setting in BROKER_SETTINGS if setting.kind in {ValueKind.STRING, ValueKind.LIST}}
    hidden = {setting.key for setting in BROKER_SETTINGS if setting.key in free and setting.shows is Shows.NOTHING}
    assert hidden == {
        "plugin.nats.user",
        "plugin.nats.pass",
        f"{NET}peer_user",
        f"{NET}peer_password",
        f"{NET}system.user",
        f"{NET}system.password",
        f"{NET}provisioning.client_password",
        "plugin.security.issuer.NAME.public",
        "plugin.security.choria.trusted_signers",
    }


@pytest.mark.parametrize(
    ("key", "visible"),
    [
        ("plugin.security.vault.token", "plugin.security.vault.token"),
        ("plugin.nats.pass SECRET", "plugin.nats.pass ..."),
        ("plugin.nats.pass: SECRET", "plugin.nats.pass ..."),
        ("nats://u:SECRET@host", "nats ..."),
        (JWT, MASK),
        ("\x1b[31m", MASK),
        ("a\x1b[31m", "a ..."),
        ("k" * 300, "k" * 100 + "..."),
    ],
)
def test_keys(key: str, visible: str) -> None:
    assert shown_key(key) == visible


EVERYWHERE = [setting.of("x") if setting.keyed else setting.key for setting in SETTINGS.rows]


PASTED = [text for text in SECRETS if "hunter2" in text and text not in ("hunter2", "https://a/hunter2/x")]


@pytest.mark.untraced
@pytest.mark.parametrize("offset", range(0, len(PASTED) if examples(1) > 1 else 5, 5))
def test_what_is_pasted_in_the_wrong_place_is_not_seen(offset: int) -> None:
    """Whatever key it is pasted to, known, foreign and unknown, no finding shows it."""
    for number, key in enumerate(
        (*EVERYWHERE, "plugin.security.vault.token", "plugin.choria.netwrk.peers", "some.key")
    ):
        secret = PASTED[(number + offset) % len(PASTED)]
        found = base(f"{key} = {secret}")
        shown = [str(finding) for finding in found.findings if "hunter2" in f"{finding}{finding!r}"]
        assert not shown, (key, secret)


HOSTILE = st.text(alphabet=st.sampled_from("a\x1b\x07\x9b\r\u202e\u2066\u2028\u200b\x7f=.[]{}@:/?#, "), max_size=40)


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(EVERYWHERE), HOSTILE)
def test_findings_are_single_lines_without_commands_for_a_terminal(key: str, text: str) -> None:
    for finding in base(f"{key} = {text}x").findings:
        assert str(finding).isprintable()
        assert all(str(part).isprintable() for part in msgspec.structs.astuple(finding))


@pytest.mark.untraced
def test_endless_values_do_not_fill_the_screen() -> None:
    for key in EVERYWHERE[::3]:
        for finding in base(f"{key} = {'x.' * 50_000}", f"{key}.{'y' * 5000} = z").findings:
            assert len(str(finding)) < 5000, key


def test_texts_of_findings_are_made_fit_wherever_they_come_from() -> None:
    finding = Finding(
        severity=Severity.WARN,
        code=Code.NO_EFFECT,
        problem=f"\x1b[31m nats://u:hunter2@a {JWT}",
        effect="a\nb",
        remedy="https://a/?q=hunter2",
        origin=Origin("/etc/a\nb", 1),
        key="k\x1b",
        value="v\u202e",
    )
    assert str(finding).isprintable()
    assert "hunter2" not in str(finding)
    assert JWT not in str(finding)


def test_a_file_of_an_old_editor_is_read_line_by_line() -> None:
    lines = [
        *BASE.splitlines(),
        f"{NET}peer_user = u",
        f"{NET}peer_password = hunter2",
        "plugin.choria.netwrk.x = hunter2",
    ]
    collector = Collector()
    values = read(parse("\r".join(lines).encode(), "f"), {}, "", collector)
    assert (values.text("identity"), values.text(f"{NET}peer_password")) == (IDENTITY, "hunter2")
    assert [finding.code for finding in collector.findings()] == ["unknown-key"]
    assert "hunter2" not in "".join(map(str, collector.findings()))
