"""From lines and environment to typed values, with a finding for everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from choria_broker.config.table.rows import SETTINGS
from choria_broker.config.table.schema import Match, Owner, Setting, Status, ValueKind
from choria_broker.config.text import values as conversions
from choria_broker.config.text.collector import Collector, SettingRef
from choria_broker.config.text.line_findings import (
    FEDERATION_CLIENT,
    report_dropped,
    report_encoding,
    report_federation_client,
    report_ineffective,
    report_repeat,
    report_status,
    setting_ref,
)
from choria_broker.config.text.shown_values import shown_value
from choria_broker.config.text.syntax import Document, Entry
from choria_broker.config.text.values import BadValueError
from choria_broker.patterns import expression
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.findings import DEFAULT, Origin
from choria_broker.values import Discreet

if TYPE_CHECKING:
    from choria_broker.config.text.near_misses import NearMisses

_ANOTHER_SETTING = expression(r"plugin\.[\w-]+\.[\w.-]+\s*[=:]|\splugin\.(?:choria|security|nats)\.\w")
"""What only a key looks like."""

_BROKEN_LEVEL = "warn"
"""Level at which go-choria logs when it does not know the word."""


class Value(Discreet, frozen=True):
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
        self._logins: dict[str, bool] = {}
        self._shown: dict[str, str] = {}
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

    def ref(self, key: str, text: str | None = None) -> SettingRef:
        """Return what a finding about the key shows of it; ``text`` instead of the whole value when one item is bad."""
        found = self._given.get(key)
        if not found:
            return SettingRef(key, "", DEFAULT)
        if text is None or (self._may_hold_login(key) and "@" not in text):
            # One item cut out of a list of logins may be half a password.
            return SettingRef(key, self._shown_whole(key), found.origin)
        match = SETTINGS.find(key)
        return SettingRef(key, shown_value(text, match.setting if match else None), found.origin)

    def _shown_whole(self, key: str) -> str:
        """Return what may be shown of the text of a key, worked out once: a long list may have many bad items."""
        if key not in self._shown:
            match = SETTINGS.find(key)
            self._shown[key] = shown_value(self._given[key].text, match.setting if match else None)
        return self._shown[key]

    def _may_hold_login(self, key: str) -> bool:
        """Tell whether there is an @ in the text of a key, without reading a long list again for each of its items."""
        if key not in self._logins:
            self._logins[key] = "@" in self._given[key].text
        return self._logins[key]

    def is_bad(self, key: str) -> bool:
        """Tell whether the last value of the key could not be read."""
        return key in self._bad

    def is_default(self, key: str) -> bool:
        """Tell whether the value equals the default, set or not."""
        match = SETTINGS.find(key)
        if not match:
            return False
        return self.value(key) == _convert(match.setting, match.setting.default, self._home)[0]

    def absent(self, key: str, because: str) -> SettingRef:
        """Return the reference to a key that is missing, placed where the setting that asks for it stands."""
        return SettingRef(key, "", self.origin(because))

    def text(self, key: str) -> str:
        """Return a string setting, empty when unset."""
        return cast("str", self.value(key))

    def number(self, key: str) -> int:
        """Return an integer or a port."""
        return cast("int", self.value(key))

    def flag(self, key: str) -> bool:
        """Return a boolean or a yes or no."""
        return cast("bool", self.value(key))

    def seconds(self, key: str) -> float:
        """Return a duration in seconds."""
        return cast("float", self.value(key))

    def items(self, key: str) -> tuple[str, ...]:
        """Return a comma separated list without empty items."""
        return cast("tuple[str, ...]", self.value(key))

    def path(self, key: str) -> Path | None:
        """Return a path after expansion of ``~``, None when unset."""
        text = self.text(key)
        return Path(text) if text else None

    def value(self, key: str) -> object:
        """Return the value of a setting of any kind."""
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
        report_dropped(line, collector)
    groups: dict[str, list[Entry]] = {}
    for entry in document.entries:
        groups.setdefault(entry.key, []).append(entry)
    given: dict[str, Value] = {}
    bad: set[str] = set()
    near: NearMisses | None = None
    for key, entries in groups.items():
        match = SETTINGS.find(key)
        report_encoding(entries, match, collector)
        if not match:
            near = _report_unknown(entries[-1], near, collector)
            continue
        usable = _usable(entries, match, collector)
        if not usable:
            continue
        if _holds_another(usable[-1], match.setting, collector):
            bad.add(key)
            continue
        try:
            given[key] = _take(usable, match.setting, home, collector)
        except BadValueError as error:
            bad.add(key)
            value = _bad(usable, match.setting, home, error, collector)
            if value:
                given[key] = value
    _apply_environment(given, raw, environ, home, collector)
    report_ineffective(environ, collector)
    return Values(given, raw, home, frozenset(bad))


def _report_unknown(entry: Entry, near: NearMisses | None, collector: Collector) -> NearMisses:
    """Say what there is to say about a key that no setting has; most files have none, and arranging them takes time.

    Returns:
        The known keys, for the next one.
    """
    from choria_broker.config.text import near_misses, unknown_keys  # noqa: PLC0415 - most starts do not need them

    near = near or near_misses.NearMisses(SETTINGS.rows)
    unknown_keys.report_unknown(entry, near, collector)
    return near


def _usable(entries: list[Entry], match: Match, collector: Collector) -> list[Entry]:
    """Sort out entries of files that do not feed declared settings, and report repeats among the others."""
    if match.setting.keyed:
        usable = entries
    else:
        usable = [entry for entry in entries if entry.typed]
        for entry in entries:
            if not entry.typed:
                collector.warn(
                    Code.INERT_PLUGIN_FILE,
                    problem="this file cannot contain this setting",
                    effect="the line has no effect",
                    remedy=f"move {entry.key} to the main file",
                    at=setting_ref(entry, match.setting),
                )
    if usable and not match.setting.appends:
        report_repeat(usable, match.setting, collector)
    return usable


def _holds_another(entry: Entry, setting: Setting, collector: Collector) -> bool:
    """Refuse a value that goes on with another setting: the line end between them is lost, and half of them too.

    A password may have any text in it, so that is only a warning.
    """
    if setting.owner is not Owner.BROKER or not _ANOTHER_SETTING.search(entry.value):
        return False
    problem = "there is another setting on the same line"
    at = setting_ref(entry, setting)
    if setting.secret:
        collector.warn(Code.TWO_SETTINGS, problem=problem, effect="the whole line is used as the value", at=at)
        return False
    collector.refuse(Code.TWO_SETTINGS, problem=problem, at=at)
    return True


def _take(entries: list[Entry], setting: Setting, home: str, collector: Collector) -> Value:
    """Convert the last occurrence.

    Raises:
        BadValueError: it is bad.
    """
    last = entries[-1]
    at = setting_ref(last, setting)
    report_status(setting, at, collector)
    if setting.appends:
        return Value(last.value, tuple(entry.value for entry in entries), last.origin)
    value, empty = _convert(setting, last.value, home)
    if empty:
        collector.warn(
            Code.EMPTY_ITEM,
            problem="an empty item in the list",
            effect="the item is ignored",
            at=at,
        )
    if setting.kind is ValueKind.SWITCH and value is not conversions.switch_in_go_choria(last.value):
        ours, theirs = ("yes", "no") if value else ("no", "yes")
        collector.warn(
            Code.SWITCH_READ_DIFFERENTLY,
            problem=f"go-choria reads this word as {theirs}",
            effect=f"this broker reads it as {ours}",
            at=at,
        )
    return Value(last.value, value, last.origin)


def _convert(setting: Setting, text: str, home: str) -> tuple[object, int]:
    """Return the typed value and the number of empty list items that were left out."""
    kind = setting.kind
    if kind is ValueKind.LIST:
        return conversions.items(text)
    if kind is ValueKind.PATH:
        return conversions.path(text, home), 0
    if kind is ValueKind.CHOICE:
        return conversions.choice(text, setting.choices), 0
    if kind is ValueKind.TITLE:
        return conversions.title(text), 0
    if setting.appends:
        return (), 0
    convert = {
        ValueKind.INTEGER: conversions.integer,
        ValueKind.PORT: conversions.port,
        ValueKind.BOOLEAN: conversions.boolean,
        ValueKind.DURATION: conversions.duration,
        ValueKind.SWITCH: conversions.switch,
    }.get(kind, str)
    return convert(text), 0


def _bad(entries: list[Entry], setting: Setting, home: str, error: BadValueError, collector: Collector) -> Value | None:
    last, at = entries[-1], setting_ref(entries[-1], setting)
    if setting.owner is not Owner.BROKER:
        collector.warn(
            Code.BAD_VALUE, problem=error.problem, effect="the broker does not use it", remedy=error.remedy, at=at
        )
        return None
    if not error.malformed or setting.key == "plugin.security.provider" or setting.kind is ValueKind.SWITCH:
        code = (
            Code.BAD_PROVIDER
            if setting.kind is ValueKind.CHOICE
            else Code.BAD_VALUE
            if error.malformed
            else Code.PORT_RANGE
        )
        problem = f"unknown security provider {at.shown}" if code == Code.BAD_PROVIDER else error.problem
        collector.refuse(code, problem=problem, remedy=error.remedy, at=at)
        return None
    if setting.kind is ValueKind.BOOLEAN:
        collector.refuse(
            Code.BAD_BOOLEAN, problem=error.problem, remedy=error.remedy, at=at, lenient="it is read as false"
        )
        return Value(last.value, False, last.origin)  # noqa: FBT003 - the value of a setting
    if setting.kind is ValueKind.CHOICE and setting.status is Status.NEW:
        collector.refuse(Code.BAD_CHOICE, problem=error.problem, remedy=error.remedy, at=at)
        return None
    if setting.kind is ValueKind.CHOICE:
        effect = f"the log runs at level {_BROKEN_LEVEL}"
        collector.refuse(Code.BAD_CHOICE, problem=error.problem, remedy=error.remedy, at=at, lenient=effect)
        return Value(last.value, _BROKEN_LEVEL, last.origin)
    earlier = _earlier(entries[:-1], setting, home)
    kept = (
        f"the value {shown_value(earlier.text, setting)} of {earlier.origin} is used"
        if earlier
        else f"the default {setting.default} is used"
    )
    collector.refuse(Code.BAD_VALUE, problem=error.problem, remedy=error.remedy, at=at, lenient=kept)
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
            at = SettingRef(setting.key, shown_value(text, setting), origin)
            collector.warn(
                Code.EMPTY_ITEM,
                problem="an empty item in the list",
                effect="it is ignored",
                at=at,
            )
        if setting.key == FEDERATION_CLIENT and text:
            report_federation_client(SettingRef(setting.key, shown_value(text, setting), origin), collector)
        given[setting.key] = Value(text, value, origin)
        raw[setting.key] = text
