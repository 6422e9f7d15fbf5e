"""Looks a store over before the engine gets it: what the engine could not use, and what it would throw away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from choria_broker.config.findings import Finding, Severity
from choria_broker.config.settings import Settings
from choria_broker.streams.safekeeping import engine_directory, stream_directories

_STORE = "plugin.choria.network.stream.store"
_PEERS = "plugin.choria.network.peers"
_NAMED = 5
_META_GROUP = "_js_/_meta_"
"""Where, in the directory of the system account, a member of a cluster keeps what the cluster knows of streams."""

_DOES_NOT_START = "the broker does not start"


def store_problems(settings: Settings) -> tuple[Finding, ...]:
    """Say why the engine should not be started on the store; nothing when Streams are off or all is well."""
    store = settings.network.streams.store
    if store is None:
        return ()
    return (*_unusable(settings, store), *_before_cluster(settings, store))


def no_room(settings: Settings, why: OSError) -> Finding:
    """Say that the file system of the store is full, at the start."""
    effect = f"{_DOES_NOT_START}, for the engine deletes streams that it has no room to restore"
    return _refusal("store-full", f"the file system is full: {why.strerror}", "make room there", settings, effect)


def _refusal(code: str, problem: str, remedy: str, settings: Settings, effect: str = _DOES_NOT_START) -> Finding:
    store = str(settings.network.streams.store)
    return Finding(Severity.REFUSE, code, problem, effect, remedy, settings.origin(_STORE), _STORE, store)


def _unusable(settings: Settings, store: Path) -> Iterator[Finding]:
    """The first directory that the engine needs as a whole and cannot use; single streams may be out of order."""
    for place in _needed(engine_directory(store)):
        if not os.path.lexists(place) or (place.is_dir() and _usable(place)):
            continue
        problem, remedy = f"{place} is not a directory", "move it away"
        if place.is_dir():
            owner, user = place.stat().st_uid, os.geteuid()
            problem = f"{place} belongs to user {owner}, and user {user}, who runs the broker, cannot write there"
            remedy = f"run the broker as user {owner}, or give the whole store to user {user}: chown -R {user} {store}"
        yield _refusal("store-not-writable", problem, remedy, settings)
        return


def _needed(top: Path) -> Iterator[Path]:
    yield top
    if top.is_dir() and _usable(top):
        for account in sorted(path for path in top.iterdir() if path.is_dir()):
            yield from (account, account / "streams")


def _usable(place: Path) -> bool:
    return os.access(place, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _before_cluster(settings: Settings, store: Path) -> Iterator[Finding]:
    if not settings.network.cluster.peers or any(engine_directory(store).glob(f"*/{_META_GROUP}")):
        return
    if found := [f"{account} > {name}" for account, name, _ in stream_directories(store)]:
        problem = (
            f"{len(found)} streams in the store ({', '.join(found[:_NAMED])}) are of a broker without peers, and "
            "members of a cluster delete streams that the cluster does not know"
        )
        remedy = (
            f"start once without {_PEERS}, back up what you need with the nats command line, then move the store away; "
            "the cluster makes the standard streams anew"
        )
        yield _refusal("streams-before-cluster", problem, remedy, settings)
