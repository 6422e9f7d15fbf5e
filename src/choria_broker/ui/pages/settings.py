"""The settings in force: value, place and default, what was found, and what waits for a restart."""

from __future__ import annotations

import msgspec

from choria_broker.settings.finding_codes import Severity
from choria_broker.status.document import Status
from choria_broker.status.reloads import FileProblem, FindingReport, PendingRestart, ReloadReport
from choria_broker.status.settings_now import SettingReport, SettingsNow
from choria_broker.ui.page import Asked, Group, Knowledge, Page

_ORDER = {
    each.value: place for place, each in enumerate((Severity.REFUSE, Severity.SKIP, Severity.WARN, Severity.INFO))
}
_MARKS = {"refuse": "failing", "skip": "failing", "warn": "degraded", "info": "ok"}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A finding.

    Attributes:
        condition: how it is marked.
        finding: what was found.
    """

    condition: str
    finding: FindingReport


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker was told.

    Attributes:
        text: what was looked for.
        all: settings that nobody set are shown too.
        settings: those that are shown.
        set_count: how many are set.
        known_count: how many there are altogether.
        findings: the worst first.
        pending: what waits for a restart.
        bad_files: changed files that cannot be used.
        reload: the last reload, None before the first.
    """

    text: str
    all: bool
    settings: tuple[SettingReport, ...]
    set_count: int
    known_count: int
    findings: tuple[Found, ...]
    pending: tuple[PendingRestart, ...]
    bad_files: tuple[FileProblem, ...]
    reload: ReloadReport | None


def view(facts: tuple[Status, SettingsNow], asked: Asked) -> SettingsView:
    """Make the page."""
    status, now = facts
    text, everything = asked.text("text")[:100], asked.text("all") == "1"
    chosen = (each for each in now.settings if everything or text or each.is_set)
    findings = sorted(now.findings, key=lambda each: _ORDER.get(each.severity, 0))
    return SettingsView(
        text=text,
        all=everything,
        settings=tuple(each for each in chosen if _mentions(each, text.lower())),
        set_count=sum(each.is_set for each in now.settings),
        known_count=len(now.settings),
        findings=tuple(Found(condition=_MARKS.get(each.severity, "degraded"), finding=each) for each in findings),
        pending=status.pending_restart,
        bad_files=status.file_problems,
        reload=status.reload,
    )


def _mentions(setting: SettingReport, text: str) -> bool:
    return any(text in each.lower() for each in (setting.key, setting.value, setting.place, setting.doc, setting.group))


async def _facts(known: Knowledge, _asked: Asked) -> tuple[Status, SettingsNow]:
    return known.status(), known.settings_now()


PAGE = Page(name="settings", title="Settings", group=Group.BROKER, place=20, facts=_facts, view=view, refresh=10)
