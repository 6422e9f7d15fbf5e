"""A NATS client that says exactly what a test wants: one socket, one CONNECT, every line of the server seen."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DEADLINE = 60.0


class ClosedError(Exception):
    """The server closed the connection; the message has the errors it sent before that."""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A message that was delivered."""

    subject: str
    payload: str


class Wire:
    """A connection to a NATS server.

    Attributes:
        info: what the server said of itself.
        errors: its ``-ERR`` lines so far, without quotes.
        messages: what it delivered so far.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, info: dict[str, Any]) -> None:
        """Take over a socket on which INFO has been read."""
        self._reader = reader
        self._writer = writer
        self._subscriptions = 0
        self.info = info
        self.errors: list[str] = []
        self.messages: list[Message] = []

    @property
    def nonce(self) -> str:
        """The challenge of the server."""
        return str(self.info.get("nonce", ""))

    async def connect(self, **fields: str) -> None:
        """Send CONNECT with these fields, and wait for the answer.

        Raises:
            ClosedError: the server closed the connection.
        """
        options = {"verbose": False, "pedantic": False, "lang": "test", "version": "1", "protocol": 1} | fields
        self._writer.write(f"CONNECT {json.dumps(options)}\r\n".encode())
        await self.flush()

    async def flush(self) -> None:
        """Wait until the server has worked on everything sent, and collect what it said meanwhile.

        Raises:
            ClosedError: the server closed the connection.
        """
        async with asyncio.timeout(DEADLINE):
            try:
                self._writer.write(b"PING\r\n")
                await self._writer.drain()
                while await self._take() != "PONG":
                    continue
            except (OSError, asyncio.IncompleteReadError):
                raise ClosedError("; ".join(self.errors)) from None

    def drop(self) -> None:
        """Let go of the connection without a word, whatever of it is unread."""
        self._writer.transport.abort()

    async def publish(self, subjects: Iterable[str], payload: str) -> frozenset[str]:
        """Publish to each subject and return those that the server refused."""
        for subject in subjects:
            self._writer.write(f"PUB {subject} {len(payload)}\r\n{payload}\r\n".encode())
        return await self._violations("Publish")

    async def subscribe(self, subscriptions: Iterable[str]) -> frozenset[str]:
        """Subscribe to each subject, perhaps with a queue behind a space, and return those the server refused."""
        for subscription in subscriptions:
            self._subscriptions += 1
            self._writer.write(f"SUB {subscription} {self._subscriptions}\r\n".encode())
        return await self._violations("Subscription")

    def received(self, payload: str) -> frozenset[str]:
        """Return the subjects of delivered messages that have this payload."""
        return frozenset(message.subject for message in self.messages if message.payload == payload)

    async def _violations(self, what: str) -> frozenset[str]:
        before = len(self.errors)
        await self.flush()
        told = f"Permissions Violation for {what} to "
        found = set()
        for error in self.errors[before:]:
            if not error.startswith(told):
                raise AssertionError(f"unexpected error of the server: {error}")
            subject, _, queue = error.removeprefix(told).partition(" using queue ")
            found.add(" ".join(part.strip('"') for part in (subject, queue) if part))
        return frozenset(found)

    async def _take(self) -> str:
        """Read one operation of the server and return its name."""
        line = (await self._reader.readuntil(b"\r\n")).decode().rstrip()
        operation, _, rest = line.partition(" ")
        match operation:
            case "-ERR":
                self.errors.append(rest.strip("'"))
            case "MSG":
                arguments = rest.split(" ")
                payload = await self._reader.readexactly(int(arguments[-1]) + 2)
                self.messages.append(Message(arguments[0], payload[:-2].decode()))
            case "PING":
                self._writer.write(b"PONG\r\n")
        return operation


@contextlib.asynccontextmanager
async def wire(
    port: int | str, context: ssl.SSLContext | None = None, *, source: str = "127.0.0.1"
) -> AsyncIterator[Wire]:
    """Open a connection as far as the server's INFO and, with a context, TLS; it closes in any case.

    Args:
        port: of 127.0.0.1; or the path of a Unix socket.
        context: client side of TLS, None for clear text.
        source: own address, any of 127.0.0.0/8.

    Raises:
        OSError: there is no server, or the handshake failed.
    """
    if isinstance(port, str):
        reader, writer = await asyncio.open_unix_connection(port)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        async with asyncio.timeout(DEADLINE):
            line = await reader.readuntil(b"\r\n")
            if context:
                await writer.start_tls(context, server_hostname="127.0.0.1")
        yield Wire(reader, writer, json.loads(line.removeprefix(b"INFO ")))
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(DEADLINE):
                await writer.wait_closed()


def signature(seed: str, text: bytes) -> str:
    """Sign bytes with the ed25519 key of a seed of 64 hex digits, written as CONNECT wants it."""
    raw = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)).sign(text)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
