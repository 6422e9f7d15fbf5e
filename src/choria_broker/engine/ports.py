"""Which listeners the broker will open, and whether their ports are free."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket
from collections.abc import Iterator

import psutil

from choria_broker.config.findings import Finding, Severity
from choria_broker.config.settings import Settings

_PREFIX = "plugin.choria.network."


@dataclasses.dataclass(frozen=True, slots=True)
class Listener:
    """A place the broker will listen on: the keys that set its port and its address, address and port."""

    key: str
    address_key: str
    address: str
    port: int


def listeners(settings: Settings) -> tuple[Listener, ...]:
    """List the listeners with a fixed port that the settings call for, the statistics port included."""
    network = settings.network
    gateway_on = network.gateway.port and network.gateway.remotes
    named = (
        ("client_port", network.client_port),
        ("peer_port", network.cluster.port if network.cluster.peers else 0),
        ("gateway_port", network.gateway.port if gateway_on else 0),
        ("leafnode_port", network.leafnodes.port),
        ("websocket_port", network.websocket.port),
        ("pprof_port", network.pprof_port),
    )
    address_key = f"{_PREFIX}listen_address"
    found = [Listener(_PREFIX + key, address_key, network.listen_address, port) for key, port in named if port]
    if settings.statistics.port:
        statistics = settings.statistics
        found.append(
            Listener("plugin.choria.stats_port", "plugin.choria.stats_address", statistics.address, statistics.port)
        )
    return tuple(found)


def occupied(settings: Settings) -> tuple[Finding, ...]:
    """Try each listener; return a refusal for each that cannot be had, with the port's owner where that is known."""
    problems = ((listener, _problem(listener)) for listener in listeners(settings))
    return tuple(_finding(settings, listener, problem) for listener, problem in problems if problem)


@dataclasses.dataclass(frozen=True, slots=True)
class _Problem:
    """Why a listener cannot be had, what to do, and whether its address is to blame and not its port."""

    what: str
    remedy: str
    address: bool = False


def _finding(settings: Settings, listener: Listener, problem: _Problem) -> Finding:
    key = listener.address_key if problem.address else listener.key
    code = "address-unavailable" if problem.address else "port-unavailable"
    return Finding(
        severity=Severity.REFUSE,
        code=code,
        key=key,
        value=listener.address if problem.address else str(listener.port),
        problem=problem.what,
        effect="the broker does not start",
        remedy=problem.remedy,
        origin=settings.origin(key),
    )


def _problem(listener: Listener) -> _Problem | None:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            listener.address, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        return _Problem("the name is not known", "write an address of this host", address=True)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and listener.address == "::":
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return _explained(listener, error)
    return None


def _explained(listener: Listener, error: OSError) -> _Problem | None:
    match error.errno:
        case errno.EADDRINUSE:
            owner = next(_owners(listener.port), None)
            what = f"port {listener.port} is in use{f' by {owner}' if owner else ''}"
            return _Problem(what, "stop the program that holds the port, or set another port or address")
        case errno.EADDRNOTAVAIL:
            return _Problem("this host does not have the address", "write an address of this host", address=True)
        case errno.EACCES:
            return _Problem(f"this user may not open port {listener.port}", "set a port from 1024 up")
        case errno.EAFNOSUPPORT:
            return None  # A host without IPv6: the engine falls back by itself.
    what = f"cannot listen on {listener.address} port {listener.port}: {error.strerror or error}"
    return _Problem(what, "set another port or address")


def _owners(port: int) -> Iterator[str]:
    """Find the processes listening on a TCP port, as ``process PID (NAME)``; only those this user may look at."""
    for connection in psutil.net_connections(kind="tcp"):
        bound = connection.laddr.port if connection.laddr else 0
        if connection.status == psutil.CONN_LISTEN and connection.pid and bound == port:
            with contextlib.suppress(psutil.Error):
                yield f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
