"""What the broker needs of its host before the engine starts."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

from choria_broker.config.findings import Finding, Severity
from choria_broker.config.settings import Settings
from choria_broker.errors import ConfigurationError
from choria_broker.log import component

_FILES_BESIDE_CONNECTIONS = 1024
_STORE = "plugin.choria.network.stream.store"
_log = component("network")


def prepare(settings: Settings) -> None:
    """Raise the limit of open files, which the engine inherits, and make the directory of Choria Streams.

    Raises:
        ConfigurationError: the directory cannot be made.
    """
    wanted = settings.network.max_connections
    limit = raise_file_limit(wanted)
    if limit < wanted:
        _log.warning(
            "The open file limit is below the most connections allowed; raise LimitNOFILE",
            limit=limit,
            connections=wanted,
        )
    store = settings.network.streams.store
    if store:
        _make(store, settings)


def _make(store: Path, settings: Settings) -> None:
    try:
        store.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        finding = Finding(
            severity=Severity.REFUSE,
            code="store-not-writable",
            problem=f"the directory cannot be made: {error.strerror}",
            effect="the broker does not start",
            remedy="make it yourself, or name another one",
            origin=settings.origin(_STORE),
            key=_STORE,
            value=str(store),
        )
        raise ConfigurationError((finding,)) from error


def raise_file_limit(connections: int) -> int:
    """Raise this process's open file limit, which the engine inherits, so that it can hold the given connections.

    Returns:
        The limit now in force.
    """
    wanted = connections + _FILES_BESIDE_CONNECTIONS
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
