"""What a configuration means as a whole: features, identity, ports, statistics, keys for later."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.config.table.rows import SETTINGS
from choria_broker.settings.broker import LogLevel
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Origin
from choria_broker.values import replace
from support.fuzzing import examples
from support.scenario import BASE, IDENTITY, NET, base, net, scenario


def test_the_smallest_configuration_is_enough() -> None:
    found = scenario(BASE)
    assert found.findings == ()
    settings = found.ok
    assert settings.identity == IDENTITY
    assert settings.network_enabled
    assert settings.network.client_port == 4222
    assert settings.network.listen_address == "::"
    assert settings.network.max_connections == 50000
    assert settings.network.max_unauthenticated == 1000
    assert settings.network.max_handshakes == 1000
    assert settings.network.max_subscriptions == 20000
    assert settings.network.write_deadline == 5.0
    assert settings.network.gateway.name == "CHORIA"
    assert settings.network.cluster.peers == ()
    assert settings.network.streams.store is None
    assert settings.statistics.port == 0
    assert settings.collectives == ("mcollective",)
    assert settings.main_collective == "mcollective"


def test_only_the_feature_and_an_ssldir_are_needed() -> None:
    found = scenario("plugin.choria.broker_network = true\nplugin.choria.ssldir = /ssl")
    assert found.findings == ()
    assert found.ok.identity == IDENTITY


@pytest.mark.parametrize("text", ["", "plugin.choria.broker_network = false"])
def test_something_must_be_on(text: str) -> None:
    found = scenario(text, facts={"ssldir": Path("/ssl")})
    assert found.settings is None
    assert "all broker features are disabled" in found.one("nothing-enabled").problem


def test_a_misspelt_word_is_named_as_the_reason() -> None:
    found = base("plugin.choria.broker_network = enabled")
    assert "not a boolean" in found.one("nothing-enabled").problem
    assert found.one("bad-boolean").severity is Severity.REFUSE


def test_a_misspelt_word_does_not_hide_other_problems() -> None:
    assert "bad-peer" in base("plugin.choria.broker_network = enabled", NET + "peers = x").codes(Severity.SKIP)


def test_problems_of_a_feature_that_is_off_are_not_reported_but_that_it_is_off() -> None:
    lines = [
        "plugin.choria.broker_federation = true",
        "plugin.choria.federation_middleware_hosts = f:4222",
        NET + "peers = x",
    ]
    found = scenario(BASE.replace("network = true", "network = false") + "\n".join(lines))
    assert found.codes() == ["no-effect"]


@pytest.mark.parametrize(
    ("text", "code"), [("a b", "bad-identity"), ("a\u2003b", "bad-identity"), ("a\x01b", "bad-identity")]
)
def test_bad_identity(text: str, code: str) -> None:
    assert base(f"identity = {text}").one(code).severity is Severity.REFUSE


def test_no_identity() -> None:
    text = BASE.replace(f"identity = {IDENTITY}\n", "")
    assert scenario(text, facts={"identity": ""}).one("no-identity").severity is Severity.REFUSE
    assert scenario(text, facts={"identity": "found.example.net"}).ok.identity == "found.example.net"


@pytest.mark.parametrize(
    ("lines", "collectives", "main"),
    [
        ([], ("mcollective",), "mcollective"),
        (["collectives = a, b"], ("a", "b"), "a"),
        (["collectives = a, b", "main_collective = b"], ("a", "b"), "b"),
    ],
)
def test_collectives(lines: list[str], collectives: tuple[str, ...], main: str) -> None:
    settings = base(*lines).ok
    assert (settings.collectives, settings.main_collective) == (collectives, main)


@pytest.mark.parametrize(
    ("line", "logfile"),
    [
        ("", "stdout"),
        ("logfile = STDERR", "stderr"),
        ("logfile = Discard", "discard"),
        ("logfile = ~/x.log", "/root/x.log"),
    ],
)
def test_logfile(line: str, logfile: str) -> None:
    assert base(line).ok.logfile == logfile


def test_debug_wins_over_loglevel() -> None:
    assert base("loglevel = error").ok.loglevel is LogLevel.ERROR
    assert base("loglevel = error", overrides=Overrides(debug=True)).ok.loglevel is LogLevel.DEBUG


def test_a_bad_loglevel_runs_at_warn_with_leniency() -> None:
    assert base("loglevel = verbose").settings is None
    assert base("loglevel = verbose", overrides=Overrides(lenient=True)).ok.loglevel is LogLevel.WARN


def test_statistics() -> None:
    settings = base("plugin.choria.stats_address = localhost", "plugin.choria.stats_port = 8222").ok.statistics
    assert (settings.address, settings.port, settings.ui) == ("localhost", 8222, False)
    assert base("plugin.choria.stats_ui = true").ok.statistics.ui
    assert base("plugin.choria.stats_address = a b").one("bad-value").severity is Severity.REFUSE


@pytest.mark.parametrize(
    ("lines", "first", "second"),
    [
        ([NET + "websocket_port = 4222"], "client_port", "websocket_port"),
        ([NET + "leafnode_port = 4222"], "client_port", "leafnode_port"),
        ([NET + "pprof_port = 4222"], "client_port", "pprof_port"),
        ([NET + "peers = other:5222", NET + "peer_port = 4222"], "client_port", "peer_port"),
        ([NET + "peers = other:5222", NET + "leafnode_port = 5222"], "peer_port", "leafnode_port"),
        (
            [NET + "gateway_port = 4222", NET + "gateway_remotes = x", NET + "gateway_remote.x.urls = x:1"],
            "client_port",
            "gateway_port",
        ),
        (["plugin.choria.stats_port = 4222"], "client_port", "stats_port"),
    ],
)
def test_port_clashes(lines: list[str], first: str, second: str) -> None:
    found = base(*lines)
    problem = found.one("port-clash").problem
    assert first in problem
    assert second in problem
    assert found.settings is None


@pytest.mark.parametrize(
    "lines",
    [
        [NET + "peer_port = 4222"],
        [NET + "gateway_port = 4222"],
        [NET + "client_port = 0", "plugin.choria.stats_port = 0"],
        [NET + "listen_address = 192.0.2.1", "plugin.choria.stats_port = 4222"],
    ],
)
def test_ports_that_do_not_clash(lines: list[str]) -> None:
    assert base(*lines).codes(Severity.REFUSE) == []


@pytest.mark.parametrize(
    "key", ["client_port", "peer_port", "gateway_port", "leafnode_port", "websocket_port", "pprof_port"]
)
def test_port_ranges(key: str) -> None:
    assert net(f"{key} = 65536").one("port-range").severity is Severity.REFUSE


@pytest.mark.parametrize(
    ("line", "list_key"),
    [
        (NET + "gateway_remote.x.urls = a:1", "gateway_remotes"),
        (NET + "leafnode_remote.x.url = a:1", "leafnode_remotes"),
        (NET + "mapping.x.source = a", "mapping.names"),
        ("plugin.security.issuer.x.public = abc", "plugin.security.issuer.names"),
        ("plugin.choria.adapter.x.type = choria_streams", "plugin.choria.adapters"),
    ],
)
def test_members_that_no_list_names(line: str, list_key: str) -> None:
    finding = base(line, line.replace("= a", "= b")).one("unlisted-name")
    assert finding.severity is Severity.WARN
    assert list_key in finding.problem


def test_raw_keys_are_kept_and_never_shown() -> None:
    settings = base("plugin.foo.bar = 1", NET + "system.user = u", NET + "system.password = hunter2").ok
    assert settings.raw["plugin.foo.bar"] == "1"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("seconds", ["0", "-5"])
def test_a_stop_always_has_some_time(seconds: str) -> None:
    assert net(f"soft_shutdown_timeout = {seconds}").ok.network.soft_shutdown_timeout == 10.0


KEYS = st.sampled_from([row.of("x") if row.keyed else row.key for row in SETTINGS.rows])
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["true", "x", "1", "0", "-1", "a:1", "choria", "puppet", "a, x", "1d", "/x.pem"]
)


@settings(max_examples=examples(150))
@given(
    st.lists(st.tuples(KEYS, TEXTS), max_size=25),
    st.builds(Overrides, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_resolving_never_raises(lines: list[tuple[str, str]], overrides: Overrides) -> None:
    found = base(*(f"{key} = {text}" for key, text in lines), overrides=overrides)
    assert (found.settings is None) == (Severity.REFUSE in {finding.severity for finding in found.findings})
    for finding in found.findings:
        assert finding.code
        assert finding.remedy


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (NET + "gateway_port = 7222\n" + NET + "gateway_remotes = x", "remote-without-url"),
        (NET + "leafnode_remotes = x", "remote-without-url"),
        (NET + "mapping.names = x", "bad-mapping"),
        ("plugin.security.issuer.names = x", "no-issuer-key"),
        ("plugin.choria.adapters = x", "adapter-without-topic"),
        ("plugin.choria.adapters = x", "adapter-without-type"),
    ],
)
def test_what_is_missing_is_reported_where_it_is_asked_for(line: str, code: str) -> None:
    finding = base(line).one(code)
    assert finding.origin == Origin("broker.conf", (BASE + line).count("\n") + 1)


@pytest.mark.parametrize(
    ("lines", "warned"),
    [
        (["identity = site:a/b"], True),
        (["identity = site:a/b", NET + "public_url = broker.example.net"], False),
        (["identity = Broker.example.net."], False),
        (["identity = fd00::7"], False),
    ],
)
def test_an_identity_that_is_no_host(lines: list[str], *, warned: bool) -> None:
    text = BASE.replace(f"identity = {IDENTITY}", "") + "\n".join(lines)
    assert ("identity-no-host" in scenario(text).codes(Severity.WARN)) is warned


@pytest.mark.parametrize(
    ("written", "file"),
    [("stdout", None), ("STDERR", None), ("Discard", None), ("/var/log/Broker.log", Path("/var/log/Broker.log"))],
)
def test_the_log_is_in_a_file_or_goes_elsewhere(written: str, file: Path | None) -> None:
    assert base(f"logfile = {written}").ok.log_file == file
    assert replace(base().ok, logfile=written).log_file == file
