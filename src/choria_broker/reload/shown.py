"""The settings in force as they may be shown: with place, default and what a change of each takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from choria_broker.config.table.rows import BROKER_SETTINGS, SETTINGS
from choria_broker.config.table.schema import Owner, Setting, Shows
from choria_broker.config.text.shown_values import shown_key, shown_value
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding, Origin
from choria_broker.status.reloads import reported
from choria_broker.status.settings_now import SettingReport, SettingsNow

NOT_SHOWN = "(not shown)"
"""Stands for a value of which nobody here knows whether it is a secret."""

_SOMEWHERE = Origin("the configuration")
_OWN_GROUPS = ("The process", "Statistics", "Adapters")
_OWN_ENDINGS = ("_address", "public_url", "websocket_advertise")
_SHARED_KEYS = ("collectives", "main_collective")


def settings_now(settings: Settings, findings: tuple[Finding, ...]) -> SettingsNow:
    """Tell what was set where, what was not, and what was found.

    Args:
        settings: what the broker was told, as far as it is in force.
        findings: what was found while that was read.
    """
    found = {each.key: each.origin for each in findings if each.key}
    return SettingsNow(tuple(_settings(settings, found)), reported(findings))


def _settings(settings: Settings, found: Mapping[str, Origin]) -> Iterator[SettingReport]:
    for key, text in settings.raw.items():
        match, origin = SETTINGS.find(key), settings.origins.get(key, found.get(key, _SOMEWHERE))
        setting = match.setting if match else None
        known = setting if setting and setting.owner is Owner.BROKER else None
        yield SettingReport(
            key=shown_key(key),
            value=shown_value(text, setting) or (NOT_SHOWN if text else ""),
            default=known.default if known else "",
            file=origin.file,
            line=origin.line,
            group=known.group if known else "",
            apply=known.apply.value if known else "",
            doc=setting.doc if setting else "",
            shared=bool(known and _shared(known)),
        )
    for row in BROKER_SETTINGS:
        if row.key not in settings.raw and not row.keyed:
            yield SettingReport(
                key=row.key,
                value=row.default,
                default=row.default,
                group=row.group,
                apply=row.apply.value,
                doc=row.doc,
                shared=_shared(row),
            )


def _shared(setting: Setting) -> bool:
    """Tell whether members of a cluster are expected to have the same: not where it is about one machine, or secret."""
    if setting.key in _SHARED_KEYS:
        return True
    about_one = setting.group in _OWN_GROUPS or setting.shows is Shows.FILES or setting.key.endswith(_OWN_ENDINGS)
    return not (about_one or setting.secret)
