"""The asking end of the control socket, for commands: one question, one answer, a deadline."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from choria_broker.audit import Decision
from choria_broker.control.peer import uid_of_peer
from choria_broker.control.place import belonging, candidates, owner
from choria_broker.control.protocol import LONGEST_ANSWER, Answer, DecisionRequest, Request, Status, StatusRequest

PATIENCE = 10.0
"""Seconds to wait for an answer."""

_ROOT = 0
_CHUNK = 65536
_T = TypeVar("_T")


class ControlError(Exception):
    """A running broker could not be asked; the message says why and what to do."""


class NotRunningError(ControlError):
    """No broker answers for the configuration file."""


class UnansweredError(ControlError):
    """The broker has no answer; the message is its reason."""


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


def _ask(configuration: Path, request: Request, kind: type[Answer[_T]], environ: Mapping[str, str] | None) -> _T:
    try:
        with _connected(configuration, os.environ if environ is None else environ) as sock:
            sock.sendall(msgspec.json.encode(request) + b"\n")
            line = _read_line(sock)
    except OSError as error:
        raise ControlError(f"the broker did not answer: {error.strerror or error}") from error
    try:
        answer = msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError as error:
        raise ControlError("the broker's answer cannot be read; it may be of another version") from error
    if answer.result is None:
        raise UnansweredError(answer.error or "the broker gave no answer")
    return answer.result


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
    raise NotRunningError(
        f"no broker runs on {configuration} as user {uid}; start it, or ask as the user that runs it, or as root"
    )


def _read_line(sock: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        chunk = sock.recv(_CHUNK)
        if not chunk or len(received) > LONGEST_ANSWER:
            raise ControlError("the broker closed the connection without an answer")
        received += chunk
    return bytes(received)
