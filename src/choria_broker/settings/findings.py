"""Problems found in a configuration: collected, never raised, shown together."""

from __future__ import annotations

import msgspec
from msgspec.structs import force_setattr

from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.values import replace
from choria_broker.wording import configured_key, plain, sentence

DOES_NOT_START = "the broker does not start"
"""Effect of refusals."""


class Origin(msgspec.Struct, frozen=True):
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


Known = tuple[str, str, str]
"""What a finding is known by: its code, key and problem."""

DEFAULT = Origin("default")
"""The origin of values nobody set."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem: where it is, what is wrong, what that does, and how to mend it.

    Attributes:
        severity: what the broker does about it.
        code: class of problem.
        problem: what is wrong, without a final full stop.
        effect: what happens because of it; empty for a refusal: the broker does not start.
        remedy: what the operator should do; empty takes that of the code.
        origin: where the value was set.
        key: full key, or empty when the finding is not about one key.
        value: value as far as it may be shown.
        lenient: True when ``--lenient-config`` turns the refusal into the old program's effect.
        times: how many problems it stands for: more than one where a long list is summed up.

    Whatever an operator wrote that stands in its texts is on one line, and free of what has the form of a credential.
    """

    severity: Severity
    code: Code
    problem: str
    effect: str = ""
    remedy: str = ""
    origin: Origin = DEFAULT
    key: str = ""
    value: str = ""
    lenient: bool = False
    times: int = 1

    def __post_init__(self) -> None:
        """Make the texts fit to be shown, wherever they come from."""
        force_setattr(self, "remedy", self.remedy or self.code.remedy)
        if self.severity is Severity.REFUSE and not self.effect:
            force_setattr(self, "effect", DOES_NOT_START)
        for name in ("problem", "effect", "remedy"):
            force_setattr(self, name, sentence(getattr(self, name)))
        force_setattr(self, "key", configured_key(self.key))
        force_setattr(self, "value", plain(self.value))
        if not self.origin.file.isprintable():
            force_setattr(self, "origin", replace(self.origin, file=plain(self.origin.file)))

    def __str__(self) -> str:
        """Write the one-line text form: ``FILE:LINE: KEY = VALUE: problem; effect. Remedy: ...``."""
        value = f'"{self.value}"' if self.value.endswith(":") else self.value
        setting = f"{self.key} = {value}: " if self.key and value else f"{self.key}: " if self.key else ""
        return f"{self.origin}: {setting}{self.problem}; {self.effect}. Remedy: {self.remedy}"


def known(findings: tuple[Finding, ...]) -> frozenset[Known]:
    """Return what findings are known by, wherever they stand by now."""
    return frozenset((str(each.code), each.key, each.problem) for each in findings)


def blocking(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings that keep the broker from starting, in their order."""
    return tuple(finding for finding in findings if finding.severity is Severity.REFUSE)
