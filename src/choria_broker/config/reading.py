"""From lines and environment to typed values, with a finding for everything that is wrong with them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from choria_broker.config import values as conversions
from choria_broker.config.collector import Collector, Subject, shown
from choria_broker.config.findings import DEFAULT, Origin
from choria_broker.config.schema import Match, Owner, Setting, Status
from choria_broker.config.syntax import Document, Drop, Dropped, Entry
from choria_broker.config.table import SETTINGS
from choria_broker.config.values import BadValueError, Kind

_WATCHED = (
    "plugin.choria.network.",
    "plugin.choria.broker",
    "plugin.choria.adapter",
    "plugin.choria.stats",
    "plugin.choria.federation",
    "plugin.security.",
)
"""Prefixes under which an unknown key is likely a misspelling; other plugins own the rest."""

_FEDERATION_CLIENT = "plugin.choria.federation.collectives"

_INEFFECTIVE = {
    "INSECURE_DISABLE_TLS": "start with --disable-tls if that is what you want",
    "INSECURE_YES_REALLY": "start with --disable-tls if that is what you want",
    "INSECURE_ANON_TLS": "start with --disable-ssl-verification if that is what you want",
}

_BROKEN_LEVEL = "warn"
"""Level at which go-choria logs when it does not know the word."""


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Value:
    """One typed value that somebody set.

    Attributes:
        text: as written.
        value: converted.
        origin: where it was set.
    """

    text: str
    value: object
    origin: Origin


class Values:
    """All values of one configuration; keys that nobody set have their defaults."""

    def __init__(
        self, given: Mapping[str, Value], raw: Mapping[str, str], home: str, bad: frozenset[str] = frozenset()
    ) -> None:
        """Keep the values that were set, the raw table, and the keys whose last value could not be read."""
        self._given = given
        self._bad = bad
        self._home = home
        self.raw = raw

    def given(self, key: str) -> bool:
        """Tell whether the key has a text of its own, from a file or the environment, that is not empty."""
        found = self._given.get(key)
        return found is not None and found.text != ""

    def set_keys(self) -> tuple[str, ...]:
        """Return the keys that were set, in order of their first appearance."""
        return tuple(self._given)

    def origin(self, key: str) -> Origin:
        """Return where the key was set."""
        found = self._given.get(key)
        return found.origin if found else DEFAULT

    def subject(self, key: str, text: str | None = None) -> Subject:
        """Return what a finding about the key says of it; ``text`` instead of the whole value when one item is bad."""
        found = self._given.get(key)
        if not found:
            return Subject(key, "", DEFAULT)
        if text is None or ("@" in found.text and "@" not in text):
            # One item cut out of a list of logins may be half a password.
            text = found.text
        match = SETTINGS.find(key)
        return Subject(key, shown(key, text, match.setting if match else None), found.origin)

    def is_bad(self, key: str) -> bool:
        """Tell whether the last value of the key could not be read."""
        return key in self._bad

    def is_default(self, key: str) -> bool:
        """Tell whether the value equals the default, set or not."""
        match = SETTINGS.find(key)
        if not match:
            return False
        return self._value(key) == _convert(match.setting, match.setting.default, self._home)[0]

    def absent(self, key: str, because: str) -> Subject:
        """Return the subject for a key that is missing, placed where the setting that asks for it stands."""
        return Subject(key, "", self.origin(because))

    def text(self, key: str) -> str:
        """Return a string setting, empty when unset."""
        return cast("str", self._value(key))

    def number(self, key: str) -> int:
        """Return an integer or a port."""
        return cast("int", self._value(key))

    def flag(self, key: str) -> bool:
        """Return a boolean or a yes or no."""
        return cast("bool", self._value(key))

    def seconds(self, key: str) -> float:
        """Return a duration in seconds."""
        return cast("float", self._value(key))

    def items(self, key: str) -> tuple[str, ...]:
        """Return a comma separated list without empty items."""
        return cast("tuple[str, ...]", self._value(key))

    def path(self, key: str) -> Path | None:
        """Return a path after expansion of ``~``, None when unset."""
        text = self.text(key)
        return Path(text) if text else None

    def _value(self, key: str) -> object:
        found = self._given.get(key)
        if found:
            return found.value
        match = SETTINGS.find(key)
        if not match:
            raise KeyError(key)
        return _convert(match.setting, match.setting.default, self._home)[0]


def read(document: Document, environ: Mapping[str, str], home: str, collector: Collector) -> Values:
    """Turn the lines of all files, and after them the environment, into typed values.

    Args:
        document: lines in reading order.
        environ: variables of the process.
        home: home directory for ``~``, empty when there is none.
        collector: receives every problem.

    Returns:
        The values; a key whose value is bad keeps its earlier value or default.
    """
    raw = {entry.key: entry.value for entry in document.entries}
    for line in document.dropped:
        _report_dropped(line, collector)
    groups: dict[str, list[Entry]] = {}
    for entry in document.entries:
        groups.setdefault(entry.key, []).append(entry)
    given: dict[str, Value] = {}
    bad: set[str] = set()
    for key, entries in groups.items():
        match = SETTINGS.find(key)
        _report_encoding(entries, match, collector)
        if not match:
            _report_unknown(entries[-1], collector)
            continue
        usable = _usable(entries, match, collector)
        if not usable:
            continue
        try:
            given[key] = _take(usable, match.setting, home, collector)
        except BadValueError as error:
            bad.add(key)
            value = _bad(usable, match.setting, home, error, collector)
            if value:
                given[key] = value
    _apply_environment(given, raw, environ, home, collector)
    _report_ineffective(environ, collector)
    return Values(given, raw, home, frozenset(bad))


def _usable(entries: list[Entry], match: Match, collector: Collector) -> list[Entry]:
    """Sort out entries of files that do not feed declared settings, and report repeats among the others."""
    if match.setting.keyed:
        usable = entries
    else:
        usable = [entry for entry in entries if entry.typed]
        for entry in entries:
            if not entry.typed:
                collector.warn(
                    "inert-plugin-file",
                    "this file does not feed this setting",
                    "the line has no effect",
                    f"move {entry.key} to the main file",
                    _at(entry, match.setting),
                )
    if usable and not match.setting.appends:
        _report_repeat(usable, match.setting, collector)
    return usable


def _take(entries: list[Entry], setting: Setting, home: str, collector: Collector) -> Value:
    """Convert the last occurrence.

    Raises:
        BadValueError: it is bad.
    """
    last = entries[-1]
    at = _at(last, setting)
    _report_status(setting, at, collector)
    if setting.appends:
        return Value(last.value, tuple(entry.value for entry in entries), last.origin)
    value, empty = _convert(setting, last.value, home)
    if empty:
        collector.warn("empty-item", "an empty item in the list", "the item is left out", "remove the extra comma", at)
    if setting.kind is Kind.SWITCH and value is not conversions.switch_in_go_choria(last.value):
        ours, theirs = ("yes", "no") if value else ("no", "yes")
        collector.warn(
            "switch-read-differently",
            f"go-choria takes this word for {theirs}",
            f"this broker takes it for {ours}",
            "write yes or no in lower case",
            at,
        )
    return Value(last.value, value, last.origin)


def _convert(setting: Setting, text: str, home: str) -> tuple[object, int]:
    """Return the typed value and the number of empty list items that were left out."""
    kind = setting.kind
    if kind is Kind.LIST:
        return conversions.items(text)
    if kind is Kind.PATH:
        return conversions.path(text, home), 0
    if kind is Kind.CHOICE:
        return conversions.choice(text, setting.choices), 0
    if kind is Kind.TITLE:
        return conversions.title(text), 0
    if setting.appends:
        return (), 0
    convert = {
        Kind.INTEGER: conversions.integer,
        Kind.PORT: conversions.port,
        Kind.BOOLEAN: conversions.boolean,
        Kind.DURATION: conversions.duration,
        Kind.SWITCH: conversions.switch,
    }.get(kind, str)
    return convert(text), 0


def _bad(entries: list[Entry], setting: Setting, home: str, error: BadValueError, collector: Collector) -> Value | None:
    last, at = entries[-1], _at(entries[-1], setting)
    if setting.owner is not Owner.BROKER:
        collector.warn("bad-value", error.problem, "the broker does not use it", error.remedy, at)
        return None
    if not error.malformed or setting.key == "plugin.security.provider" or setting.kind is Kind.SWITCH:
        code = "bad-provider" if setting.kind is Kind.CHOICE else "bad-value" if error.malformed else "port-range"
        problem = f"unknown security provider {at.shown}" if code == "bad-provider" else error.problem
        collector.refuse(code, problem, error.remedy, at)
        return None
    if setting.kind is Kind.BOOLEAN:
        collector.refuse("bad-boolean", error.problem, error.remedy, at, lenient="it counts as false")
        return Value(last.value, False, last.origin)  # noqa: FBT003 - the value of a setting
    if setting.kind is Kind.CHOICE:
        effect = f"the log runs at level {_BROKEN_LEVEL}"
        collector.refuse("bad-choice", error.problem, error.remedy, at, lenient=effect)
        return Value(last.value, _BROKEN_LEVEL, last.origin)
    earlier = _earlier(entries[:-1], setting, home)
    kept = f"the value {earlier.text} of {earlier.origin} stays" if earlier else f"the default {setting.default} stays"
    collector.refuse("bad-value", error.problem, error.remedy, at, lenient=kept)
    return earlier


def _earlier(entries: list[Entry], setting: Setting, home: str) -> Value | None:
    for entry in reversed(entries):
        try:
            return Value(entry.value, _convert(setting, entry.value, home)[0], entry.origin)
        except BadValueError:
            continue
    return None


def _apply_environment(
    given: dict[str, Value], raw: dict[str, str], environ: Mapping[str, str], home: str, collector: Collector
) -> None:
    for setting in SETTINGS.rows:
        text = environ.get(setting.environment) if setting.environment else None
        if text is None:
            continue
        origin = Origin(f"environment {setting.environment}")
        value, empty = _convert(setting, text, home)
        if empty:
            at = Subject(setting.key, shown(setting.key, text, setting), origin)
            collector.warn("empty-item", "an empty item in the list", "it is left out", "remove the extra comma", at)
        if setting.key == _FEDERATION_CLIENT and text:
            _report_federation_client(Subject(setting.key, text, origin), collector)
        given[setting.key] = Value(text, value, origin)
        raw[setting.key] = text


def _report_ineffective(environ: Mapping[str, str], collector: Collector) -> None:
    for name, instead in _INEFFECTIVE.items():
        if environ.get(name):
            problem, effect = "a variable for client commands", "the broker ignores it"
            at = Subject(name, environ[name], Origin(f"environment {name}"))
            collector.warn("ineffective-environment", problem, effect, instead, at)


def _at(entry: Entry, setting: Setting | None = None) -> Subject:
    return Subject(entry.key, shown(entry.key, entry.value, setting), entry.origin)


def _report_dropped(line: Dropped, collector: Collector) -> None:
    match = SETTINGS.find(line.key)
    at = Subject(line.key if match else "", "", line.origin)
    if line.reason is Drop.NUL:
        collector.refuse("nul-character", str(line.reason), "remove the character; is this a text file?", at)
    elif match and line.reason is Drop.NO_VALUE:
        default = match.setting.default
        stays = f"the default {default} stays" if default else "it stays unset"
        collector.warn("empty-value", "an empty value cannot be set", stays, "write a value, or remove the line", at)
    else:
        collector.warn(
            "dropped-line", str(line.reason), "the line is dropped", "write KEY = VALUE, or # before a comment", at
        )


def _report_encoding(entries: list[Entry], match: Match | None, collector: Collector) -> None:
    for entry in entries:
        if not entry.latin1:
            continue
        at = _at(entry, match.setting if match else None)
        if match and match.setting.secret:
            collector.warn("not-utf8", "the line is not UTF-8", "it is read as Latin-1", "save the file as UTF-8", at)
        else:
            collector.refuse("not-utf8", "the line is not UTF-8", "save the file as UTF-8", at)


def _report_unknown(entry: Entry, collector: Collector) -> None:
    plugin = entry.key.startswith("plugin.")
    if plugin and not entry.key.startswith(_WATCHED):
        return
    near = SETTINGS.nearest(entry.key)
    # A misspelt password key must not show the password.
    match = SETTINGS.find(near)
    at = _at(entry, match.setting if match else None)
    if not plugin and not near:
        collector.info(
            "unknown-key", "not a key of the broker", "it is ignored", "remove it if nothing else reads it", at
        )
        return
    remedy = f"did you mean {near}?" if near else "look the key up in the manual, or remove it"
    collector.warn("unknown-key", "no such key", "it is ignored", remedy, at)


def _report_repeat(entries: list[Entry], setting: Setting, collector: Collector) -> None:
    for earlier, later in itertools.pairwise(entries):
        if earlier.value == later.value:
            continue
        problem = f"set again after {earlier.origin}"
        if earlier.origin.file == later.origin.file:
            collector.warn(
                "repeated-key", problem, "the last one counts", "remove one of the lines", _at(later, setting)
            )
        else:
            collector.info(
                "overridden-key", problem, "the later file counts", "set it in one file only", _at(later, setting)
            )


def _report_status(setting: Setting, at: Subject, collector: Collector) -> None:
    if setting.status is Status.RETIRED:
        collector.warn("retired-key", "no longer read", "it is ignored", setting.note, at)
    elif setting.status is Status.IGNORED:
        collector.info("ignored-key", setting.note, "it is ignored", "remove it", at)
    elif setting.key == _FEDERATION_CLIENT:
        _report_federation_client(at, collector)


def _report_federation_client(at: Subject, collector: Collector) -> None:
    collector.warn(
        "client-setting",
        "a setting of federation clients",
        "the broker ignores it, where go-choria would connect both sides to the federation",
        "remove it from the broker's configuration and environment",
        at,
    )
