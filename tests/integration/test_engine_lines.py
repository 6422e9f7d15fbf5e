"""Peers that never come in cannot fill the log through the engine, whatever they say and on whichever port."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from choria_broker.broker import NetworkBroker
from support.testbed import Authority, bridge, configuration, free_port

ATTEMPTS = 30
PATIENT = 60.0
PORTS = ("websocket_port", "peer_port", "leafnode_port")

Ports = dict[str, Any]
"""Ports of loopback by setting or listener; of the bridge the path of its socket."""

Attempt = Callable[[Ports, ssl.SSLContext, int], Coroutine[object, object, None]]


@contextlib.asynccontextmanager
async def opened(
    port: int, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="127.0.0.1" if context else None
    )
    try:
        yield reader, writer
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has closed, so that the engine has said all it has to say."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENT):
            while await reader.read(65536):
                continue


def upgrade(path: str, more: str = "") -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{more}\r\n"
    ).encode()


def frame(content: bytes) -> bytes:
    """Write a masked binary frame of websocket; the mask is zero."""
    return bytes((0x82, 0x80 | len(content))) + bytes(4) + content


async def no_tls_for_websocket(ports: Ports, _context: ssl.SSLContext, _number: int) -> None:
    async with opened(ports["websocket_port"]) as (reader, writer):
        writer.write(b"hello\n")
        await ended(reader)


async def no_websocket(ports: Ports, context: ssl.SSLContext, _number: int) -> None:
    async with opened(ports["websocket_port"], context) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await ended(reader)


async def forwarded(ports: Ports, context: ssl.SSLContext, number: int) -> None:
    async with opened(ports["websocket_port"], context) as (reader, writer):
        writer.write(upgrade("/", f"X-Forwarded-For: 10.0.0.{number}\r\n"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(b'CONNECT {"user":"mistaken"}\r\nPING\r\n'))
        await ended(reader)


async def leafnode_over_websocket(ports: Ports, context: ssl.SSLContext, _number: int) -> None:
    async with opened(ports["websocket_port"], context) as (reader, writer):
        writer.write(upgrade("/leafnode"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(b"FOO\r\n"))
        await ended(reader)


async def no_tls_for_routes(ports: Ports, _context: ssl.SSLContext, _number: int) -> None:
    async with opened(ports["peer_port"]) as (reader, writer):
        writer.write(b"CONNECT {}\r\n")
        await ended(reader)


async def no_leafnode(ports: Ports, context: ssl.SSLContext, _number: int) -> None:
    async with opened(ports["leafnode_port"]) as (reader, writer):
        await reader.readuntil(b"\r\n")
        await writer.start_tls(context, server_hostname="127.0.0.1")
        writer.write(b"FOO\r\n")
        await ended(reader)


async def no_bridge(ports: Ports, _context: ssl.SSLContext, _number: int) -> None:
    reader, writer = await asyncio.open_unix_connection(ports["bridge"])
    with contextlib.closing(writer):
        await reader.readuntil(b"\r\n")
        writer.write(f"CONNECT {json.dumps({'user': 'mistaken', 'auth_token': 'x'})}\r\nPING\r\n".encode())
        await ended(reader)


async def forbidden_field(ports: Ports, context: ssl.SSLContext, _number: int) -> None:
    async with opened(ports["client"]) as (reader, writer):
        await reader.readuntil(b"\r\n")
        await writer.start_tls(context, server_hostname="127.0.0.1")
        writer.write(b'CONNECT {"account":"mistaken"}\r\nPING\r\n')
        await ended(reader)


@pytest.mark.parametrize(
    "attempt",
    [
        no_tls_for_websocket,
        no_websocket,
        forwarded,
        leafnode_over_websocket,
        no_tls_for_routes,
        no_leafnode,
        no_bridge,
        forbidden_field,
    ],
)
async def test_a_flood_of_attempts_is_a_few_lines(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, attempt: Attempt
) -> None:
    listeners = {f"network__{name}": free_port() for name in PORTS}
    config = configuration(tmp_path, authority, **listeners, network__peers=f"nats://127.0.0.1:{free_port()}")
    context = authority.context()
    async with NetworkBroker.from_file(config) as broker:
        ports: Ports = {name.removeprefix("network__"): port for name, port in listeners.items()}
        ports |= {"client": broker.ports.client, "bridge": bridge(broker)}
        before = len(caplog.records)
        for number in range(ATTEMPTS):
            await attempt(ports, context, number)

    told = [
        record
        for record in caplog.records[before:]
        if record.levelno >= logging.INFO and ("127.0.0.1" in str(record.__dict__) or "efus" in record.getMessage())
    ]
    assert told, "the operator hears of it"
    assert len(told) < ATTEMPTS, [record.getMessage() for record in told]
    assert not [record for record in told if "mistaken" in record.getMessage()]
