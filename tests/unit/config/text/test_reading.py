"""From lines and environment to typed values."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.table.rows import SETTINGS
from choria_broker.config.text.collector import Collector
from choria_broker.config.text.reading import Values, read
from choria_broker.config.text.syntax import Document, parse
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding, Origin
from choria_broker.settings.secret import MASK

NET = "plugin.choria.network."


def reading(
    text: str | bytes, environ: Mapping[str, str] | None = None, *, lenient: bool = False, more: Document | None = None
) -> tuple[Values, tuple[Finding, ...]]:
    collector = Collector(lenient=lenient)
    data = text if isinstance(text, bytes) else text.encode()
    document = parse(data, "b.conf") + (more or Document())
    return read(document, environ or {}, "/home/bob", collector), collector.findings()


def only(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1, [str(finding) for finding in findings]
    return findings[0]


def test_defaults_without_any_line() -> None:
    values, findings = reading("")
    assert findings == ()
    assert values.number(NET + "client_port") == 4222
    assert values.seconds(NET + "write_deadline") == 5.0
    assert values.flag("plugin.choria.use_srv") is True
    assert values.items(NET + "peers") == ()
    assert values.path(NET + "stream.store") is None
    assert values.text(NET + "leafnode_remote.x.account") == "choria"
    assert not values.given("identity")
    assert values.origin("identity") == Origin("default")


def test_an_unheard_of_key_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError):
        reading("")[0].text("no.such.key")


def test_values_of_every_type() -> None:
    values, findings = reading(
        f"{NET}client_port = 4333\n{NET}write_deadline = 10s\nplugin.choria.use_srv = N\n{NET}peers = a:1, b:2\n"
        f"{NET}stream.store = ~/store\nlibdir = /a\nlibdir = /b\n{NET}gateway_remote.x.tls.verify = off\n"
    )
    assert findings == ()
    assert values.number(NET + "client_port") == 4333
    assert values.seconds(NET + "write_deadline") == 10.0
    assert values.flag("plugin.choria.use_srv") is False
    assert values.items(NET + "peers") == ("a:1", "b:2")
    assert str(values.path(NET + "stream.store")) == "/home/bob/store"
    assert values.items("libdir") == ("/a", "/b")
    assert values.flag(NET + "gateway_remote.x.tls.verify") is False
    assert values.raw["libdir"] == "/b"


@pytest.mark.parametrize(
    ("line", "code", "severity", "lenient_effect"),
    [
        (NET + "client_port = 14230x", "bad-value", Severity.REFUSE, "the default 4222 is used"),
        (NET + "write_deadline = 5 s", "bad-value", Severity.REFUSE, "the default 5s is used"),
        ("plugin.choria.broker_network = enabled", "bad-boolean", Severity.REFUSE, "it is read as false"),
        ("loglevel = verbose", "bad-choice", Severity.REFUSE, "the log runs at level warn"),
        ("loglevel = INFO", "bad-choice", Severity.REFUSE, "the log runs at level warn"),
        (NET + "client_port = 70000", "port-range", Severity.REFUSE, ""),
        (NET + "client_port = -1", "port-range", Severity.REFUSE, ""),
        (NET + "gateway_remote.x.tls.verify = maybe", "bad-value", Severity.REFUSE, ""),
        ("plugin.security.provider = vault", "bad-provider", Severity.REFUSE, ""),
    ],
)
def test_bad_values(line: str, code: str, severity: Severity, lenient_effect: str) -> None:
    finding = only(reading(line)[1])
    assert (finding.code, finding.severity, finding.lenient) == (code, severity, bool(lenient_effect))
    assert finding.origin == Origin("b.conf", 1)
    assert finding.effect == "the broker does not start"
    lenient = only(reading(line, lenient=True)[1])
    assert lenient.severity is (Severity.WARN if lenient_effect else Severity.REFUSE)
    assert lenient_effect in lenient.effect


def test_the_text_of_a_bad_value_says_everything() -> None:
    finding = only(reading(f"\n{NET}client_port = 14230x")[1])
    assert str(finding) == (
        "b.conf:2: plugin.choria.network.client_port = 14230x: not a whole number; the broker does not start. "
        "Remedy: write a port between 0 and 65535"
    )


def test_leniency_keeps_an_earlier_good_value() -> None:
    values, findings = reading(f"{NET}client_port = 4300\n{NET}client_port = x", lenient=True)
    assert values.number(NET + "client_port") == 4300
    assert any("the value 4300 of b.conf:1 is used" in finding.effect for finding in findings)


def test_leniency_has_the_effects_of_the_old_program() -> None:
    values, _ = reading(f"plugin.choria.use_srv = on\nloglevel = verbose\n{NET}tls_timeout = soon", lenient=True)
    assert values.flag("plugin.choria.use_srv") is False
    assert values.text("loglevel") == "warn"
    assert values.seconds(NET + "tls_timeout") == 2.0


def test_bad_values_of_other_programs_are_warnings() -> None:
    finding = only(reading("plugin.choria.security.request_signer.service = perhaps")[1])
    assert (finding.code, finding.severity) == ("bad-value", Severity.WARN)


def test_unknown_provider_is_named() -> None:
    assert "unknown security provider vault" in str(only(reading("plugin.security.provider = vault")[1]))


@pytest.mark.parametrize(
    ("line", "code", "severity", "word"),
    [
        (NET + "client_prt = 1", "unknown-key", Severity.WARN, "plugin.choria.network.client_port?"),
        ("plugin.choria.broker_qqqqqqqqqq = 1", "unknown-key", Severity.WARN, "list of settings"),
        ("plugin.choria.stats_prt = 1", "unknown-key", Severity.WARN, "plugin.choria.stats_port?"),
        ("plugin.choria.federation.clustr = 1", "unknown-key", Severity.WARN, "plugin.choria.federation.cluster?"),
        ("plugin.security.providr = file", "unknown-key", Severity.WARN, "plugin.security.provider?"),
        ("plugin.choria.adapter.x.typ = y", "unknown-key", Severity.WARN, "plugin.choria.adapter.x.type?"),
        ("identty = x", "unknown-key", Severity.WARN, "identity?"),
        ("something_else = x", "unknown-key", Severity.INFO, "remove it"),
        (NET + "monitor_port = 8222", "retired-key", Severity.WARN, "plugin.choria.stats_port"),
        ("daemonize = 1", "ignored-key", Severity.INFO, "remove it"),
        ("connector = nats", "ignored-key", Severity.INFO, "remove it"),
        ("plugin.choria.federation.instance = x", "ignored-key", Severity.INFO, "remove it"),
        ("plugin.security.file.cache = x", "ignored-key", Severity.INFO, "remove it"),
        ("soft_shutdown_timeout = 3", "ignored-key", Severity.INFO, NET + "soft_shutdown_timeout"),
        ("plugin.choria.federation.collectives = a", "client-setting", Severity.WARN, "remove it"),
        (NET + "peers = a:1,,b:2", "empty-item", Severity.WARN, "extra comma"),
        ("identity =", "empty-value", Severity.WARN, "it stays unset"),
        (NET + "client_port =", "empty-value", Severity.WARN, "the default 4222 is used"),
        ("some words", "dropped-line", Severity.WARN, "KEY = VALUE"),
        ("= x", "dropped-line", Severity.WARN, "no key"),
        ("a = \0", "nul-character", Severity.REFUSE, "NUL"),
        (
            NET + "gateway_remote.x.tls.disable = False",
            "switch-read-differently",
            Severity.WARN,
            "reads this word as yes",
        ),
        (
            NET + "gateway_remote.x.tls.verify = n",
            "switch-read-differently",
            Severity.WARN,
            "this broker reads it as no",
        ),
    ],
)
def test_lines_worth_a_word(line: str, code: str, severity: Severity, word: str) -> None:
    finding = only(reading(line)[1])
    assert (finding.code, finding.severity) == (code, severity)
    assert word in str(finding)
    assert finding.origin == Origin("b.conf", 1)


@pytest.mark.parametrize(
    "line", ["plugin.puppet.foo = 1", "registration = x", "color = 1", "plugin.choria.machine.store = /x"]
)
def test_lines_of_other_programs_pass_in_silence(line: str) -> None:
    values, findings = reading(line)
    assert findings == ()
    assert list(values.raw) == [line.partition(" ")[0]]


def test_a_repeat_names_both_lines() -> None:
    values, findings = reading(f"{NET}client_port = 1\n\n{NET}client_port = 2")
    assert values.number(NET + "client_port") == 2
    finding = only(findings)
    assert (finding.code, finding.severity, finding.origin) == ("repeated-key", Severity.WARN, Origin("b.conf", 3))
    assert "b.conf:1" in finding.problem


def test_lists_are_rebuilt_not_extended() -> None:
    assert reading(f"{NET}peers = a:1\n{NET}peers = b:2")[0].items(NET + "peers") == ("b:2",)


@pytest.mark.parametrize("text", [f"{NET}client_port = 1\n{NET}client_port = 1", "libdir = /a\nlibdir = /b"])
def test_harmless_repeats(text: str) -> None:
    assert reading(text)[1] == ()


def test_a_later_file_wins_and_that_is_mentioned() -> None:
    more = parse(b"network.client_port = 4333", "plugin.d/choria.cfg", prefix="plugin.choria.")
    values, findings = reading(f"{NET}client_port = 4222", more=more)
    assert values.number(NET + "client_port") == 4333
    finding = only(findings)
    assert (finding.code, finding.severity) == ("overridden-key", Severity.INFO)


def test_other_plugin_files_do_not_feed_declared_settings() -> None:
    more = parse(b"provider = file", "plugin.d/security.cfg", prefix="plugin.security.", typed=False)
    values, findings = reading("", more=more)
    assert values.text("plugin.security.provider") == "puppet"
    assert values.raw["plugin.security.provider"] == "file"
    finding = only(findings)
    assert (finding.code, finding.severity) == ("inert-plugin-file", Severity.WARN)
    assert str(finding).startswith("plugin.d/security.cfg:1: plugin.security.provider = file:")
    assert "move plugin.security.provider to the main file" in finding.remedy


def test_other_plugin_files_do_feed_keyed_families() -> None:
    more = parse(b"issuer.ACME.public = abc", "plugin.d/security.cfg", prefix="plugin.security.", typed=False)
    values, findings = reading("", more=more)
    assert values.text("plugin.security.issuer.ACME.public") == "abc"
    assert findings == ()


@pytest.mark.parametrize(
    ("environ", "key", "value"),
    [
        ({"CHORIA_SRV_DOMAIN": "example.org"}, "plugin.choria.srv_domain", "example.org"),
        ({"CHORIA_SRV_DOMAIN": ""}, "plugin.choria.srv_domain", ""),
        ({"MCOLLECTIVE_NATS_USERNAME": "u"}, "plugin.nats.user", "u"),
        ({"MCOLLECTIVE_NATS_PASSWORD": "p"}, "plugin.nats.pass", "p"),
        ({"MCOLLECTIVE_NATS_CREDENTIALS": "/c"}, "plugin.nats.credentials", "/c"),
        ({"CHORIA_REGISTRY": "/r"}, "plugin.choria.services.registry.cache", "/r"),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_environment_always_wins(environ: dict[str, str], key: str, value: str, in_file: bool) -> None:
    values, findings = reading(f"{key} = other" if in_file else "", environ)
    assert values.text(key) == value
    assert values.origin(key) == Origin(f"environment {next(iter(environ))}")
    assert findings == ()


def test_a_client_variable_is_reported() -> None:
    finding = only(reading("", {"CHORIA_FED_COLLECTIVE": "a"})[1])
    assert finding.code == "client-setting"
    assert str(finding).startswith("environment CHORIA_FED_COLLECTIVE: ")


@pytest.mark.parametrize("name", ["INSECURE_DISABLE_TLS", "INSECURE_YES_REALLY", "INSECURE_ANON_TLS"])
def test_insecure_variables_have_no_effect(name: str) -> None:
    finding = only(reading("", {name: "true"})[1])
    assert (finding.code, finding.severity) == ("ineffective-environment", Severity.WARN)


def test_latin_1_is_accepted_for_passwords_only() -> None:
    values, findings = reading(f"{NET}peer_password = gr\xfcn".encode("latin-1"))
    assert values.text(NET + "peer_password") == "grün"
    assert only(findings).severity is Severity.WARN
    assert only(reading(b"identity = gr\xfcn")[1]).severity is Severity.REFUSE


@pytest.mark.parametrize(
    "line",
    [
        NET + "peer_password = hunter2",
        NET + "peer_pasword = hunter2",
        NET + "sytem.password = hunter2",
        NET + "peers = nats://u:hunter2@a:1, b",
        "plugin.nats.pass = hunter2",
        "plugin.nats.paswd = hunter2",
    ],
)
def test_secrets_are_masked(line: str) -> None:
    values, findings = reading(line + f"\n{line}x\nplugin.nats.pass: hunter2\n hunter2")
    assert not any("hunter2" in str(finding) + repr(finding) for finding in findings)
    assert "hunter2" not in repr(values.ref(line.partition(" ")[0]))


def test_half_a_login_is_not_shown_either() -> None:
    values, _ = reading(f"{NET}peers = nats://u:secret,part@a:1")
    assert "secret" not in values.ref(NET + "peers", "nats://u:secret").shown


@pytest.mark.parametrize(
    "line",
    [
        "identity = b1 plugin.nats.pass = hunter2",
        "identity = b1 plugin.nats.pass: hunter2",
        "identity = b1 plugin.nats.pass hunter2",
        "identity = b1plugin.nats.pass=hunter2",
        "identity = b1; plugin.nats.pass = hunter2",
        f"{NET}client_port = 4222 {NET}peer_password = hunter2",
        f"{NET}peers = a:1, b:2 {NET}system.password = hunter2",
        f"{NET}peers = a:1, plugin.nats.pass = hunter2, b:2",
        "plugin.security.issuer.names = acme plugin.nats.pass = hunter2",
        "plugin.security.file.key = /key.pem plugin.nats.pass = hunter2",
        "loglevel = debug plugin.nats.pass = hunter2",
    ],
)
def test_two_settings_in_one_line_are_refused_and_not_shown(line: str) -> None:
    values, findings = reading(line)
    finding = only(findings)
    assert (finding.code, finding.severity) == ("two-settings", Severity.REFUSE)
    assert "hunter2" not in repr(finding)
    assert not values.given(line.partition(" ")[0])


def test_a_password_may_look_like_two_settings() -> None:
    values, findings = reading("plugin.nats.pass = x plugin.nats.user = y")
    assert values.text("plugin.nats.pass") == "x plugin.nats.user = y"
    assert (only(findings).code, only(findings).severity, only(findings).value) == ("two-settings", Severity.WARN, MASK)


def test_the_earlier_value_that_stays_is_masked_like_any() -> None:
    _, findings = reading(f"{NET}write_deadline = 7s\n{NET}write_deadline = nats://u:hunter2")
    assert "hunter2" not in "".join(map(repr, findings))
    _, findings = reading(f"{NET}write_deadline = 7s\n{NET}write_deadline = x", lenient=True)
    assert any("the value 7s of" in finding.effect for finding in findings)


KEYS = st.sampled_from([row.of("x") if row.keyed else row.key for row in SETTINGS.rows])
LINES = st.lists(st.tuples(KEYS, st.text(max_size=20)), max_size=12)


@given(LINES, st.booleans())
def test_nothing_is_raised_and_nothing_vanishes(lines: list[tuple[str, str]], lenient: bool) -> None:
    values, findings = reading("\n".join(f"{key} = {text}" for key, text in lines), lenient=lenient)
    reported = {finding.key for finding in findings}
    for key in values.raw:
        match = SETTINGS.find(key)
        assert not match or values.origin(key).line or key in reported
