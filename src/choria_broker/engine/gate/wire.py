"""The bytes of the gate: cut into frames, in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import cast

from choria_broker.engine.gate import codec
from choria_broker.errors import GateError

_BATCH = 64
"""Frames handled in a row before other tasks of the loop get their turn."""


class Wire(asyncio.Protocol):
    """Cuts what arrives into frames, hands them on, and writes the answers of a batch at once.

    Not more than a batch is held besides what the loop read in one go: while there is work, or while the engine does
    not take answers, nothing more is read.
    """

    def __init__(self, receive: Callable[[bytes], bytes]) -> None:
        """Begin with nothing; ``receive`` handles one frame and returns what to answer, which may be nothing."""
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._writable = True
        self._paused = False
        self._held = False
        self.ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def unread(self) -> bytes:
        """What has arrived and was not handled."""
        return bytes(self._buffer)

    def begin_with(self, unread: bytes) -> None:
        """Take what another program has read and not handled; it comes first."""
        self._buffer += unread

    def begin(self) -> None:
        """Handle what is there already; call it once the connection is made."""
        if self._buffer:
            self._work()

    def hold(self) -> None:
        """Handle and read nothing more."""
        self._held = True
        if self._transport is not None and not self.ended.done():
            self._read(self._transport, wanted=False)

    def go_on(self) -> None:
        """Go on after ``hold``."""
        self._held = False
        self._work()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        # A stream socket has a stream's transport; other loops than asyncio's own do not derive theirs from its class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, and handle a batch of it."""
        self._buffer += data
        self._work()

    def pause_writing(self) -> None:
        """Hear that the engine does not take answers."""
        self._writable = False

    def resume_writing(self) -> None:
        """Hear that it takes them again."""
        self._writable = True
        self._work()

    def connection_lost(self, error: Exception | None) -> None:
        """Hear that there is no connection any more."""
        self._end(error)

    def _work(self) -> None:
        """Handle one batch; a longer queue is left for the next turn of the loop, so that other tasks get theirs."""
        transport = self._transport
        if transport is None or self.ended.done() or not self._taken():
            return
        try:
            answers = [self._receive(payload) for payload in self._take()]
            more = self._complete()
        except (codec.FrameError, GateError) as error:
            self._end(error)
            return
        transport.write(b"".join(answers))
        taken = self._taken()
        self._read(transport, wanted=taken and not more)
        if more and taken:
            self._loop.call_soon(self._work)

    def _taken(self) -> bool:
        """Whether the engine takes answers; writing one can change that."""
        return self._writable and not self._held

    def _read(self, transport: asyncio.Transport, *, wanted: bool) -> None:
        if wanted and self._paused:
            transport.resume_reading()
        elif not wanted and not self._paused:
            transport.pause_reading()
        self._paused = not wanted

    def _take(self) -> Iterator[bytes]:
        """Take up to a batch of complete frames out of the buffer."""
        start = 0
        for _ in range(_BATCH):
            end = self._frame_end(start)
            if end is None or end > len(self._buffer):
                break
            yield bytes(self._buffer[start + codec.LENGTH.size : end])
            start = end
        del self._buffer[:start]

    def _complete(self) -> bool:
        """Whether another frame lies ready."""
        end = self._frame_end(0)
        return end is not None and end <= len(self._buffer)

    def _frame_end(self, start: int) -> int | None:
        """Where the frame that begins at a place ends, None while its length is not known."""
        if len(self._buffer) - start < codec.LENGTH.size:
            return None
        (length,) = codec.LENGTH.unpack_from(self._buffer, start)
        if not 0 < length <= codec.MAX_FRAME:
            raise codec.FrameError(f"a frame of {length} bytes; 1 to {codec.MAX_FRAME} are allowed")
        return start + codec.LENGTH.size + int(length)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
