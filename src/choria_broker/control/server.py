"""The broker's end of the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec

from choria_broker.audit import Decision
from choria_broker.control.peer import trusted, uid_of_peer
from choria_broker.control.place import claim, reachable
from choria_broker.control.protocol import (
    LONGEST_ANSWER,
    LONGEST_REQUEST,
    Answer,
    DecisionRequest,
    Request,
    Status,
    StatusRequest,
)
from choria_broker.log import component

_log = component("control")
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_GONE = (OSError, TimeoutError, asyncio.IncompleteReadError)


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of the control socket; tests inject others.

    Attributes:
        conversations: most at once; further ones are closed at once.
        patience: seconds a peer has for its next request, and for reading its answer.
    """

    conversations: int = 16
    patience: float = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """Where answers come from.

    Attributes:
        status: tells how the broker is.
        find: finds the decision about a connection, None when it is not known any more.
    """

    status: Callable[[], Status]
    find: Callable[[int], Decision | None]


@contextlib.asynccontextmanager
async def serve(
    configuration: Path,
    sources: Sources,
    *,
    bounds: Bounds | None = None,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Path]:
    """Listen, as long as the context lasts, on the control socket of a broker.

    Args:
        configuration: the broker's configuration file, which decides where the socket lies.
        sources: where answers come from.
        bounds: other limits than the usual ones.
        environ: variables to use instead of those of the process.

    Yields:
        Path of the socket.

    Raises:
        ConfigurationError: another broker runs on the same configuration, or there is no place for the socket.
    """
    with claim(configuration, environ) as path, contextlib.closing(_listening(path)) as sock:
        async with asyncio.TaskGroup() as tasks:
            conversations = _Conversations(sources, bounds or Bounds(), tasks)
            server = await asyncio.start_unix_server(conversations.begin, sock=sock, limit=LONGEST_REQUEST)
            try:
                yield path
            finally:
                server.close()
                conversations.end()


def _listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(path) as name:
            sock.bind(name)
        path.chmod(0o600)
        sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
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

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a new connection."""
        if len(self._open) >= self._bounds.conversations or not _may_ask(writer):
            writer.close()
            return
        task = self._tasks.create_task(self._converse(reader, writer), name="control conversation")
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    def end(self) -> None:
        """Close all connections."""
        for task in self._open:
            task.cancel()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            more = True
            while more:
                async with asyncio.timeout(self._bounds.patience):
                    answer, more = await self._exchange(reader)
                    writer.write(answer)
                    await writer.drain()
        except _GONE:
            return  # A peer that left, or that does not read or write.
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader) -> tuple[bytes, bool]:
        """Read one request and make its answer; False when nothing after it can be understood."""
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            return _line(Answer(error=f"a request has {LONGEST_REQUEST} bytes at most")), False
        try:
            return _line(self._answer(line)), True
        except Exception:  # noqa: BLE001 - a question about the broker must never end it
            _log.exception("Could not answer on the control socket")
            return _line(Answer(error="the broker could not answer, its log says why")), True

    def _answer(self, line: bytes) -> Answer[Status] | Answer[Decision]:
        try:
            request = _decoder.decode(line)
        except msgspec.DecodeError as error:
            return Answer(error=f"not a request this broker knows: {error}")
        match request:
            case StatusRequest():
                return Answer(self._sources.status())
            case DecisionRequest(connection):
                found = self._sources.find(connection)
                return Answer(found) if found else Answer(error=_unknown(connection))


def _may_ask(writer: asyncio.StreamWriter) -> bool:
    try:
        uid = uid_of_peer(writer.get_extra_info("socket"))
    except OSError:
        return False
    if not trusted(uid):
        _log.warning("Refused a control connection of another user", uid=uid)
        return False
    return True


def _unknown(connection: int) -> str:
    return f"connection {connection} is not among the recent decisions"


def _line(answer: Answer[Status] | Answer[Decision]) -> bytes:
    line = _encoder.encode(answer) + b"\n"
    if len(line) > LONGEST_ANSWER:
        return _encoder.encode(Answer[Status](error=f"the answer would be larger than {LONGEST_ANSWER} bytes")) + b"\n"
    return line
