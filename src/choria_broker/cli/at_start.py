"""What only a start meets, tried without one: ports, the log file, a broker that runs already."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from choria_broker.control.client import ControlError, NotRunningError, ask_status
from choria_broker.engine.ports import listens, occupied
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding
from choria_broker.status.document import Status
from choria_broker.wording import plain

_LOGFILE = "logfile"
_STREAMS = frozenset({"stdout", "stderr", "discard"})


@dataclasses.dataclass(frozen=True, slots=True)
class AtStart:
    """What a start would meet now.

    Attributes:
        findings: what keeps it from starting.
        running: process of the broker that runs with this configuration, 0 when none does.
        unseen: what was not looked at, each a few words.
    """

    findings: tuple[Finding, ...] = ()
    running: int = 0
    unseen: tuple[str, ...] = ()


def look(config: Path, settings: Settings) -> AtStart:
    """Try what a start would; nothing is opened, written or disturbed.

    Args:
        config: the configuration file.
        settings: what it says.
    """
    unseen = tuple(_elsewhere(settings))
    try:
        running = ask_status(config)
    except NotRunningError:
        return AtStart((*_log_file(settings), *occupied(settings, held=_of_nobody)), 0, unseen)
    except ControlError as error:
        ports = f"the ports, for the broker that runs with this configuration was not to be asked: {plain(str(error))}"
        return AtStart(tuple(_log_file(settings)), 0, (ports, *unseen))
    held: list[int] = []
    findings = occupied(settings, held=lambda port: _of_broker(port, running, held))
    ports = ", ".join(map(str, dict.fromkeys(held)))
    mine = f"whether the ports are free that the running broker, process {running.pid}, has: {ports}" if held else ""
    return AtStart((*_log_file(settings), *findings), running.pid, tuple(filter(None, (mine, *unseen))))


def _of_nobody(_port: int) -> bool:
    return False


def _of_broker(port: int, running: Status, held: list[int]) -> bool:
    """Tell whether the running broker has a port; which those are is noted."""
    engines = port in running.ports.values()
    if engines or listens(port, frozenset({running.pid, running.engine.pid})):
        held.append(port)
        return True
    return False


def _log_file(settings: Settings) -> Iterator[Finding]:
    """Say that the log file cannot be opened; the start would make it, but no directory for it."""
    if settings.logfile.lower() in _STREAMS:
        return
    path = Path(settings.logfile)
    usable = os.access(path, os.W_OK) and not path.is_dir() if path.exists() else _takes_files(path.parent)
    if usable:
        return
    yield Finding(
        severity=Severity.REFUSE,
        code=Code.LOG_FILE,
        key=_LOGFILE,
        value=settings.logfile,
        problem="this user cannot open the log file for writing",
        remedy=f"create {path.parent} and give the broker's user write access there, or set another file",
        origin=settings.origin(_LOGFILE),
    )


def _takes_files(directory: Path) -> bool:
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def _elsewhere(settings: Settings) -> Iterator[str]:
    """Name what cannot be known from here."""
    if not settings.network_enabled:
        return
    network = settings.network
    if network.cluster.routes or network.gateway.remotes or network.leafnodes.remotes:
        yield "whether other brokers answer and accept this one"
    if network.streams.store:
        yield "what is inside the streams' files"
    yield "limits that a service unit sets, and the rights of any user but this one"
