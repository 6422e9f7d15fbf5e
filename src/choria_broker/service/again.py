"""What the service leaves to the next program, and what that makes of it: the configuration, read again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.errors import ConfigurationError
from choria_broker.host.succession import Succession, SuccessionError
from choria_broker.reload.plan import setbacks
from choria_broker.upgrade.served import recall

_SERVICE = "service"


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What the service leaves.

    Attributes:
        config: the configuration file.
        overrides: choices of the command line.
        pid: file for the process id.
        by: who asked for the upgrade.
        version: of the program that left this.
        begun: when the upgrade began, Unix seconds.
        problem: why the program that left this goes on itself; empty when it does not.
    """

    config: Path
    overrides: Overrides
    pid: Path | None = None
    by: str = ""
    version: str = ""
    begun: float = 0.0
    problem: str = ""


def leave(succession: Succession, left: Left) -> None:
    """Tell the next program."""
    succession.tell(_SERVICE, left)


def left_by(succession: Succession) -> Left:
    """Return what the service of the program before has left.

    Raises:
        SuccessionError: there is nothing.
    """
    left = succession.told(_SERVICE, Left)
    if left is None:
        raise SuccessionError("the running program did not say how it was started")
    return left


def broker_after(succession: Succession) -> NetworkBroker:
    """Make the broker that goes on where the program before has stopped; it is not started.

    Raises:
        ConfigurationError: the configuration cannot be used any more.
        SuccessionError: what was left is not enough.
        EngineMissingError: there is no engine.
    """
    left, before = left_by(succession), recall(succession)
    if before is None:
        raise SuccessionError("the running program did not say what it serves")
    loaded = load(left.config, left.overrides, served=before)
    if loaded.settings is None:
        raise ConfigurationError(loaded.findings)
    if worse := setbacks(before.known, loaded.findings, of_files_only=before.operator is not None):
        raise ConfigurationError(worse)
    return NetworkBroker.from_loaded(loaded, left.overrides, succession)
