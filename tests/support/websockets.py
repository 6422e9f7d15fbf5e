"""Brokers with a websocket listener, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.config.surroundings.facts import Overrides
from support.minting import ORGANIZATION, hex_of
from support.nats_socket import Wire
from support.testbed import (
    Authority,
    client_of,
    configuration,
    free_port,
)

DEADLINE = 60.0


ISSUER: dict[str, Any] = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
}


def broker_with_websockets(
    tmp_path: Path, authority: Authority, overrides: Overrides | None = None, **settings: Any
) -> tuple[NetworkBroker, int]:
    """Make a broker with a websocket listener and return it with the port."""
    port = free_port()
    path = configuration(tmp_path, authority, network__websocket_port=port, **settings)
    return NetworkBroker.from_file(path, overrides), port


def websocket_client(
    port: int, context: ssl.SSLContext | None, **options: Any
) -> contextlib.AbstractAsyncContextManager[Client]:
    """Connect a NATS client over a websocket, with one attempt only; it closes in any case."""
    return client_of(f"{'wss' if context else 'ws'}://127.0.0.1:{port}", context, **options)


class Frames:
    """Both ends of a byte stream, carried in the frames of a websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take over an open websocket."""
        self._socket = socket
        self._received = bytearray()
        self._pending: list[bytes] = []

    async def readuntil(self, separator: bytes) -> bytes:
        while separator not in self._received:
            await self._more()
        return await self.readexactly(self._received.index(separator) + len(separator))

    async def readexactly(self, count: int) -> bytes:
        while len(self._received) < count:
            await self._more()
        found = bytes(self._received[:count])
        del self._received[:count]
        return found

    async def _more(self) -> None:
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.BINARY:
            raise asyncio.IncompleteReadError(bytes(self._received), None)
        self._received += message.data

    def write(self, data: bytes) -> None:
        self._pending.append(data)

    async def drain(self) -> None:
        while self._pending:
            await self._socket.send_bytes(self._pending.pop(0))


@contextlib.asynccontextmanager
async def websocket_wire(
    port: int, context: ssl.SSLContext | None, *, host: str = "127.0.0.1", path: str = "/", **headers: str
) -> AsyncIterator[Wire]:
    """Open a websocket as far as INFO; what goes over it is up to the test."""
    url = f"{'https' if context else 'http'}://{host}:{port}{path}"
    async with (
        asyncio.timeout(DEADLINE),
        aiohttp.ClientSession(headers={name.replace("_", "-"): text for name, text in headers.items()}) as session,
        session.ws_connect(url, ssl=context or True) as socket,
    ):
        frames = Frames(socket)
        info = json.loads((await frames.readuntil(b"\r\n")).removeprefix(b"INFO "))
        yield Wire(cast("asyncio.StreamReader", frames), cast("asyncio.StreamWriter", frames), info)
