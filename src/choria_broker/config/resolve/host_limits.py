"""Limits of the host that do not fit the connections a broker may have."""

from __future__ import annotations

from collections.abc import Iterator

from choria_broker.config.resolve.context import network_key
from choria_broker.host.facts import HostLimits
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding

_MOST_WAITING = 4096
_MOST_HALF_OPEN = 8192
"""What choria.io tells large networks to set; a broker for fewer connections needs no more than it has of those."""

_CONNECTIONS = network_key("max_connections")
_RUSH = "when many nodes connect at once, as after a restart, some get no answer and try again later"
_SYSCTL = "write {0} = {1} into /etc/sysctl.d/60-choria-broker.conf, and run sysctl --system; then restart the broker"


def judge_limits(settings: Settings, limits: HostLimits) -> tuple[Finding, ...]:
    """Compare limits with the most connections that are allowed.

    Args:
        settings: of the broker.
        limits: of this host.

    Returns:
        A warning for each limit that is too low, with the line to write.
    """
    return tuple(_judge(settings, limits)) if settings.network_enabled else ()


def _judge(settings: Settings, limits: HostLimits) -> Iterator[Finding]:
    most = settings.network.max_connections
    files = settings.network.needed_files
    if limits.open_files is not None and limits.open_files < files:
        code, room = Code.FEW_OPEN_FILES, max(limits.open_files - (files - most), 0)
        yield _finding(
            settings,
            code,
            f"a process started from here can have {limits.open_files} open files, but {most} connections need {files}",
            f"only about {room} clients can connect; under systemd the limit of the unit applies instead",
            f"set LimitNOFILE={files} in [Service] of the unit (systemctl edit choria-broker), or without "
            f"systemd add the line 'USER - nofile {files}' to /etc/security/limits.conf; or lower {_CONNECTIONS}",
        )
    if limits.somaxconn is not None and limits.somaxconn < min(_MOST_WAITING, most):
        code, name = Code.SHORT_LISTEN_QUEUE, "net.core.somaxconn"
        problem = f"{name} is {limits.somaxconn}: no more connections of one listener can wait to be accepted"
        yield _finding(settings, code, problem, _RUSH, _SYSCTL.format(name, min(_MOST_WAITING, most)))
    if limits.syn_backlog is not None and limits.syn_backlog < min(_MOST_HALF_OPEN, most):
        code, name = Code.SHORT_SYN_QUEUE, "net.ipv4.tcp_max_syn_backlog"
        problem = f"{name} is {limits.syn_backlog}: no more connections of one listener can be half open"
        yield _finding(settings, code, problem, _RUSH, _SYSCTL.format(name, min(_MOST_HALF_OPEN, most)))


def _finding(settings: Settings, code: Code, problem: str, effect: str, remedy: str) -> Finding:
    return Finding(
        severity=Severity.WARN,
        code=code,
        problem=problem,
        effect=effect,
        remedy=remedy,
        origin=settings.origin(_CONNECTIONS),
        key=_CONNECTIONS,
        value=str(settings.network.max_connections),
    )
