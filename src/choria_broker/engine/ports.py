"""Whether the ports of the broker's listeners are free."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from choria_broker.host.listening import bindable, free, words
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding
from choria_broker.settings.listeners import Listener


def occupied(settings: Settings, *, held: Callable[[int], bool] | None = None) -> tuple[Finding, ...]:
    """Try each listener; return a refusal for each that cannot be had, with the port's owner where that is known.

    Args:
        settings: they have the listeners.
        held: tells of a port that is in use whether it is in good hands. Given, nothing listens even for a moment,
            so that a broker that is just starting is not disturbed.
    """
    problems = ((listener, _problem(listener, held)) for listener in settings.listeners)
    found = (_finding(settings, listener, problem) for listener, problem in problems if problem)
    return tuple(dict.fromkeys(found))  # Listeners at one address lack it together.


def listens(port: int, processes: frozenset[int]) -> bool:
    """Tell whether one of some processes listens on a TCP port, as far as this user may know."""
    return any(connection.pid in processes for connection in _listening(port))


class _Problem(msgspec.Struct, frozen=True):
    """Why a listener cannot be had, what to do, and whether its address is to blame and not its port."""

    what: str
    remedy: str
    address: bool = False


def _finding(settings: Settings, listener: Listener, problem: _Problem) -> Finding:
    key = listener.address_key if problem.address else listener.key
    code = Code.ADDRESS_UNAVAILABLE if problem.address else Code.PORT_UNAVAILABLE
    return Finding(
        severity=Severity.REFUSE,
        code=code,
        key=key,
        value=listener.address if problem.address else str(listener.port),
        problem=problem.what,
        remedy=problem.remedy,
        origin=settings.origin(key),
    )


def _problem(listener: Listener, held: Callable[[int], bool] | None) -> _Problem | None:
    found = bindable(listener.address)
    if found.problem:
        return _Problem(found.problem, "write an address of this host", address=True)
    try:
        for address in found.addresses:
            free(address, listener.port, listen=held is None)
    except OSError as error:
        if held is not None and error.errno == errno.EADDRINUSE and held(listener.port):
            return None
        return _explained(listener, error)
    return None


def _explained(listener: Listener, error: OSError) -> _Problem:
    match error.errno:
        case errno.EADDRINUSE:
            owner = next(_owners(listener.port), None)
            what = f"port {listener.port} is in use{f' by {owner}' if owner else ''}"
            return _Problem(what, "stop the program that uses the port, or set another port or address")
        case errno.EACCES:
            return _Problem(f"this user may not open port {listener.port}", "set a port from 1024 up")
    what = f"cannot listen on {listener.address} port {listener.port}: {words(error)}"
    return _Problem(what, "set another port or address")


def _owners(port: int) -> Iterator[str]:
    """Find the processes listening on a TCP port, as ``process PID (NAME)``; only those this user may look at."""
    import psutil  # noqa: PLC0415 - only where a port cannot be had

    for connection in _listening(port):
        with contextlib.suppress(psutil.Error):
            yield f"process {connection.pid} ({psutil.Process(connection.pid).name()})"


def _listening(port: int) -> Iterator[Any]:
    import psutil  # noqa: PLC0415 - the same

    for connection in psutil.net_connections(kind="tcp"):
        bound = connection.laddr.port if connection.laddr else 0
        if connection.status == psutil.CONN_LISTEN and connection.pid and bound == port:
            yield connection
