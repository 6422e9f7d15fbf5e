"""What came of a reload, as the command, the log and the status tell it; nothing in it is a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding

APPLIED, UNCHANGED, PARTIAL, REFUSED = "applied", "unchanged", "partial", "refused"
"""What can come of a reload: all is in force; nothing had changed; parts wait for a restart; nothing has changed."""

RESULTS = (APPLIED, UNCHANGED, PARTIAL, REFUSED)


class Trigger(msgspec.Struct, frozen=True):
    """What a reload was asked by.

    Attributes:
        kind: ``signal``, ``command``, ``file`` or ``program``, which is a program that embeds the broker.
        who: the signal's name, or the user that gave the command.
        files: files that have changed, when they asked for it.
    """

    kind: Literal["signal", "command", "file", "program"]
    who: str = ""
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write it in words."""
        if self.files:
            return f"changed file{'s' if len(self.files) > 1 else ''} {', '.join(self.files)}"
        return f"{self.kind} {self.who}".strip() if self.kind == "signal" else self._asked()

    def _asked(self) -> str:
        return f"{self.kind}{' of ' if self.who else ''}{self.who}"


class PendingRestart(msgspec.Struct, frozen=True):
    """A setting that was changed and that only a restart takes over.

    Attributes:
        key: its full key.
        old, new: the value in force and that of the files, secrets masked; empty when unset.
        file, line: where the new value is set; ``default`` and 0 when it is set no more.
    """

    key: str
    old: str
    new: str
    file: str
    line: int


class FindingReport(msgspec.Struct, frozen=True):
    """One finding.

    Attributes:
        severity, code: as in the reference of findings.
        place: file and line.
        text: place, problem, effect and remedy on one line.
    """

    severity: str
    code: str
    place: str
    text: str


class ChangedSetting(msgspec.Struct, frozen=True, rename={"apply": "class"}):
    """A setting that came into force.

    Attributes:
        key: its full key.
        apply: what that took, its class: ``live`` or ``engine``.
        old, new: values, secrets masked; empty when unset.
        file, line: where the new value is set; ``default`` and 0 when it is set no more.
    """

    key: str
    apply: str
    old: str
    new: str
    file: str
    line: int


class FileProblem(msgspec.Struct, frozen=True):
    """Files that were changed and cannot be used, so that what was read before stays in use.

    Attributes:
        files: which; a certificate and its key are seen as one.
        since: when they were found like that, Unix seconds.
        why: what is wrong, with place and remedy.
    """

    files: tuple[str, ...]
    since: float
    why: str


class ReloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """One reload.

    Attributes:
        time: when it began, Unix seconds.
        seconds: how long it took.
        triggers: what asked for it; those that came during the reload before are one.
        result: ``applied``, ``unchanged``, ``partial`` or ``refused``.
        dry_run: it is only what would come of one.
        reason: why nothing has changed, one sentence without its full stop; empty when there are findings that say so.
        findings: what was found; of what there was to say before, only what asks for a look.
        changes: settings that are in force now.
        files: files with another content, which is in use now.
        others: what else is different, such as peers that DNS names; each a few words.
        ended: sessions that were ended, of people who are revoked by now.
        pending: settings that wait for a restart.
    """

    time: float
    seconds: float = 0.0
    triggers: tuple[Trigger, ...] = ()
    result: str = UNCHANGED
    dry_run: bool = False
    reason: str = ""
    findings: tuple[FindingReport, ...] = ()
    changes: tuple[ChangedSetting, ...] = ()
    files: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    ended: int = 0
    pending: tuple[PendingRestart, ...] = ()

    @property
    def asked_by(self) -> str:
        """What asked for it, in words."""
        return ", ".join(map(str, self.triggers)) or "nobody"

    @property
    def sentence(self) -> str:
        """What came of it, in words, without a full stop."""
        return _SENTENCES[self.result][self.dry_run]

    @property
    def why(self) -> str:
        """Why nothing has changed, in one line: the first thing that refused it; empty when nothing did."""
        if self.result != REFUSED:
            return ""
        refusing = (each.text for each in self.findings if each.severity == Severity.REFUSE)
        return self.reason or next(refusing, "")


_SENTENCES: Mapping[str, Sequence[str]] = {
    APPLIED: ("the new configuration is in use", "the new configuration would be in use"),
    UNCHANGED: ("nothing had changed", "nothing would change"),
    PARTIAL: ("in use, except what needs a restart", "would be in use, except what needs a restart"),
    REFUSED: ("refused, nothing has changed", "it would be refused, and nothing would change"),
}


def reported(findings: Sequence[Finding]) -> tuple[FindingReport, ...]:
    """Make reports of findings."""
    return tuple(FindingReport(each.severity.value, each.code, str(each.origin), str(each)) for each in findings)
