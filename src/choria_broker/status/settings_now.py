"""The settings of a broker with their places, as far as they may be shown, and where members of a cluster differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from choria_broker.settings.secret import MASK
from choria_broker.status.reloads import FindingReport


class SettingReport(msgspec.Struct, frozen=True, kw_only=True, rename={"apply": "class"}):
    """One setting.

    Attributes:
        key: its full key.
        value: what is in force, fit to be shown: secrets are masked; empty when it is unset.
        default: what holds where nobody set it, empty when nothing does.
        file: where it is set; ``default`` where it is not.
        line: of that file, 0 where there is none.
        group: heading under which the reference has it; empty for keys that this broker does not use.
        apply: what a change of it takes: ``live``, ``engine`` or ``restart``.
        doc: what it is, in a sentence.
        shared: members of a cluster are expected to have the same.
    """

    key: str
    value: str
    default: str = ""
    file: str = "default"
    line: int = 0
    group: str = ""
    apply: str = "restart"
    doc: str = ""
    shared: bool = False

    @property
    def place(self) -> str:
        """Where it is set."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def is_set(self) -> bool:
        """Somebody has set it."""
        return self.file != "default"


class SettingsNow(msgspec.Struct, frozen=True):
    """The settings in force.

    Attributes:
        settings: those that are set, and all others that there are.
        findings: what was found while they were read.
    """

    settings: tuple[SettingReport, ...] = ()
    findings: tuple[FindingReport, ...] = ()

    @property
    def shared(self) -> dict[str, str]:
        """What members of a cluster are expected to have alike, as far as it is set."""
        told = (each for each in self.settings if each.shared and each.is_set and each.value != MASK)
        return {each.key: each.value for each in told}


class MemberReport(msgspec.Struct, frozen=True):
    """What a member of a cluster tells of itself.

    Attributes:
        broker: its identity.
        version: of the broker.
        nats: version of the nats-server library in its engine.
        settings: those that members are expected to have alike, as far as they are set and may be shown.
    """

    broker: str
    version: str
    nats: str
    settings: dict[str, str] = {}


class Members(msgspec.Struct, frozen=True):
    """What other members told last.

    Attributes:
        reports: one of each that answered.
        time: when they were asked, Unix seconds; 0 before the first time.
        limit: why they cannot be asked, one sentence without its full stop; empty when they can.
    """

    reports: tuple[MemberReport, ...] = ()
    time: float = 0.0
    limit: str = ""


class Difference(msgspec.Struct, frozen=True):
    """Something in which members differ.

    Attributes:
        what: ``version``, ``nats-server``, or the key of a setting.
        here: what this broker has, empty when it is unset.
        elsewhere: what others have, by their identity; those that are like this one are left out.
    """

    what: str
    here: str
    elsewhere: dict[str, str]


def differences(own: MemberReport, others: Iterable[MemberReport]) -> tuple[Difference, ...]:
    """Tell in what members differ from this broker; versions come first.

    Args:
        own: what this broker tells.
        others: what the others tell.
    """
    told = {each.broker: _all(each) for each in others if each.broker != own.broker}
    mine = _all(own)
    keys = dict.fromkeys((*mine, *(key for each in told.values() for key in sorted(each))))
    found = []
    for key in keys:
        here = mine.get(key, "")
        elsewhere = {broker: value for broker, each in told.items() if (value := each.get(key, "")) != here}
        if elsewhere:
            found.append(Difference(key, here, elsewhere))
    return tuple(found)


def _all(report: MemberReport) -> Mapping[str, str]:
    return {"version": report.version, "nats-server": report.nats, **report.settings}
