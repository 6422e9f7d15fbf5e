"""The asking end of the control socket, for commands: one question, one answer, a deadline."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from choria_broker.access.selection import Selection
from choria_broker.audit.decided import Decision
from choria_broker.audit.events import EventPage, Wanted
from choria_broker.control.peer_credentials import Peer, pid_of_peer, uid_of_peer
from choria_broker.control.protocol import (
    LONGEST_ANSWER,
    NOT_UNDERSTOOD,
    Answer,
    ConnectionsRequest,
    ContentsRequest,
    DecisionRequest,
    DrainRequest,
    EventsRequest,
    FindRequest,
    KickRequest,
    PurgeRequest,
    ReloadRequest,
    Request,
    RevokeRequest,
    StatusRequest,
    TopRequest,
    UpgradeRequest,
)
from choria_broker.control.socket_path import belonging, candidates, others, owner
from choria_broker.host.processes import stands_still
from choria_broker.sessions.documents import Found, Kicked, Page, Top
from choria_broker.status.document import Status, UpgradeBegun, UpgradeReport
from choria_broker.status.drains import DrainReport
from choria_broker.status.reloads import ReloadReport
from choria_broker.status.revocation import RevokeReport
from choria_broker.streams.contents import Contents, Purged

PATIENCE = 10.0
"""Seconds to wait for an answer."""

RELOAD_PATIENCE = 120.0
"""Seconds to wait for a reload, before which another one may have to end."""

SESSIONS_PATIENCE = 30.0
"""Seconds to wait for what the engine, or other brokers, tell of sessions."""

UPGRADE_PATIENCE = 60.0
"""Seconds to wait for the installed program to be tried, and then for it to take over."""

_ASK_AGAIN = 0.1
_GONE_FOR = 1.0
"""Seconds without anybody at the socket, which a broker that is upgraded keeps open, after which it has ended."""

_LOOK_AGAIN = 0.5
"""Seconds without an answer after which the broker's process is looked at."""

_ROOT = 0
_CHUNK = 65536
_T = TypeVar("_T")


class ControlError(Exception):
    """A running broker could not be asked; the message says why and what to do."""


class NotRunningError(ControlError):
    """No broker answers for the configuration file."""


class NotAllowedError(ControlError):
    """A broker of another user has its place for the configuration file, and answers only that user and root."""


class StandsStillError(ControlError):
    """The broker's process was stopped."""


class SilentError(ControlError):
    """The broker did not answer in time."""


class UnansweredError(ControlError):
    """The broker has no answer; the message is its reason."""


class EndedError(ControlError):
    """The broker ended while it did what it was asked for."""


def ask_status(configuration: Path, environ: Mapping[str, str] | None = None) -> Status:
    """Ask the broker that runs on a configuration file how it is.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, StatusRequest(), Answer[Status], environ)


def ask_decision(configuration: Path, connection: int, environ: Mapping[str, str] | None = None) -> Decision:
    """Ask the broker that runs on a configuration file what it decided about a connection.

    Args:
        configuration: the file.
        connection: the engine's number of the connection, ``cid`` in log lines.
        environ: variables to use instead of those of the process.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, DecisionRequest(connection), Answer[Decision], environ)


def ask_reload(configuration: Path, *, dry_run: bool = False, environ: Mapping[str, str] | None = None) -> ReloadReport:
    """Have the broker that runs on a configuration file read it again.

    Args:
        configuration: the file.
        dry_run: only tell what would come of it.
        environ: variables to use instead of those of the process.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, ReloadRequest(dry_run), Answer[ReloadReport], environ, RELOAD_PATIENCE)


def ask_drain(configuration: Path, request: DrainRequest, environ: Mapping[str, str] | None = None) -> DrainReport:
    """Have the broker that runs on a configuration file move its connections elsewhere, or ask how far it is.

    Args:
        configuration: the file.
        request: what it is to do.
        environ: variables to use instead of those of the process.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, request, Answer[DrainReport], environ)


def ask_connections(
    configuration: Path, selection: Selection, after: int = 0, environ: Mapping[str, str] | None = None
) -> Page:
    """Ask the broker that runs on a configuration file who is connected to it.

    Args:
        configuration: the file.
        selection: whose connections are meant.
        after: number of the last one that is known already, 0 to begin.
        environ: variables to use instead of those of the process.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, ConnectionsRequest(selection, after), Answer[Page], environ, SESSIONS_PATIENCE)


def ask_top(configuration: Path, request: TopRequest, environ: Mapping[str, str] | None = None) -> Top:
    """Ask the broker that runs on a configuration file over which connections most goes.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, request, Answer[Top], environ, SESSIONS_PATIENCE)


def ask_events(configuration: Path, wanted: Wanted, environ: Mapping[str, str] | None = None) -> EventPage:
    """Ask the broker that runs on a configuration file what has happened.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, EventsRequest(wanted), Answer[EventPage], environ)


def ask_contents(
    configuration: Path, request: ContentsRequest, environ: Mapping[str, str] | None = None
) -> tuple[Contents, ...]:
    """Ask the broker that runs on a configuration file what is in its streams.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, request, Answer[tuple[Contents, ...]], environ, SESSIONS_PATIENCE)


def ask_purge(configuration: Path, request: PurgeRequest, environ: Mapping[str, str] | None = None) -> Purged:
    """Have the broker that runs on a configuration file delete messages of a stream, or tell which would go.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, request, Answer[Purged], environ, SESSIONS_PATIENCE)


def ask_kick(
    configuration: Path, selection: Selection, *, dry_run: bool = False, environ: Mapping[str, str] | None = None
) -> Kicked:
    """Have the broker that runs on a configuration file end sessions.

    Args:
        configuration: the file.
        selection: whose sessions are meant.
        dry_run: only tell whom it would hit.
        environ: variables to use instead of those of the process.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, KickRequest(selection, dry_run), Answer[Kicked], environ, SESSIONS_PATIENCE)


def ask_find(configuration: Path, text: str, environ: Mapping[str, str] | None = None) -> Found:
    """Ask the broker that runs on a configuration file, and the other members of its cluster, where somebody is.

    Args:
        configuration: the file.
        text: part of whatever somebody is known by.
        environ: variables to use instead of those of the process.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, FindRequest(text), Answer[Found], environ, SESSIONS_PATIENCE)


def ask_revoke(configuration: Path, request: RevokeRequest, environ: Mapping[str, str] | None = None) -> RevokeReport:
    """Have the broker that runs on a configuration file take over who was revoked, or tell whom that would hit.

    Raises:
        ControlError: it could not be asked, or did not answer.
    """
    return _ask(configuration, request, Answer[RevokeReport], environ, RELOAD_PATIENCE)


def ask_upgrade(configuration: Path, environ: Mapping[str, str] | None = None) -> UpgradeReport:
    """Have the broker that runs on a configuration file go on with the installed program, and wait until it has.

    Raises:
        ControlError: it could not be asked, refused, ended meanwhile, or did not answer afterwards.
    """
    begun = _ask(configuration, UpgradeRequest(), Answer[UpgradeBegun], environ, UPGRADE_PATIENCE)
    report = _report_of(begun, configuration, environ)
    if report.problem:
        raise UnansweredError(report.problem)
    return report


def _report_of(begun: UpgradeBegun, configuration: Path, environ: Mapping[str, str] | None) -> UpgradeReport:
    """Wait until the broker tells what came of an upgrade."""
    until, met = time.monotonic() + UPGRADE_PATIENCE, time.monotonic()
    while (now := time.monotonic()) < until:
        try:
            status = ask_status(configuration, environ)
        except NotRunningError:
            if now - met >= _GONE_FOR:
                raise EndedError(_ended(begun)) from None
        except ControlError:
            met = time.monotonic()
        else:
            met = time.monotonic()
            if status.upgrade and status.upgrade.begun == begun.begun:
                return status.upgrade
            if begun.pid not in {0, status.pid}:
                raise EndedError(f"{_ended(begun)}. A broker of version {status.version} was started in its place")
        time.sleep(_ASK_AGAIN)
    raise ControlError(
        f"the broker did not report within {UPGRADE_PATIENCE:.0f} s that version {begun.after} has taken over; "
        "see its log and the service manager"
    )


def _ended(begun: UpgradeBegun) -> str:
    return (
        f"the broker ended while version {begun.after} was taking over, and its connections with it; its log and the "
        "service manager know why"
    )


def _ask(
    configuration: Path,
    request: Request,
    kind: type[Answer[_T]],
    environ: Mapping[str, str] | None,
    patience: float = PATIENCE,
) -> _T:
    try:
        with _connected(configuration, os.environ if environ is None else environ) as sock:
            sock.sendall(msgspec.json.encode(request) + b"\n")
            _await_answer(sock, patience)
            line = _read_line(sock)
    except TimeoutError as error:
        raise SilentError(f"the broker did not answer within {patience:.0f} s") from error
    except OSError as error:
        raise ControlError(f"the broker did not answer: {error.strerror or error}") from error
    try:
        answer = msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError as error:
        raise ControlError(
            "the broker's answer cannot be read; the broker may have another version than this command"
        ) from error
    if answer.error.startswith(NOT_UNDERSTOOD):
        raise ControlError(
            "the running broker does not know this request; it has another version than this command: upgrade or "
            "restart the broker"
        )
    if answer.result is None:
        raise UnansweredError(answer.error or "the broker gave no answer")
    return answer.result


def _await_answer(sock: socket.socket, patience: float) -> None:
    """Wait until there is something to read, or it is plain that nothing will come.

    Raises:
        StandsStillError: the broker's process was stopped.
        TimeoutError: nothing came in time.
    """
    until = time.monotonic() + patience
    while time.monotonic() < until:
        sock.settimeout(min(_LOOK_AGAIN, patience))
        with contextlib.suppress(TimeoutError):
            sock.recv(1, socket.MSG_PEEK)
            sock.settimeout(patience)
            return
        pid = pid_of_peer(sock)
        if stands_still(pid):
            raise StandsStillError(
                f"the broker's process {pid} is suspended by a signal (SIGSTOP) or a debugger: connections "
                f"stay, and new ones are refused. To continue it, run kill -CONT {pid}"
            )
    raise TimeoutError


def _connected(configuration: Path, environ: Mapping[str, str]) -> socket.socket:
    """Connect to the first place where the user listens whose place it is, or root."""
    uid = os.geteuid()
    for path in candidates(configuration, uid, environ):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        try:
            with belonging(path) as name:
                sock.connect(name)
        except (FileNotFoundError, ConnectionRefusedError, PermissionError, NotADirectoryError):
            sock.close()
            continue
        except BaseException:
            sock.close()
            raise
        if uid_of_peer(sock) in {owner(path), _ROOT}:
            return sock
        sock.close()
    if strangers := others(configuration, uid, environ):
        users = " and ".join(str(Peer(each)) for each in strangers)
        raise NotAllowedError(
            f"this user may not ask the broker on {configuration}: it runs as user {users}, and answers only that user "
            "and root; run this command with sudo, or as that user"
        )
    if not _seen(configuration):
        raise NotRunningError(
            f"no broker runs with {configuration}: there is no such file, or user {uid} cannot see it; --config names "
            "the file that the broker was started with"
        )
    raise NotRunningError(
        f"no broker runs with {configuration} as user {uid}; start it, or run this command as the broker's user "
        "or as root"
    )


def _seen(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return False


def _read_line(sock: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        chunk = sock.recv(_CHUNK)
        if not chunk or len(received) > LONGEST_ANSWER:
            raise ControlError("the broker closed the connection without an answer")
        received += chunk
    return bytes(received)
