"""Findings about lines and keys as such, whatever their values are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from choria_broker.config.table.rows import SETTINGS
from choria_broker.config.table.schema import Match, Setting, Status
from choria_broker.config.text.collector import Collector, SettingRef
from choria_broker.config.text.shown_values import shown_value
from choria_broker.config.text.syntax import Drop, Dropped, Entry
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.findings import Origin

FEDERATION_CLIENT = "plugin.choria.federation.collectives"
"""Key of the collectives of federation clients."""

_INEFFECTIVE = {
    "INSECURE_DISABLE_TLS": "start with --disable-tls if you want no TLS",
    "INSECURE_YES_REALLY": "start with --disable-tls if you want no TLS",
    "INSECURE_ANON_TLS": "start with --disable-ssl-verification if you want no client certificates",
}


def setting_ref(entry: Entry, setting: Setting | None = None) -> SettingRef:
    """Name the setting of a line, its value fit to be shown."""
    return SettingRef(entry.key, shown_value(entry.value, setting), entry.origin)


def report_ineffective(environ: Mapping[str, str], collector: Collector) -> None:
    """Report variables that only client commands look at."""
    for name, instead in _INEFFECTIVE.items():
        if environ.get(name):
            problem, effect = "a variable for client commands", "the broker ignores it"
            at = SettingRef(name, "", Origin(f"environment {name}"))
            collector.warn(Code.INEFFECTIVE_ENVIRONMENT, problem=problem, effect=effect, remedy=instead, at=at)


def report_dropped(line: Dropped, collector: Collector) -> None:
    """Report a line that is no setting."""
    match = SETTINGS.find(line.key)
    at = SettingRef(line.key if match else "", "", line.origin)
    if line.reason is Drop.NUL:
        collector.refuse(Code.NUL_CHARACTER, problem=str(line.reason), at=at)
    elif match and line.reason is Drop.NO_VALUE:
        default = match.setting.default
        stays = f"the default {default} is used" if default else "it stays unset"
        collector.warn(
            Code.EMPTY_VALUE,
            problem="an empty value cannot be set",
            effect=stays,
            at=at,
        )
    else:
        collector.warn(
            Code.DROPPED_LINE,
            problem=str(line.reason),
            effect="the line is ignored",
            at=at,
        )


def report_encoding(entries: list[Entry], match: Match | None, collector: Collector) -> None:
    """Report lines that are not UTF-8."""
    for entry in entries:
        if not entry.latin1:
            continue
        at = setting_ref(entry, match.setting if match else None)
        if match and match.setting.secret:
            collector.warn(
                Code.NOT_UTF8,
                problem="the line is not UTF-8",
                effect="it is read as Latin-1",
                at=at,
            )
        else:
            collector.refuse(Code.NOT_UTF8, problem="the line is not UTF-8", at=at)


def report_repeat(entries: list[Entry], setting: Setting, collector: Collector) -> None:
    """Report that a key is set more than once with different values."""
    for earlier, later in itertools.pairwise(entries):
        if earlier.value == later.value:
            continue
        problem = f"set again after {earlier.origin}"
        if earlier.origin.file == later.origin.file:
            collector.warn(
                Code.REPEATED_KEY,
                problem=problem,
                effect="the last one is used",
                at=setting_ref(later, setting),
            )
        else:
            collector.info(
                Code.OVERRIDDEN_KEY,
                problem=problem,
                effect="the later file is used",
                at=setting_ref(later, setting),
            )


def report_status(setting: Setting, at: SettingRef, collector: Collector) -> None:
    """Report a key that the broker does not read any more, or never did."""
    if setting.status is Status.RETIRED:
        collector.warn(Code.RETIRED_KEY, problem="no longer used", effect="it is ignored", remedy=setting.note, at=at)
    elif setting.status is Status.IGNORED:
        collector.info(Code.IGNORED_KEY, problem=setting.note, effect="it is ignored", at=at)
    elif setting.key == FEDERATION_CLIENT:
        report_federation_client(at, collector)


def report_federation_client(at: SettingRef, collector: Collector) -> None:
    """Report the setting of federation clients that means something else to a broker of go-choria."""
    collector.warn(
        Code.CLIENT_SETTING,
        problem="a setting of federation clients",
        effect="the broker ignores it; go-choria would connect both sides to the federation",
        at=at,
    )
