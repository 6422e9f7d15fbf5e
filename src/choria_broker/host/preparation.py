"""What the broker needs of its host before the engine starts."""

from __future__ import annotations

from pathlib import Path

from choria_broker.errors import ConfigurationError
from choria_broker.host.limits import raise_file_limit
from choria_broker.log.structured import component
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding

_STORE = "plugin.choria.network.stream.store"
_log = component("network")


def prepare(settings: Settings) -> None:
    """Raise the limit of open files, which the engine inherits, and make the directory of Choria Streams.

    Raises:
        ConfigurationError: the directory cannot be made.
    """
    connections = settings.network.max_connections
    limit = raise_file_limit(settings.network.needed_files)
    if limit < connections:
        _log.warning(
            "The open file limit is lower than the number of connections allowed; raise LimitNOFILE",
            limit=limit,
            connections=connections,
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
            code=Code.STORE_NOT_WRITABLE,
            problem=f"the directory cannot be made: {error.strerror}",
            remedy="make it yourself, or name another one",
            origin=settings.origin(_STORE),
            key=_STORE,
            value=str(store),
        )
        raise ConfigurationError((finding,)) from error
