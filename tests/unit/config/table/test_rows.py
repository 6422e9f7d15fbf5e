"""The table of settings."""

from __future__ import annotations

import pytest

from choria_broker.config.table.manual import render
from choria_broker.config.table.rows import BROKER_SETTINGS, SETTINGS, others
from choria_broker.config.table.schema import Apply, Match, Owner, Setting, Status, Table, ValueKind
from choria_broker.config.text.collector import Collector
from choria_broker.config.text.reading import Values


def row(key: str) -> Setting:
    match = SETTINGS.find(key)
    assert match, key
    return match.setting


@pytest.mark.parametrize("setting", SETTINGS.rows, ids=lambda setting: setting.key)
def test_every_default_is_a_value_of_its_type(setting: Setting) -> None:
    assert Values({}, {}, "").is_default(setting.of("x") if setting.keyed else setting.key)


@pytest.mark.parametrize("setting", SETTINGS.rows, ids=lambda setting: setting.key)
def test_every_row_is_complete(setting: Setting) -> None:
    assert setting.doc.endswith(".")
    assert setting.group
    assert bool(setting.choices) == (setting.kind is ValueKind.CHOICE)
    if setting.status in {Status.ALIAS, Status.RETIRED, Status.IGNORED}:
        assert setting.note


@pytest.mark.parametrize("setting", SETTINGS.rows, ids=lambda setting: setting.key)
def test_passwords_are_secret(setting: Setting) -> None:
    assert setting.secret == (setting.key.endswith("password") or setting.key == "plugin.nats.pass")


@pytest.mark.parametrize(
    ("key", "family", "name"),
    [
        (
            "plugin.choria.network.gateway_remote.London.urls",
            "plugin.choria.network.gateway_remote.NAME.urls",
            "London",
        ),
        (
            "plugin.choria.network.leafnode_remote.my.site.url",
            "plugin.choria.network.leafnode_remote.NAME.url",
            "my.site",
        ),
        (
            "plugin.choria.network.leafnode_remote.a.tls.tls.cert",
            "plugin.choria.network.leafnode_remote.NAME.tls.cert",
            "a.tls",
        ),
        ("plugin.security.issuer.ACME.public", "plugin.security.issuer.NAME.public", "ACME"),
        ("plugin.choria.adapter.x.stream.topic", "plugin.choria.adapter.NAME.stream.topic", "x"),
    ],
)
def test_keyed_families(key: str, family: str, name: str) -> None:
    match = SETTINGS.find(key)
    assert match == Match(next(setting for setting in SETTINGS.rows if setting.key == family), name)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "Identity",
        "plugin.choria.network",
        "plugin.choria.network.gateway_remote..urls",
        "plugin.choria.network.gateway_remote.urls",
        "plugin.choria.network.gateway_remote.x.url",
    ],
)
def test_unknown_keys(key: str) -> None:
    assert SETTINGS.find(key) is None


def test_two_rows_with_one_key_are_a_mistake() -> None:
    setting = Setting("a", ValueKind.STRING, "", "-", Apply.LIVE, "A.", "G")
    with pytest.raises(ValueError, match="same key"):
        Table([setting, setting])


@pytest.mark.parametrize(
    ("key", "kind", "default"),
    [
        ("identity", ValueKind.STRING, ""),
        ("logfile", ValueKind.PATH, "stdout"),
        ("loglevel", ValueKind.CHOICE, "info"),
        ("plugin.choria.stats_address", ValueKind.STRING, "127.0.0.1"),
        ("plugin.choria.stats_port", ValueKind.PORT, "0"),
        ("plugin.choria.use_srv", ValueKind.BOOLEAN, "true"),
        ("plugin.choria.federation.cluster", ValueKind.STRING, "mcollective"),
        ("plugin.choria.network.listen_address", ValueKind.STRING, "::"),
        ("plugin.choria.network.client_port", ValueKind.PORT, "4222"),
        ("plugin.choria.network.write_deadline", ValueKind.DURATION, "5s"),
        ("plugin.choria.network.tls_timeout", ValueKind.DURATION, "2s"),
        ("plugin.choria.network.auth_timeout", ValueKind.DURATION, "2s"),
        ("plugin.choria.network.gateway_name", ValueKind.STRING, "CHORIA"),
        ("plugin.choria.network.max_connections", ValueKind.INTEGER, "50000"),
        ("plugin.choria.network.soft_shutdown_timeout", ValueKind.INTEGER, "60"),
        ("plugin.choria.network.stream.event_retention", ValueKind.DURATION, "24h"),
        ("plugin.choria.network.stream.advisory_retention", ValueKind.DURATION, "168h"),
        ("plugin.choria.network.stream.leader_election_ttl", ValueKind.DURATION, "1m"),
        ("plugin.choria.network.stream.event_replicas", ValueKind.INTEGER, "-1"),
        ("plugin.security.provider", ValueKind.CHOICE, "puppet"),
    ],
)
def test_documented_defaults(key: str, kind: ValueKind, default: str) -> None:
    assert (row(key).kind, row(key).default) == (kind, default)


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("CHORIA_SRV_DOMAIN", "plugin.choria.srv_domain"),
        ("CHORIA_FED_COLLECTIVE", "plugin.choria.federation.collectives"),
        ("MCOLLECTIVE_NATS_USERNAME", "plugin.nats.user"),
        ("MCOLLECTIVE_NATS_PASSWORD", "plugin.nats.pass"),
        ("MCOLLECTIVE_NATS_CREDENTIALS", "plugin.nats.credentials"),
        ("CHORIA_REGISTRY", "plugin.choria.services.registry.cache"),
    ],
)
def test_environment_variables(variable: str, key: str) -> None:
    assert row(key).environment == variable


def test_the_manual_has_every_key_of_the_table() -> None:
    text = render()
    for setting in SETTINGS.rows:
        assert f"`{setting.key}`" in text
    for setting in BROKER_SETTINGS:
        assert f"### `{setting.key}`" in text


def test_the_manual_has_every_heading_once_and_is_stable() -> None:
    headings = [line for line in render().splitlines() if line.startswith("## ")]
    assert len(headings) == len(set(headings))
    assert render() == render()


def test_rows_of_other_programs_are_told_apart() -> None:
    assert {setting.key for setting in others(Owner.SERVER)} >= {"registration", "classesfile"}
    assert Collector().findings() == ()
