"""The difference between two states of a broker, sorted by what it takes to come into force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from choria_broker.config.resolve.peers import PEERS
from choria_broker.config.table.rows import SETTINGS
from choria_broker.config.table.schema import Apply, Owner, Setting
from choria_broker.config.text.shown_values import shown_value
from choria_broker.host.facts import FileFact
from choria_broker.reload.desired import Desired
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import DOES_NOT_START, Finding, Known, Origin
from choria_broker.status.reloads import APPLIED, PARTIAL, UNCHANGED, ChangedSetting, PendingRestart
from choria_broker.values import replace

_DAMAGE = (Code.TLS_BAD_PEM, Code.TLS_LEAF_IN_CA)
"""Of a CA file that is cut or mistaken for another, something may be left that can be used."""

_WOULD_NOT_START = "nothing is changed, and the broker would not start"

_FILES = (Code.REMOTE_FILE_MISSING, Code.REMOTE_HALF_IDENTITY)


class Difference(msgspec.Struct, frozen=True):
    """One setting that changed.

    Attributes:
        key: its full key.
        apply: what it takes.
        old, new: its values, fit to be shown; empty when unset.
        origin: where the new value is set.
    """

    key: str
    apply: Apply
    old: str
    new: str
    origin: Origin


class Plan(msgspec.Struct, frozen=True):
    """What is to be done. The engine reads its file at each reload: files that it names can be others by now.

    Attributes:
        changes: settings that come into force.
        pending: settings that the files have by now and that only a restart takes over.
        files: files with another content.
        others: what else is different, each in a few words.
    """

    changes: tuple[Difference, ...]
    pending: tuple[Difference, ...]
    files: tuple[Path, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        """What comes of it, as reports call it."""
        if self.pending:
            return PARTIAL
        return APPLIED if self.changes or self.files or self.others else UNCHANGED


def plan(old: Desired | None, new: Desired) -> Plan:
    """Tell what it takes to come from one state to another.

    Args:
        old: the state in force; None at the start, when everything comes into force at once and nothing is a change.
        new: the state to come.
    """
    if old is None:
        return Plan((), ())
    return Plan(
        changes=tuple(_differences(old.settings, new.settings)),
        pending=pending(new),
        files=tuple(path for path, fact in new.files.items() if _contents(fact) != _contents(old.files.get(path))),
        others=tuple(_unnamed(old, new)),
    )


def pending(state: Desired) -> tuple[Difference, ...]:
    """Tell which settings the files have by now and only a restart takes over.

    The first peer of a broker opens its cluster listener and the last one closes it, which takes a restart, also where
    it is DNS that names them.
    """
    found = tuple(replace(each, apply=Apply.RESTART) for each in _differences(state.settings, state.wanted))
    served, wanted = state.settings.network.cluster, state.wanted.network.cluster
    if served.joined == wanted.joined or any(each.key == PEERS for each in found):
        return found
    old, new = (", ".join(peer.authority for peer in each.peers) for each in (served, wanted))
    origin = Origin(f"SRV record {wanted.source or served.source}")
    return (*found, Difference(PEERS, Apply.RESTART, old, new, origin))


def pending_restarts(differences: Iterable[Difference]) -> tuple[PendingRestart, ...]:
    """Make reports of what waits for a restart."""
    return tuple(
        PendingRestart(each.key, each.old, each.new, each.origin.file, each.origin.line) for each in differences
    )


def setbacks(
    known: frozenset[Known], found: tuple[Finding, ...], *, of_files_only: bool = False
) -> tuple[Finding, ...]:
    """Return what would leave out a part that a running broker has, or CAs: it keeps them, and nothing changes.

    A broker that starts does without them, since the rest is more than nothing.

    Args:
        known: by what is known that was found while the state in force was read.
        found: what was found by now.
        of_files_only: look at TLS files only. In operator mode what the store has no more goes, and what hangs on it.
    """
    return tuple(
        replace(each, severity=Severity.REFUSE, effect="nothing is changed")
        for each in found
        if _takes_away(each)
        and (each.code, each.key, each.problem) not in known
        and (not of_files_only or each.code in _FILES or each.code.startswith("tls-"))
    )


def while_running(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Say of what would keep a broker from starting what it does to one that runs."""
    return tuple(
        replace(each, effect=each.effect.replace(DOES_NOT_START, _WOULD_NOT_START))
        if each.severity is Severity.REFUSE
        else each
        for each in findings
    )


def _takes_away(finding: Finding) -> bool:
    return finding.severity is Severity.SKIP or (finding.severity is Severity.WARN and finding.code in _DAMAGE)


def _differences(old: Settings, new: Settings) -> Iterator[Difference]:
    for key in dict.fromkeys((*old.raw, *new.raw)):
        match = SETTINGS.find(key)
        if match is None or match.setting.owner is not Owner.BROKER:
            continue
        setting = match.setting
        before, after = old.raw.get(key), new.raw.get(key)
        if (setting.default if before is None else before) != (setting.default if after is None else after):
            yield Difference(key, setting.apply, _told(setting, before), _told(setting, after), new.origin(key))


def _contents(fact: FileFact | None) -> tuple[bytes, str]:
    return (fact.content, fact.problem) if fact else (b"", "")


def _unnamed(old: Desired, new: Desired) -> Iterator[str]:
    """Tell what differs although no setting and no file that is named does."""
    before, after = old.settings, new.settings
    if before.network.operator != after.network.operator:
        yield "the operator's store"
    if before.network.cluster != after.network.cluster and _values(old, PEERS) == _values(new, PEERS):
        yield "the peers' addresses"


def _values(state: Desired, *keys: str) -> tuple[str | None, ...]:
    return tuple(state.settings.raw.get(key) for key in keys)


def changed_settings(differences: Iterable[Difference]) -> tuple[ChangedSetting, ...]:
    """Make reports of differences."""
    return tuple(
        ChangedSetting(each.key, each.apply.value, each.old, each.new, each.origin.file, each.origin.line)
        for each in differences
    )


def _told(setting: Setting, text: str | None) -> str:
    return "" if text is None else shown_value(text, setting)
