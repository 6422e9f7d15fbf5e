"""Gathers findings while a configuration is read, and knows about leniency and masking."""

from __future__ import annotations

import dataclasses
import re

from choria_broker.config.findings import DEFAULT, Finding, Origin, Severity
from choria_broker.config.schema import Setting
from choria_broker.config.secret import MASK

DOES_NOT_START = "the broker does not start"
"""Effect of every refusal."""

# Greedy on purpose: a password may hold any character, so everything up to the last @ goes.
_LOGIN = re.compile(r"([A-Za-z+-]+://)?.*@", re.DOTALL)
_SOUNDS_SECRET = re.compile(r"pas+(w|$|_)|pwd|secret|(^|[._])pin$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about: a key, its value fit to be shown, and where it was set."""

    key: str = ""
    shown: str = ""
    origin: Origin = DEFAULT


NOTHING = Subject()
"""For findings that are not about one key."""


def shown(key: str, value: str, setting: Setting | None = None) -> str:
    """Return a value fit for messages: masked when its key is or sounds secret, logins cut out of addresses."""
    if (setting and setting.secret) or _SOUNDS_SECRET.search(key):
        return MASK
    return _LOGIN.sub(lambda found: f"{found[1] or ''}{MASK}@", value, count=1)


class Collector:
    """A list of findings under construction."""

    def __init__(self, *, lenient: bool = False) -> None:
        """Start empty; ``lenient`` turns refusals that allow it into warnings with the old program's effect."""
        self._findings: list[Finding] = []
        self.lenient = lenient

    def findings(self) -> tuple[Finding, ...]:
        """Return what was gathered, in order."""
        return tuple(self._findings)

    def add(self, finding: Finding) -> None:
        """Keep one finding as it is."""
        self._findings.append(finding)

    def refuse(self, code: str, problem: str, remedy: str, at: Subject = NOTHING, *, lenient: str = "") -> None:
        """Keep the broker from starting.

        Args:
            code: class of problem.
            problem: what is wrong.
            remedy: what to do.
            at: what it is about.
            lenient: the effect go-choria would have; empty when leniency does not apply.
        """
        if lenient and self.lenient:
            effect = f"as go-choria does, {lenient}"
            self._keep(Severity.WARN, code, problem, effect, remedy, at, lenient=True)
        else:
            self._keep(Severity.REFUSE, code, problem, DOES_NOT_START, remedy, at, lenient=bool(lenient))

    def skip(self, code: str, problem: str, effect: str, remedy: str, at: Subject = NOTHING) -> None:
        """Leave one feature out."""
        self._keep(Severity.SKIP, code, problem, effect, remedy, at)

    def warn(self, code: str, problem: str, effect: str, remedy: str, at: Subject = NOTHING) -> None:
        """Ask the operator to look."""
        self._keep(Severity.WARN, code, problem, effect, remedy, at)

    def info(self, code: str, problem: str, effect: str, remedy: str, at: Subject = NOTHING) -> None:
        """Mention something."""
        self._keep(Severity.INFO, code, problem, effect, remedy, at)

    def _keep(
        self,
        severity: Severity,
        code: str,
        problem: str,
        effect: str,
        remedy: str,
        at: Subject,
        *,
        lenient: bool = False,
    ) -> None:
        self.add(Finding(severity, code, problem, effect, remedy, at.origin, at.key, at.shown, lenient))
