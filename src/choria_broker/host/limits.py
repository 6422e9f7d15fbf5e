"""Limits of this host: read, and raised where the broker needs more."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

from choria_broker.host.facts import HostLimits
from choria_broker.settings.broker import Settings

_PROC = Path("/proc")
_MAY_RAISE = 1 << 24
"""CAP_SYS_RESOURCE."""


def widen(settings: Settings, engine: int) -> None:
    """Raise the limit of open files of a running engine to what more connections need; it is never lowered.

    Args:
        settings: what comes into force.
        engine: its process id.
    """
    raise_file_limit(settings.network.needed_files)
    with contextlib.suppress(OSError, ValueError):  # It is gone, or not ours to change: it keeps what it has.
        resource.prlimit(engine, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))


def read_limits(proc: Path = _PROC) -> HostLimits:
    """Find out the limits of this host that matter to a broker with many connections.

    Args:
        proc: the kernel's files; what is not there, as in some containers, is not known.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files: int | None = hard if hard != resource.RLIM_INFINITY else None
    if files is not None and _may_raise(proc):
        # As raise_file_limit does at the start.
        files = _number(proc / "sys/fs/nr_open")
    return HostLimits(
        files, _number(proc / "sys/net/core/somaxconn"), _number(proc / "sys/net/ipv4/tcp_max_syn_backlog")
    )


def _may_raise(proc: Path) -> bool:
    """Tell whether this process may raise its hard limits."""
    with contextlib.suppress(OSError, ValueError):
        for line in (proc / "self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) & _MAY_RAISE)
    return False


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def raise_file_limit(wanted: int) -> int:
    """Raise this process's open file limit, which the engine inherits.

    Args:
        wanted: open files to have room for.

    Returns:
        The limit now in force.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return soft if soft != resource.RLIM_INFINITY else wanted
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(ValueError, OSError):  # Only root may raise the hard limit.
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
    reachable = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    return reachable
