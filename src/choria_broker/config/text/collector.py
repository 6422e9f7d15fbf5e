"""Gathers findings while a configuration is read, and knows about leniency and masking."""

from __future__ import annotations

import collections
from collections.abc import Callable

import msgspec

from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import DEFAULT, Finding, Origin
from choria_broker.values import replace


class SettingRef(msgspec.Struct, frozen=True):
    """What a finding is about: a key, its value fit to be shown, and where it was set."""

    key: str = ""
    shown: str = ""
    origin: Origin = DEFAULT


NOTHING = SettingRef()
"""For findings that are not about one key."""


TOLD_APART = 5
"""Problems of one class with one key that have a finding each; the others are summed up."""

TOLD_OF_A_CLASS = 50
"""The same for the problems of one class with whatever keys."""

_Class = tuple[Severity, Code]


class _Rest(msgspec.Struct):
    """The problems that are summed up, after some of the same class that have a finding each.

    Attributes:
        place: how many findings stand before it.
        example: the first of them.
        texts: its effect and remedy, as they were given.
        count: how many problems it stands for.
        end: where the last of them is.
        alike: all have the effect and the remedy of the first.
    """

    place: int
    example: Finding
    texts: tuple[str, str]
    end: Origin
    count: int = 1
    alike: bool = True

    def add(self, effect: str, remedy: str, origin: Origin) -> None:
        """Count one more."""
        self.count += 1
        self.end = origin
        self.alike = self.alike and (effect, remedy) == self.texts

    def finding(self) -> Finding:
        """Say how many there are; one alone speaks for itself."""
        first = self.example
        if self.count == 1:
            return first
        end = f", up to {self.end}" if self.end != first.origin else ""
        problem = f"{self.count} more findings of this kind ({first.code}){end}"
        summed = replace(first, problem=problem, value="", times=self.count)
        if self.alike:
            return summed
        effect = first.effect if first.severity is Severity.REFUSE else "the same as for the findings before"
        return replace(summed, effect=effect, remedy="correct them as well")


class Collector:
    """A list of findings under construction. What is found again and again is told a few times, and then summed up."""

    def __init__(self, *, lenient: bool = False) -> None:
        """Start empty; ``lenient`` turns refusals that allow it into warnings with the old program's effect."""
        self._findings: list[Finding] = []
        self._told: collections.Counter[tuple[_Class, str]] = collections.Counter()
        self._rests: dict[tuple[_Class, str], _Rest] = {}
        self.lenient = lenient

    def findings(self) -> tuple[Finding, ...]:
        """Return what was gathered, in order."""
        found: list[Finding] = []
        begin = 0
        # They were begun in the order of their places.
        for rest in self._rests.values():
            found += [*self._findings[begin : rest.place], rest.finding()]
            begin = rest.place
        return (*found, *self._findings[begin:])

    def soften(self, about: Callable[[Finding], bool], severity: Severity, effect: str) -> None:
        """Turn refusals into something milder.

        Args:
            about: tells whether a finding is one of them.
            severity: what they become.
            effect: what the findings say happens instead.
        """

        def softened(finding: Finding) -> Finding:
            if finding.severity is Severity.REFUSE and about(finding):
                return replace(finding, severity=severity, effect=effect, lenient=False)
            return finding

        self._findings = [softened(finding) for finding in self._findings]
        for rest in self._rests.values():
            rest.example = softened(rest.example)

    def refuse(
        self, code: Code, *, problem: str, remedy: str = "", at: SettingRef = NOTHING, lenient: str = ""
    ) -> None:
        """Keep the broker from starting.

        Args:
            code: class of problem.
            problem: what is wrong.
            remedy: what to do; empty takes that of the code.
            at: what it is about.
            lenient: the effect go-choria would have; empty when leniency does not apply.
        """
        severity, effect = Severity.REFUSE, ""
        if lenient and self.lenient:
            severity, effect = Severity.WARN, f"as go-choria does, {lenient}"
        self._keep(severity, code, problem, effect, remedy, at, lenient=bool(lenient))

    def skip(self, code: Code, *, problem: str, effect: str, remedy: str = "", at: SettingRef = NOTHING) -> None:
        """Leave one feature out."""
        self._keep(Severity.SKIP, code, problem, effect, remedy, at)

    def warn(self, code: Code, *, problem: str, effect: str, remedy: str = "", at: SettingRef = NOTHING) -> None:
        """Ask the operator to look."""
        self._keep(Severity.WARN, code, problem, effect, remedy, at)

    def info(self, code: Code, *, problem: str, effect: str, remedy: str = "", at: SettingRef = NOTHING) -> None:
        """Mention something."""
        self._keep(Severity.INFO, code, problem, effect, remedy, at)

    def _keep(
        self,
        severity: Severity,
        code: Code,
        problem: str,
        effect: str,
        remedy: str,
        at: SettingRef,
        *,
        lenient: bool = False,
    ) -> None:
        of_class = (severity, code)
        of_key = (of_class, at.key)
        rest = (at.key and self._rests.get(of_key)) or self._rests.get((of_class, ""))
        if rest:
            rest.add(effect, remedy, at.origin)
            return
        finding = Finding(
            severity=severity,
            code=code,
            problem=problem,
            effect=effect,
            remedy=remedy,
            origin=at.origin,
            key=at.key,
            value=at.shown,
            lenient=lenient,
        )
        if at.key and self._told[of_key] == TOLD_APART:
            self._rests[of_key] = _Rest(len(self._findings), finding, (effect, remedy), at.origin)
        elif self._told[of_class, ""] == TOLD_OF_A_CLASS:
            anywhere = replace(finding, key="")
            self._rests[of_class, ""] = _Rest(len(self._findings), anywhere, (effect, remedy), at.origin)
        else:
            self._told.update({of_key, (of_class, "")})
            self._findings.append(finding)
