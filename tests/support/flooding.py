"""Strangers that flood a broker as fast as they can, each with another CONNECT that is as costly as it may be.

They run in a process of their own, so that those who measure do not wait for them::

    python -m support.flooding KIND PORT CA
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import statistics
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from support.nats_socket import ClosedError, wire

HEAD = base64.urlsafe_b64encode(b'{"alg":"EdDSA","typ":"JWT"}').rstrip(b"=").decode()
AT_ONCE = 16
ENOUGH = 8
"""Strangers that have to be refused before it is a flood."""
_PATIENCE = 60.0
"""Seconds; leafnodes have ten to log in."""

Fields = dict[str, Any]


def token(size: int, number: int) -> str:
    """Write a token that nobody signed, whose payload is one long list."""
    payload = b'{"purpose":"choria_client_id","callerid":"up=x%d","x":[%s0]}' % (
        number,
        b"[]," * ((size * 3 // 4 - 200) // 3),
    )
    return f"{HEAD}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{'A' * 86}"


def leafnode_token(number: int) -> Fields:
    """As long as the library's line of a leafnode."""
    return {"auth_token": token(64_000, number)}


def leafnode_user(number: int) -> Fields:
    """Signs that a careless writer of JSON makes six of."""
    return {"user": f"{number}" + "<" * 64_000}


def leafnode_small(number: int) -> Fields:
    """As much as a leafnode may send."""
    return {"user": f"{number}" + "<" * 1900, "pass": f"{number}" + "<" * 1900, "auth_token": "x.y.z"}


def leafnode_cluster(number: int) -> Fields:
    """Fields of leafnodes that nobody asks about."""
    text = f"{number}" + "x" * 20_000
    return {"cluster": text, "domain": text, "server_id": text}


def leafnode_deny(number: int) -> Fields:
    """Subjects that a leafnode does not want."""
    return {"deny_pub": [f"a.{number}.{place}.>" for place in range(4000)]}


def leafnode_unknown(number: int) -> Fields:
    """A field that nobody knows."""
    return {"surprise": [{"x" * 100: f"{number}" + "x" * 60_000}]}


def client_token(number: int) -> Fields:
    """As long as the library's line of a client."""
    return {"auth_token": token(3700, number), "sig": "A" * 86}


def client_texts(number: int) -> Fields:
    """Every field, as long as they may be together."""
    text = f"{number:x}" + "<" * 600
    return dict.fromkeys(("user", "pass", "auth_token", "sig", "name", "lang"), text)


def line(fields: Callable[[int], Fields]) -> Callable[[int], bytes]:
    """Write a whole CONNECT."""
    return lambda number: f"CONNECT {json.dumps(fields(number))}\r\n".encode()


def unfinished(number: int) -> bytes:
    """Begin a line that has no end."""
    return b'CONNECT {"name":"%d' % number + b"x" * 65_000


def begun(number: int) -> bytes:
    """Begin a line, no longer than one may be, and leave it at that."""
    return b'CONNECT {"name":"%d' % number + b"x" * 4_000


KINDS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "leafnode token": ("leafnode", line(leafnode_token)),
    "leafnode user": ("leafnode", line(leafnode_user)),
    "leafnode small": ("leafnode", line(leafnode_small)),
    "leafnode cluster": ("leafnode", line(leafnode_cluster)),
    "leafnode deny_pub": ("leafnode", line(leafnode_deny)),
    "leafnode unknown": ("leafnode", line(leafnode_unknown)),
    "leafnode unfinished": ("leafnode", unfinished),
    "leafnode begun": ("leafnode", begun),
    "client token": ("client", line(client_token)),
    "client texts": ("client", line(client_texts)),
    "client unfinished": ("client", unfinished),
    "websocket token": ("websocket", line(client_token)),
    "websocket texts": ("websocket", line(client_texts)),
    "websocket unfinished": ("websocket", unfinished),
    "websocket leafnode": ("websocket leafnode", line(leafnode_cluster)),
    "websocket leafnode unfinished": ("websocket leafnode", unfinished),
}
"""Listener and what strangers send there, by name."""


async def stranger(port: int, context: ssl.SSLContext, data: bytes, listener: str = "leafnode") -> bool:
    """Connect, send something and wait for the end; False when that went another way than a refusal."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await (_websocket if "websocket" in listener else _plain)(port, context, listener)
            try:
                writer.write(_frame(data) if "websocket" in listener else data)
                answer = await reader.read()
            finally:
                writer.transport.abort()
    except (ConnectionResetError, BrokenPipeError):
        return True  # Not all was read of what was sent.
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    return b"-ERR" in answer or not answer


async def _plain(port: int, context: ssl.SSLContext, _: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readuntil(b"\r\n")
    await writer.start_tls(context, server_hostname="127.0.0.1")
    return reader, writer


async def _websocket(
    port: int, context: ssl.SSLContext, listener: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
    path = "/leafnode" if "leafnode" in listener else "/"
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"\r\n")
    return reader, writer


def _frame(data: bytes) -> bytes:
    """Write one binary frame, whose mask changes nothing."""
    return struct.pack(">BBQ4x", 0x82, 0x80 | 127, len(data)) + data


async def _on_and_on(kind: str, port: int, ca: str) -> None:
    """Flood until the standard input ends; then print how many were refused, and how many were not.

    A first line says when so many were refused that it is a flood.
    """
    listener, data = KINDS[kind]
    context = ssl.create_default_context(cafile=ca)
    told: list[bool] = []
    numbers = iter(range(10_000_000))

    async def again() -> None:
        while True:
            told.append(await stranger(port, context, data(next(numbers)), listener))
            if sum(told) == ENOUGH and told[-1]:
                sys.stdout.write("flooding\n")
                sys.stdout.flush()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(10 * AT_ONCE if kind.endswith("begun") else AT_ONCE):
            tasks.create_task(again())
        await asyncio.to_thread(sys.stdin.read)
        sys.stdout.write(f"{sum(told)} {len(told) - sum(told)}")
        sys.stdout.flush()
        os._exit(0)  # With all that is under way.


class Flood:
    """A flood that runs.

    Attributes:
        refused: strangers that were refused, once it has ended.
        others: those of whom something else became.
    """

    refused: int = 0
    others: int = 0

    def __init__(self, output: asyncio.StreamReader) -> None:
        """Take what the flooding process writes."""
        self._output = output

    async def ran(self) -> None:
        """Wait until strangers enough were refused."""
        assert await self._output.readline() == b"flooding\n"


@contextlib.asynccontextmanager
async def flood(kind: str, port: int, ca: Path) -> AsyncIterator[Flood]:
    """Flood a port as long as the context lasts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __spec__.name,
        kind,
        str(port),
        str(ca),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    found = Flood(process.stdout)
    try:
        yield found
        output, _ = await process.communicate(b"")
        found.refused, found.others = map(int, output.split()[-2:])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def login(port: int, context: ssl.SSLContext, **sent: str) -> float:
    """Log in as somebody known; the seconds from CONNECT to the answer. Raises ``ClosedError`` when refused.

    With a user of its own a connection is known to nobody yet, and the broker is asked about it.
    """
    async with wire(port, context) as connection:
        begun = time.perf_counter()
        await connection.connect(name="good", **sent)
        return time.perf_counter() - begun


async def median_login(port: int, context: ssl.SSLContext, count: int, pause: float = 0.02) -> tuple[float, int]:
    """Log in many times, one after the other; the median of the seconds, and how many were refused."""
    times: list[float] = []
    refused = 0
    for _ in range(count):
        try:
            times.append(await login(port, context))
        except (ClosedError, OSError):
            refused += 1
        await asyncio.sleep(pause)
    return statistics.median(times) if times else float("inf"), refused


if __name__ == "__main__":
    asyncio.run(_on_and_on(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
