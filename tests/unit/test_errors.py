from __future__ import annotations

import pytest

from choria_broker.errors import (
    BrokerError,
    ConfigurationError,
    EngineDiedError,
    ForcedShutdownError,
    GateError,
    NotReadyError,
    UpgradeError,
    root_cause,
)
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding

DEATH = EngineDiedError(1, ("last words",))


def test_only_what_keeps_the_broker_from_starting_is_in_the_message() -> None:
    refused = Finding(severity=Severity.REFUSE, code=Code.CONFIG_UNREADABLE, problem="a refusal")
    hint = Finding(severity=Severity.INFO, code=Code.PLUGIN_FILES_READ, problem="a hint")
    error = ConfigurationError((hint, refused, refused))

    assert str(error) == f"{refused}\n{refused}"
    assert error.findings == (hint, refused, refused)


@pytest.mark.parametrize(
    ("status", "message"), [(1, "the engine ended with exit status 1"), (-9, "the engine ended with signal 9")]
)
def test_how_the_engine_ended(status: int, message: str) -> None:
    error = EngineDiedError(status, ("one", "two"))

    assert str(error) == message
    assert (error.status, error.last_lines) == (status, ("one", "two"))


def test_what_keeps_an_installed_program_from_taking_over() -> None:
    error = UpgradeError("the program does not load", ("line 1", "line 2"))

    assert str(error) == "the program does not load"
    assert error.detail == ("line 1", "line 2")


@pytest.mark.parametrize(
    ("errors", "cause"),
    [
        pytest.param([OSError("x"), DEATH], DEATH, id="a death explains what it caused"),
        pytest.param([GateError("x"), NotReadyError("y"), DEATH], DEATH, id="also the gate's end"),
        pytest.param([ForcedShutdownError("x"), ExceptionGroup("deeper", [OSError("y"), DEATH])], DEATH, id="nested"),
    ],
)
def test_the_root_of_errors_that_came_together(errors: list[Exception], cause: BrokerError) -> None:
    assert root_cause(ExceptionGroup("all", errors)) is cause


def test_the_first_of_unknown_errors_is_the_root() -> None:
    first = OSError("first")

    assert root_cause(ExceptionGroup("all", [first, ValueError("second")])) is first
