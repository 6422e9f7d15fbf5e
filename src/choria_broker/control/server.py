"""The broker's end of the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from choria_broker.access.selection import SelectionError
from choria_broker.audit.decided import Decision
from choria_broker.control.peer_credentials import Peer, trusted, uid_of_peer
from choria_broker.control.place import claim
from choria_broker.control.protocol import (
    LONGEST_ANSWER,
    LONGEST_REQUEST,
    NOT_UNDERSTOOD,
    Answer,
    DecisionRequest,
    Request,
    StatusRequest,
)
from choria_broker.control.socket_path import reachable
from choria_broker.errors import BrokerError
from choria_broker.host.apart import apart
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.status.document import Status

_log = component("control")
_encoder = msgspec.json.Encoder()
_Answer = Answer[Any]
_KEPT: Final[dict[str, Any]] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""The socket's file is the claim's to remove: by the name that it was bound with, another may be found by now."""

_SOCKET = "control socket"
"""Name of the socket where it is left to the next program."""

_FAREWELL = 1.0
"""Seconds for the last answers before the next program has the socket."""

_GONE = (OSError, TimeoutError, asyncio.IncompleteReadError)


class Bounds(msgspec.Struct, frozen=True):
    """Limits of the control socket; tests inject others.

    Attributes:
        conversations: most at once; further ones are closed at once.
        patience: seconds a peer has for its next request, and then for reading its answer.
    """

    conversations: int = 16
    patience: float = 5.0


Who = Callable[[], Awaitable[str]]
"""Tells who asks, for a record; a directory service may be asked for the name, so only who needs it asks."""

Act = Callable[[Any, Who], Awaitable[object]]
"""Does what a request asks for, and returns the result."""


class Sources(msgspec.Struct, frozen=True):
    """Where answers come from.

    Attributes:
        status: tells how the broker is.
        find: finds the decision about a connection, None when it is not known any more.
        acts: does what the other classes of requests ask for. Each bounds its own time; a ``BrokerError`` or
            ``SelectionError`` that it raises is the answer.
    """

    status: Callable[[], Status]
    find: Callable[[int], Decision | None]
    acts: Mapping[type, Act] = msgspec.field(default_factory=dict)


class ActError(BrokerError):
    """What was asked for cannot be done; the message is one sentence without its full stop."""


@contextlib.asynccontextmanager
async def serve(
    configuration: Path,
    sources: Sources,
    *,
    bounds: Bounds | None = None,
    environ: Mapping[str, str] | None = None,
    succession: Succession | None = None,
) -> AsyncIterator[Path]:
    """Listen, as long as the context lasts, on the control socket of a broker.

    Args:
        configuration: the broker's configuration file, which decides where the socket lies.
        sources: where answers come from.
        bounds: other limits than the usual ones.
        environ: variables to use instead of those of the process.
        succession: has the socket of the program before, and takes it over when this one leaves.

    Yields:
        Path of the socket.

    Raises:
        ConfigurationError: another broker runs on the same configuration, or there is no place for the socket.
    """
    succession = succession or Succession()
    with (
        claim(configuration, environ, succession) as path,
        contextlib.closing(succession.inherited_socket(_SOCKET) or _listening(path)) as sock,
    ):
        sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
        async with asyncio.TaskGroup() as tasks:
            conversations = _Conversations(sources, bounds or Bounds(), tasks)
            server = await asyncio.start_unix_server(conversations.begin, sock=sock, limit=LONGEST_REQUEST, **_KEPT)
            try:
                yield path
            finally:
                if succession.leaving:
                    succession.bequeath(_SOCKET, sock.fileno())
                server.close()
                if succession.leaving:
                    await conversations.answered(_FAREWELL)
                conversations.end()


def _listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(path) as name:
            sock.bind(name)
        path.chmod(0o600)
    except BaseException:
        sock.close()
        raise
    return sock


class _Conversations:
    """The open connections of the control socket."""

    def __init__(self, sources: Sources, bounds: Bounds, tasks: asyncio.TaskGroup) -> None:
        self._sources = sources
        self._bounds = bounds
        self._tasks = tasks
        self._open: set[asyncio.Task[None]] = set()
        self._owed: set[asyncio.StreamReader] = set()
        self._all_answered = asyncio.Event()

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a new connection."""
        peer = _who(writer) if len(self._open) < self._bounds.conversations else None
        if peer is None:
            writer.close()
            return
        self._owed.add(reader)
        task = self._tasks.create_task(self._converse(reader, writer, peer), name="control conversation")
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def answered(self, patience: float) -> None:
        """Wait until everybody who asks, or is about to, has an answer.

        Args:
            patience: most seconds to wait.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._owed:
                    self._all_answered.clear()
                    await self._all_answered.wait()

    def end(self) -> None:
        """Close all connections."""
        for task in self._open:
            task.cancel()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> None:
        try:
            more = True
            while more:
                answer, more = await self._exchange(reader, peer)
                if writer.is_closing():  # One that left meanwhile; to write to it is an error for some loops.
                    return
                async with asyncio.timeout(self._bounds.patience):
                    writer.write(answer)
                    await writer.drain()
                self._paid(reader)
        except _GONE:
            return  # A peer that left, or that does not read or write.
        finally:
            self._paid(reader)
            writer.close()

    def _paid(self, reader: asyncio.StreamReader) -> None:
        self._owed.discard(reader)
        if not self._owed:
            self._all_answered.set()

    async def _exchange(self, reader: asyncio.StreamReader, peer: Peer) -> tuple[bytes, bool]:
        """Read one request and make its answer; False when nothing after it can be understood."""
        try:
            async with asyncio.timeout(self._bounds.patience):
                line = await reader.readuntil(b"\n")
            self._owed.add(reader)
        except asyncio.LimitOverrunError:
            return _line(Answer(error=f"a request may have at most {LONGEST_REQUEST} bytes")), False
        try:
            return _line(await self._answer(line, peer)), True
        except Exception:  # noqa: BLE001 - a question about the broker must never end it
            _log.exception("Could not answer on the control socket")
            return _line(Answer(error="the broker failed to answer, see its log")), True

    async def _answer(self, line: bytes, peer: Peer) -> _Answer:
        try:
            request = _decoder().decode(line)
        except msgspec.DecodeError as error:
            return Answer(error=f"{NOT_UNDERSTOOD}: {error}")
        match request:
            case StatusRequest():
                return Answer(self._sources.status())
            case DecisionRequest(connection):
                found = self._sources.find(connection)
                return Answer(found) if found else Answer(error=_unknown(connection))
            case _:
                return await self._acted(request, peer)

    async def _acted(self, request: Request, peer: Peer) -> _Answer:
        act = self._sources.acts.get(type(request))
        if act is None:
            return Answer(error="the broker cannot do that")
        try:
            return Answer(await act(request, functools.partial(apart, functools.partial(str, peer))))
        except (BrokerError, SelectionError) as error:
            return Answer(error=str(error))


def _who(writer: asyncio.StreamWriter) -> Peer | None:
    """Tell who is at the other end, None when he may not ask."""
    try:
        uid = uid_of_peer(writer.get_extra_info("socket"))
    except OSError:
        return None
    if not trusted(uid):
        _log.warning("Refused a control connection of another user", uid=uid)
        return None
    return Peer(uid)


def _unknown(connection: int) -> str:
    return f"connection {connection} is not among the recent decisions"


@functools.cache
def _decoder() -> msgspec.json.Decoder[Request]:
    """Make what reads requests, when the first one comes: it takes 2 ms, which the start need not wait for."""
    return msgspec.json.Decoder(Request)


def _line(answer: _Answer) -> bytes:
    line = _encoder.encode(answer) + b"\n"
    if len(line) > LONGEST_ANSWER:
        return _encoder.encode(Answer[Status](error=f"the answer would be larger than {LONGEST_ANSWER} bytes")) + b"\n"
    return line
