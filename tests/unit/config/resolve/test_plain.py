"""Each setting of the broker's own has a field or somebody who asks for it, and each field has its setting."""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import choria_broker.config
from choria_broker.config.resolve import whole
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.config.table.rows import BROKER_SETTINGS, SETTINGS
from choria_broker.config.table.schema import Setting, ValueKind
from choria_broker.config.text.reading import Values
from choria_broker.settings.broker import Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import Authority, Crl, Entry
from choria_broker.settings.secret import Secret
from choria_broker.settings.streams import StandardStream
from support.scenario import BASE, NET, scenario
from support.value_fields import field_names, is_value

PLAIN = [row for row in BROKER_SETTINGS if row.field]

EVERYTHING = f"""{BASE}
plugin.choria.broker_federation = true
plugin.choria.federation_middleware_hosts = f.example.net:4222
plugin.choria.adapters = discovery
plugin.choria.adapter.discovery.type = choria_streams
plugin.choria.adapter.discovery.ingest.topic = discovery
{NET}peers = a.example.net, b.example.net
{NET}gateway_port = 7222
{NET}gateway_remotes = other
{NET}gateway_remote.other.urls = c.example.net:7222
{NET}leafnode_remotes = hub
{NET}leafnode_remote.hub.url = d.example.net:7422
{NET}mapping.names = one
{NET}stream.store = /var/lib/streams
{NET}client_signer_cert = /tls/signer.pem
"""
WORLDS = (
    EVERYTHING,
    "plugin.security.provider = puppet\nplugin.choria.broker_network = true",
    f"plugin.security.provider = choria\nplugin.security.issuer.names = acme\n{NET}client_anon_tls = true",
    f"{BASE}{NET}operator_account = OPS",
    (
        f"{BASE}plugin.choria.adapters = x\nplugin.choria.adapter.x.stream.type = jetstream\n"
        "plugin.choria.adapter.x.ingest.topic = t\nplugin.choria.broker_network = false"
    ),
)
"""Between them they have resolution ask for every setting that it takes."""

UNREAD = {
    "plugin.security.support_legacy_certificates": "no connection of this program needs it",
    "plugin.security.pkcs11.driver_file": "the provider is refused",
    "plugin.security.pkcs11.slot": "the provider is refused",
}
"""Settings that nobody asks for yet, and why."""


def classes(made: type = Settings) -> Iterator[type]:
    """Go through all classes of settings."""
    yield made
    for hint in typing.get_type_hints(made).values():
        for part in (hint, *typing.get_args(hint)):
            if isinstance(part, type) and is_value(part) and "choria_broker.settings" in str(part):
                yield from classes(part)


READ = {Authority, Crl, Entry}
"""What is read from other files."""
CLASSES = {made.__name__: made for made in classes() if made not in {Secret, Endpoint, Origin, *READ}}
FIXED = {
    "StandardStream": set(field_names(StandardStream)) - {"retention", "replicas"},
    "Federation": {"processes"},
}
"""Fields that no setting changes: what the table of standard streams says, and how federation shares its work."""
HINTS = {
    ValueKind.STRING: str,
    ValueKind.TITLE: str,
    ValueKind.INTEGER: int,
    ValueKind.PORT: int,
    ValueKind.BOOLEAN: bool,
    ValueKind.SWITCH: bool,
    ValueKind.DURATION: float,
    ValueKind.PATH: Path | None,
    ValueKind.LIST: tuple[str, ...],
    ValueKind.STRINGS: tuple[str, ...],
    ValueKind.PATHS: tuple[str, ...],
}
OTHER = {
    ValueKind.STRING: "ANOTHER",
    ValueKind.INTEGER: "17",
    ValueKind.PORT: "4999",
    ValueKind.DURATION: "7s",
    ValueKind.PATH: "/another/signer.pem",
    ValueKind.LIST: "ANOTHER",
}
"""Values that are nobody's default."""


def hint_of(row: Setting) -> typing.Any:
    owner, _, name = row.field.partition(".")
    return typing.get_type_hints(CLASSES[owner])[name]


def held(row: Setting, settings: object = None) -> Iterator[object]:
    """Find the field of a row, in whichever part of settings it is."""
    owner, _, name = row.field.partition(".")
    if type(settings).__name__ == owner:
        yield getattr(settings, name)
    elif is_value(type(settings)):
        for name in field_names(type(settings)):
            yield from held(row, getattr(settings, name))


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: row.key)
def test_the_field_of_a_plain_setting_has_the_type_of_its_kind(row: Setting) -> None:
    assert not row.keyed
    if row.secret:
        assert hint_of(row) == Secret | None
    elif row.kind is ValueKind.CHOICE:
        assert {type(choice) for choice in row.choices} == {hint_of(row)}
    else:
        assert hint_of(row) == HINTS[row.kind]


@pytest.mark.parametrize("row", [row for row in PLAIN if row.kind is not ValueKind.CHOICE], ids=lambda row: row.key)
def test_a_plain_setting_reaches_its_field(row: Setting) -> None:
    (usual,) = held(row, scenario(EVERYTHING).ok)
    if usual is True and row.key == "plugin.choria.broker_network":
        return  # Nothing starts without it.
    other = OTHER.get(row.kind) or ("false" if usual else "true")
    if row.field == "Revocation.file":
        other = "/another/revoked"
    (value,) = held(row, scenario(f"{EVERYTHING}{row.key} = {other}\n").ok)
    assert value != usual
    assert isinstance(value, tuple if row.kind is ValueKind.LIST else hint_of(row))


@pytest.mark.parametrize("row", [row for row in BROKER_SETTINGS if row.above_zero], ids=lambda row: row.key)
def test_bounds_are_held(row: Setting) -> None:
    key = row.of("discovery") if row.keyed else row.key
    for value in ("0", "-1", *([str(row.most + 1)] if row.most else [])):
        finding = scenario(f"{EVERYTHING}{key} = {value}\n").one(Code.BAD_VALUE)
        assert finding.key == key
    assert Code.BAD_VALUE not in scenario(f"{EVERYTHING}{key} = {row.most or 1}\n").codes()


def test_no_field_has_two_settings() -> None:
    assert len({row.field for row in PLAIN}) == len(PLAIN)


def test_every_field_has_a_setting_or_a_resolver() -> None:
    given: dict[str, set[str]] = {name: set() for name in CLASSES}
    filled, replaced = set[str](), set[str]()
    for path in Path(choria_broker.config.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            keywords = {keyword.arg for keyword in node.keywords if keyword.arg}
            match node.func:
                case ast.Name(id=name) if name in CLASSES:
                    given[name] |= keywords
                case ast.Name(id="plain"):
                    filled |= {argument.id for argument in node.args if isinstance(argument, ast.Name)}
                case ast.Name(id="replace"):
                    replaced |= keywords
    for name, made in CLASSES.items():
        rows = {row.field.partition(".")[2] for row in PLAIN if row.field.startswith(f"{name}.")}
        assert not rows or name in filled, f"{name} is made without its plain fields"
        assert not rows & given[name], f"{name} is given what its rows fill"
        lacking = set(field_names(made)) - rows - given[name] - replaced - FIXED.get(name, set())
        assert not lacking, f"nothing fills {lacking} of {name}"


def test_every_setting_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    for name in ("value", "given", "path"):
        original = getattr(Values, name)

        def recorded(self: Values, key: str, original: typing.Any = original) -> object:
            match = SETTINGS.find(key)
            asked.update([match.setting.key] if match else [])
            return original(self, key)

        monkeypatch.setattr(Values, name, recorded)
    # To ask whether something was set that has no effect is not to read it.
    monkeypatch.setattr(whole, "report_void", lambda *_: None)
    for text in WORLDS:
        scenario(text)
        scenario(text, overrides=Overrides(disable_tls=True))
    silent = {row.key for row in BROKER_SETTINGS} - asked
    assert silent == UNREAD.keys()
