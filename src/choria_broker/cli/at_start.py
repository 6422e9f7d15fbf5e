"""What only a start meets, tried without one: ports, files, the control socket's place, a broker that runs already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from choria_broker.control.client import ControlError, NotRunningError, ask_status
from choria_broker.control.place import place, place_findings
from choria_broker.control.socket_path import SOCKET
from choria_broker.engine.ports import listens, occupied
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding, Origin
from choria_broker.status.document import Status
from choria_broker.wording import plain

_LOGFILE = "logfile"
_CONTROL = "the directory of the control socket, which that broker uses"


class AtStart(msgspec.Struct, frozen=True):
    """What a start would meet now.

    Attributes:
        findings: what keeps it from starting.
        running: process of the broker that runs with this configuration, 0 when none does.
        seen: what was looked at, each a few words.
        unseen: what was not looked at, each a few words.
    """

    findings: tuple[Finding, ...] = ()
    running: int = 0
    seen: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def look(config: Path, settings: Settings, pid: Path | None = None) -> AtStart:
    """Try what a start would; nothing is opened, written or disturbed.

    Args:
        config: the configuration file.
        settings: what it says.
        pid: file for the process id; None when none is given.
    """
    files = AtStart((*_log_file(settings), *_pid_file(pid)), 0, tuple(_files(settings, pid)), ())
    elsewhere = tuple(_elsewhere(settings, pid))
    try:
        running = ask_status(config)
    except NotRunningError:
        directory = place(config)
        found = (*files.findings, *place_findings(config, directory), *occupied(settings, held=_of_nobody))
        seen = (*_ports(settings, []), *files.seen, f"the directory of the control socket, {directory / SOCKET}")
        return AtStart(found, 0, seen, elsewhere)
    except ControlError as error:
        why = plain(str(error))
        held_back = f"the ports, because the broker that runs with this configuration could not be asked: {why}"
        return AtStart(files.findings, 0, files.seen, (held_back, _CONTROL, *elsewhere))
    held: list[int] = []
    findings = occupied(settings, held=lambda port: _of_broker(port, running, held))
    numbers = ", ".join(map(str, dict.fromkeys(held)))
    mine = f"the ports that the running broker, process {running.pid}, uses: {numbers}" if held else ""
    unseen = tuple(filter(None, (mine, _CONTROL, *elsewhere)))
    return AtStart((*files.findings, *findings), running.pid, (*_ports(settings, held), *files.seen), unseen)


def _ports(settings: Settings, held: list[int]) -> Iterator[str]:
    """Name the ports that were tried."""
    tried = dict.fromkeys(each.port for each in settings.listeners if each.port not in held)
    if tried:
        yield f"the {'ports' if len(tried) > 1 else 'port'} {', '.join(map(str, tried))}"


def _files(settings: Settings, pid: Path | None) -> Iterator[str]:
    if settings.log_file:
        yield f"the log file, {settings.logfile}"
    if pid is not None:
        yield f"the file for the process id, {pid}"


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
    path = settings.log_file
    if path is None:
        return
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


def _pid_file(pid: Path | None) -> Iterator[Finding]:
    """Say that the file for the process id cannot be written."""
    if pid is None or (_takes_files(pid.parent) and not pid.is_dir()):
        return
    yield Finding(
        severity=Severity.REFUSE,
        code=Code.PID_FILE,
        problem=f"this user cannot write the process id to {pid}, given with --pid",
        remedy=f"create {pid.parent} and give the broker's user write access there, or give another file",
        origin=Origin("command line"),
    )


def _takes_files(directory: Path) -> bool:
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def _elsewhere(settings: Settings, pid: Path | None) -> Iterator[str]:
    """Name what cannot be known from here."""
    if pid is None:
        yield "the file for the process id, which run is given with --pid"
    if not settings.network_enabled:
        return
    network = settings.network
    if network.cluster.routes or network.gateway.remotes or network.leafnodes.remotes:
        yield "whether other brokers answer and accept this one"
    if network.streams.store:
        yield "the content of the files of streams"
    yield "limits and directories that a service unit sets, and the rights of other users"
