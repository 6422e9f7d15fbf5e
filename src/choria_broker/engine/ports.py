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
    """A place the broker will listen on: the key that sets its port, address and port."""

    key: str
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
    found = [Listener(_PREFIX + key, network.listen_address, port) for key, port in named if port]
    if settings.statistics.port:
        found.append(Listener("plugin.choria.stats_port", settings.statistics.address, settings.statistics.port))
    return tuple(found)


def occupied(settings: Settings) -> tuple[Finding, ...]:
    """Try each listener's port; return a refusal for each that cannot be had, with its owner where that is known."""
    findings = []
    for listener in listeners(settings):
        problem = _problem(listener)
        if problem:
            findings.append(
                Finding(
                    severity=Severity.REFUSE,
                    code="port-unavailable",
                    key=listener.key,
                    value=str(listener.port),
                    problem=problem,
                    effect="the broker does not start",
                    remedy="stop the program that holds the port, or set another port or address",
                )
            )
    return tuple(findings)


def _problem(listener: Listener) -> str:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            listener.address, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and listener.address == "::":
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            owner = next(_owners(listener.port), None)
            return f"port {listener.port} is in use{f' by {owner}' if owner else ''}"
        if error.errno == errno.EAFNOSUPPORT:
            return ""  # A host without IPv6: the engine falls back by itself.
        return f"cannot listen on {listener.address} port {listener.port}: {error.strerror or error}"
    return ""


def _owners(port: int) -> Iterator[str]:
    """Find the processes listening on a TCP port, as ``process PID (NAME)``; only those this user may look at."""
    for connection in psutil.net_connections(kind="tcp"):
        bound = connection.laddr.port if connection.laddr else 0
        if connection.status == psutil.CONN_LISTEN and connection.pid and bound == port:
            with contextlib.suppress(psutil.Error):
                yield f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
