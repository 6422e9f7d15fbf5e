"""What can stop the broker. Each is an operator's message first; callers branch on the class."""

from __future__ import annotations

from choria_broker.settings.findings import Finding, blocking


class BrokerError(Exception):
    """The broker cannot start, or cannot go on."""


class ConfigurationError(BrokerError):
    """The configuration keeps the broker from starting; nothing was bound.

    Attributes:
        findings: every finding, the refusals among them.
    """

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        """Take all findings; the message has the refusals, one a line."""
        super().__init__("\n".join(str(finding) for finding in blocking(findings)))
        self.findings = findings


class EngineDiedError(BrokerError):
    """The engine ended although nobody asked it to.

    Attributes:
        status: its exit status, minus the signal's number when a signal ended it.
        last_lines: its last log lines, oldest first.
    """

    def __init__(self, status: int, last_lines: tuple[str, ...]) -> None:
        """Take what is known of the death."""
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        super().__init__(f"the engine ended with {how}")
        self.status = status
        self.last_lines = last_lines


class GateError(BrokerError):
    """The gate failed: the engine broke its protocol or speaks another version of it."""


class NotReadyError(BrokerError):
    """The engine is not running, or not in time what it is to be."""


class ReloadError(BrokerError):
    """What was to come into force did not; everything is as it was."""


class DrainError(BrokerError):
    """A drain could not begin, or could not be taken back; everything is as it was."""


class UpgradeError(BrokerError):
    """The installed program cannot take over; everything is as it was.

    Attributes:
        detail: lines that explain it.
    """

    def __init__(self, problem: str, detail: tuple[str, ...] = ()) -> None:
        """Take what is known; the message is one sentence without its full stop."""
        super().__init__(problem)
        self.detail = detail


class ForcedShutdownError(BrokerError):
    """The engine did not stop in the time it was given and was killed."""


class CompanionsGivenUpError(BrokerError):
    """Everything that the process was there for beside a network broker ended again and again."""


def root_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return, of errors that came together, the one that explains the others: a death before what it caused."""
    leaves: list[BaseException] = []

    def collect(error: BaseException) -> None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                collect(inner)
        else:
            leaves.append(error)

    collect(group)
    ranked = (EngineDiedError, GateError, NotReadyError, ForcedShutdownError, CompanionsGivenUpError)
    return next((leaf for kind in ranked for leaf in leaves if isinstance(leaf, kind)), leaves[0])
