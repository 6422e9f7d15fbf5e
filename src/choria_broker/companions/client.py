"""A NATS connection of a companion: the library's handshake, and a lean way for messages in both directions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.errors import ProtocolError

from choria_broker.companions.wire import Feed, Message, WireError
from choria_broker.log.structured import component

_log = component("companion")

_CONNECT = b"CONNECT "
_DENIED = "'permissions violation"

Heard = Callable[[list[Message]], None]
"""Takes the messages of one read; it must not wait."""


class LeanClient(Client):
    """The library's client, but for how messages are read, and what it logs in with.

    Attributes:
        heard: who takes the messages of which subscription.
        denied: who is told what the broker does not permit, in its words.
    """

    def __init__(self, login: Mapping[str, str | Callable[[str], str]]) -> None:
        """Prepare.

        Args:
            login: what CONNECT has beside what the library puts there; what can be called is given the nonce.
        """
        super().__init__()
        self._login = login
        self.heard: dict[int, Heard] = {}
        self.denied: Callable[[str], None] = _unheard
        self._ps = _LeanParser(self)  # type: ignore[assignment] # it has all that is used of the library's

    def _connect_command(self) -> bytes:
        command: bytes = super()._connect_command()
        if not self._login:
            return command
        nonce = self._server_info.get("nonce", "")
        options: dict[str, Any] = msgspec.json.decode(command.removeprefix(_CONNECT))
        options |= {name: given(nonce) if callable(given) else given for name, given in self._login.items()}
        return _CONNECT + msgspec.json.encode(options) + b"\r\n"

    @property
    def waiting(self) -> int:
        """Bytes that wait to be sent."""
        writer = self._writer
        return 0 if writer is None or writer.is_closing() else int(writer.transport.get_write_buffer_size())

    @property
    def _writer(self) -> asyncio.StreamWriter | None:
        transport = self._transport
        return getattr(transport, "_writer", None) or getattr(transport, "_io_writer", None)

    def send(self, data: bytes) -> None:
        """Send bytes of the protocol; they are whole commands. Over a connection that has just ended they are lost."""
        if self._transport is not None and self._writer is not None and not self._writer.is_closing():
            self._transport.write(data)

    async def sent(self) -> None:
        """Wait until there is room for more to send.

        Raises:
            OSError: the connection has ended.
        """
        if self._transport is not None:
            await self._transport.drain()  # type: ignore[no-untyped-call] # of a library without types


class _LeanParser:
    """Stands where the library has its parser."""

    def __init__(self, client: LeanClient) -> None:
        self._client = client
        self.reset()

    def reset(self) -> None:
        """Forget what was begun, for another connection."""
        self._feed = Feed()

    async def parse(self, data: bytes = b"") -> None:
        """Take what was read.

        Raises:
            ProtocolError: it is not the protocol. Of anything else the library would stop reading, and stay connected.
        """
        try:
            messages, lines = self._feed.take(data)
        except WireError as error:
            raise ProtocolError(str(error)) from error
        for number, batch in messages.items():
            self._hand_out(number, batch)
        try:
            for line in lines:
                await self._control(line)
        except (ProtocolError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise ProtocolError(str(error)) from error
        # What is read already is given out without a pause; others have work to do as well.
        await asyncio.sleep(0)

    def _hand_out(self, number: int, batch: list[Message]) -> None:
        """Give messages to who has subscribed; a fault there ends neither the connection nor what comes next."""
        take = self._client.heard.get(number)
        if take is None:
            return
        try:
            take(batch)
        except Exception:  # noqa: BLE001 - whatever it is, others have messages too
            _log.exception("Messages are lost because of a bug in this program", messages=len(batch))

    async def _control(self, line: bytes) -> None:
        client, upper = self._client, line[:5].upper()
        if upper == b"PING":
            client.send(b"PONG\r\n")
        elif upper == b"PONG":
            await client._process_pong()  # noqa: SLF001 - what the library's parser calls too
        elif upper.startswith(b"-ERR"):
            await self._error(line[5:].decode(errors="replace").strip())
        elif upper.startswith(b"INFO"):
            with contextlib.suppress(msgspec.DecodeError):
                await client._process_info(msgspec.json.decode(line[5:]))  # noqa: SLF001
        elif not upper.startswith(b"+OK"):
            raise ProtocolError("nats: unknown protocol")

    async def _error(self, words: str) -> None:
        if words.lower().startswith(_DENIED):
            self._client.denied(words.strip("'"))
        else:
            await self._client._process_err(words.lower())  # noqa: SLF001 - what the library's parser calls too


def _unheard(_words: str) -> None:
    """Take what is not of interest before there are subscriptions."""
