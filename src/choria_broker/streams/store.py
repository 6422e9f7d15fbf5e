"""Looks a store over before the engine gets it: what the engine could not use, and what it would throw away."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import DOES_NOT_START, Finding
from choria_broker.streams.history import RECORD, Contents, Kept, judge, members_in, report
from choria_broker.streams.use import Use, read

KEPT = "kept"
"""Directory in the store with the files of streams that the engine would have deleted."""

_RECORDS = "_js_/_meta_"
"""Where, in the directory of the system account, a member of a cluster keeps what the cluster knows of streams."""
_KEPT_BESIDE = "kept."
"""Begins the names of such files where that directory cannot be used."""
_LONGEST_RECORD = 1 << 20
_MOST_KEPT = 1000
_MIB = 1 << 20
_LITTLE_ROOM = 256 * _MIB


def engine_directory(store: Path) -> Path:
    """Return the directory the engine makes in a store."""
    return store / "jetstream"


def stream_directories(store: Path) -> Iterator[tuple[str, str, Path]]:
    """Give account, name and directory of each stream in a store, as far as they can be listed."""
    for account in _directories(engine_directory(store)):
        for stream in _directories(account / "streams"):
            if not stream.name.startswith("."):
                yield account.name, stream.name, stream


def store_findings(settings: Settings, known: tuple[Finding, ...] = ()) -> tuple[Finding, ...]:
    """Say why the engine should not be started on the store, and what lies in it that somebody should look at.

    Args:
        settings: what the broker is told.
        known: what was found while they were read.

    Returns:
        Nothing when Streams are off or all is well.
    """
    store = settings.network.streams.store
    if store is None:
        return ()
    unknown = any(each.code == Code.SRV_LOOKUP_FAILED and each.severity is Severity.WARN for each in known)
    return (
        *_unusable(settings, store),
        *_room(settings, store),
        *judge(settings, contents(store), peers_unknown=unknown),
    )


def found_while_running(settings: Settings) -> tuple[Finding, ...]:
    """Say what lies in the store of a broker that runs, such as streams that nobody can reach with new settings."""
    return tuple(each for each in store_findings(settings) if each.severity is not Severity.REFUSE)


def contents(store: Path) -> Contents:
    """List what is in a store, as far as it can be read."""
    streams = tuple(stream_directories(store))
    return Contents(
        tuple((account, stream) for account, stream, _ in streams),
        dict(_records(store)),
        last_use(store),
        tuple(Kept(place, _size(place)) for place in kept_directories(store)[:_MOST_KEPT]),
        tuple((account, stream) for account, stream, place in streams if _has_one_copy(place)),
    )


def _has_one_copy(stream: Path) -> bool:
    """Tell whether the description of a stream says so; one that cannot be read says nothing."""
    try:
        with (stream / "meta.inf").open("rb") as file:
            return bool(json.loads(file.read(_LONGEST_RECORD)).get("num_replicas") == 1)
    except (OSError, ValueError, AttributeError):
        return False


def kept_directories(store: Path) -> list[Path]:
    """List the directories of what was kept, in the order of their names."""
    beside = (path for account in _directories(engine_directory(store)) for path in _directories(account))
    found = (*_directories(store / KEPT), *(path for path in beside if path.name.startswith(_KEPT_BESIDE)))
    return [path for path in found if not path.is_symlink()]


def last_use(store: Path) -> Use | None:
    """Return what a store was used as last, None when that is not known."""
    try:
        with (store / RECORD).open("rb") as file:
            return read(file.read(_LONGEST_RECORD).decode(errors="replace"))
    except OSError:
        return None


def no_room(settings: Settings, why: str) -> Finding:
    """Say that there is no room for what keeps the streams safe at a start, and by what that is known."""
    effect = f"{DOES_NOT_START}, because the engine would delete streams that it has no space to restore"
    remedy = "free disk space there"
    return report(settings, Code.STORE_FULL, Severity.REFUSE, f"the file system is full: {why}", effect, remedy)


def _room(settings: Settings, store: Path) -> Iterator[Finding]:
    """Look at the disk of the store, or of the directory in which the store will be made."""
    there = next(place for place in (store, *store.absolute().parents) if place.exists())
    disk = os.statvfs(there)
    free, files = disk.f_bavail * disk.f_frsize, disk.f_favail
    without_files = bool(disk.f_files) and not files
    if free >= _LITTLE_ROOM and not without_files:
        return
    left = "no files" if without_files else f"{free // _MIB} MiB"
    problem = f"the file system of {there} has {left} left for this user"
    remedy = "free disk space there, or move the store to a larger disk"
    yield report(settings, Code.STORE_NEARLY_FULL, Severity.WARN, problem, "streams stop when it is full", remedy)


def _records(store: Path) -> Iterator[tuple[str, frozenset[str]]]:
    for account in _directories(engine_directory(store)):
        place = account / _RECORDS
        if place.is_dir():
            members: frozenset[str] = frozenset()
            with contextlib.suppress(OSError):
                members = members_in((place / "peers.idx").read_bytes()[:_LONGEST_RECORD])
            yield account.name, members


def _size(place: Path) -> int:
    total = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many files
    return total


def _unusable(settings: Settings, store: Path) -> Iterator[Finding]:
    """The first directory that the engine needs as a whole and cannot use; single streams may be out of order."""
    for place in _needed(engine_directory(store)):
        if not os.path.lexists(place) or (place.is_dir() and _usable(place)):
            continue
        problem, remedy = f"{place} is not a directory", "move it away"
        if place.is_dir():
            owner, user = place.stat().st_uid, os.geteuid()
            problem = f"{place} belongs to user {owner}, and the broker's user {user} cannot write there"
            remedy = f"run the broker as user {owner}, or give the whole store to user {user}: chown -R {user} {store}"
        yield report(settings, Code.STORE_NOT_WRITABLE, Severity.REFUSE, problem, "", remedy)
        return


def _needed(top: Path) -> Iterator[Path]:
    yield top
    if top.is_dir() and _usable(top):
        for account in _directories(top):
            yield from (account, account / "streams")


def _usable(place: Path) -> bool:
    return os.access(place, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _directories(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:
        return []
