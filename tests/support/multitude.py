"""Very many clients in a process of their own: ``python -m support.multitude PORT CA``.

What they log in with stands in lines of JSON on standard input, ``{"token": ..., "count": ...}``. A line on standard
output tells when all of a token are in. A line ``count`` is answered with how many of each token are still connected.
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import contextlib
import json
import select
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from support.minting import HOLDER

_AT_ONCE = 4
_PATIENCE = 30.0
_ALL_IN = 600.0


class _Crowd:
    """The clients of one token; each is little more than a socket."""

    def __init__(self, port: int, context: ssl.SSLContext, token: str) -> None:
        self._port = port
        self._context = context
        self._token = token
        self._poll = select.poll()
        self._inside: dict[int, ssl.SSLSocket] = {}

    def enter(self, count: int) -> int:
        """Log in so many; returns how many are in."""
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as threads:
            for each in threads.map(lambda _: self._one(), range(count)):
                self._poll.register(each, select.POLLIN)
                self._inside[each.fileno()] = each
        return len(self._inside)

    def _one(self) -> ssl.SSLSocket:
        bare = socket.create_connection(("127.0.0.1", self._port), _PATIENCE)
        info = b""
        while not info.endswith(b"\r\n"):
            info += bare.recv(1)
        connection = self._context.wrap_socket(bare, server_hostname="127.0.0.1")
        signature = HOLDER.sign(json.loads(info[5:])["nonce"].encode())
        told = base64.urlsafe_b64encode(signature).decode().rstrip("=")
        words = json.dumps({"verbose": False, "name": "multitude", "auth_token": self._token, "sig": told})
        connection.sendall(f"CONNECT {words}\r\nPING\r\n".encode())
        answer = b""
        while b"PONG" not in answer:
            more = connection.recv(4096)
            if not more:
                raise ConnectionError(answer.decode())
            answer += more
        return connection

    def connected(self) -> int:
        """Answer what keeps them connected, and tell how many still are."""
        for number, _ in self._poll.poll(0):
            connection = self._inside[number]
            try:
                said = connection.recv(4096)
                if b"PING" in said:
                    connection.sendall(b"PONG\r\n")
            except OSError:
                said = b""
            if not said:
                self._poll.unregister(number)
                del self._inside[number]
                connection.close()
        return len(self._inside)


def _live(port: int, ca: str) -> None:
    context = ssl.create_default_context(cafile=ca)
    crowds: list[_Crowd] = []
    for line in sys.stdin:
        if line.strip() == "count":
            print(json.dumps([each.connected() for each in crowds]), flush=True)  # noqa: T201 - for the test
        else:
            wanted = json.loads(line)
            crowds.append(_Crowd(port, context, wanted["token"]))
            print(crowds[-1].enter(wanted["count"]), flush=True)  # noqa: T201


class Multitude:
    """The clients, as the test sees them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use ``multitude``."""
        self._process = process

    async def _asked(self, text: str) -> object:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{text}\n".encode())
        await self._process.stdin.drain()
        async with asyncio.timeout(_ALL_IN):
            return json.loads(await self._process.stdout.readline())

    async def enter(self, tokens: Mapping[str, int]) -> None:
        """Log in so many with each token."""
        for token, count in tokens.items():
            assert await self._asked(json.dumps({"token": token, "count": count})) == count

    async def connected(self) -> object:
        """Tell how many of each token are connected."""
        return await self._asked("count")


@contextlib.asynccontextmanager
async def multitude(port: int, ca: Path) -> AsyncIterator[Multitude]:
    """Have many clients at a port of 127.0.0.1 as long as the context lasts.

    Args:
        port: the port.
        ca: verifies who listens there.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "support.multitude", str(port), str(ca)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        yield Multitude(process)
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    _live(int(sys.argv[1]), sys.argv[2])
