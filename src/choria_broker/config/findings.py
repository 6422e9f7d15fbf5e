"""Problems found in a configuration: collected, never raised, shown together."""

from __future__ import annotations

import dataclasses
import enum


class Severity(enum.StrEnum):
    """How a finding changes what the broker does."""

    REFUSE = "refuse"
    """The broker does not start; nothing is bound."""
    SKIP = "skip"
    """The feature is left out, the rest runs."""
    WARN = "warn"
    """The broker runs as configured, the operator should look."""
    INFO = "info"
    """Worth knowing, nothing to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        file: path of the file as the operator gave it, ``environment NAME`` or ``default``.
        line: line number counted from 1, or 0 when there is none.
    """

    file: str
    line: int = 0

    def __str__(self) -> str:
        """Write ``FILE:LINE``, or only the source when it has no lines."""
        return f"{self.file}:{self.line}" if self.line else self.file


DEFAULT = Origin("default")
"""The origin of values nobody set."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One problem: where it is, what is wrong, what that does, and how to mend it.

    Attributes:
        severity: what the broker does about it.
        code: stable kebab-case name of the class of problem, for tests and metrics.
        problem: what is wrong, without a final full stop.
        effect: what happens because of it.
        remedy: what the operator should do.
        origin: where the value was set.
        key: full key, or empty when the finding is not about one key.
        value: value as written, already masked when the key holds a secret.
        lenient: True when ``--lenient-config`` turns the refusal into the old program's effect.
    """

    severity: Severity
    code: str
    problem: str
    effect: str
    remedy: str
    origin: Origin = DEFAULT
    key: str = ""
    value: str = ""
    lenient: bool = False

    def __str__(self) -> str:
        """Write the one-line text form: ``FILE:LINE: KEY = VALUE: problem; effect. Remedy: ...``."""
        subject = f"{self.key} = {self.value}: " if self.key and self.value else f"{self.key}: " if self.key else ""
        return f"{self.origin}: {subject}{self.problem}; {self.effect}. Remedy: {self.remedy}"


def refusals(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings that keep the broker from starting, in their order."""
    return tuple(finding for finding in findings if finding.severity is Severity.REFUSE)
