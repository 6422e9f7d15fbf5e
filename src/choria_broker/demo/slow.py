"""A client that subscribes and does not read, until the engine lets it go."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Mapping

_SMALL = 4096
"""Bytes that the kernel keeps for it, so that little has to be sent until it is too slow."""

_ANSWER = 10.0
_SLEEP = 25.0
"""Seconds; longer than the engine waits for somebody to read, so that it is noticed each time."""


async def sleep_through(port: int, tls: ssl.SSLContext, login: Mapping[str, object], subject: str) -> None:
    """Log in, subscribe, and read nothing for a while.

    Args:
        port: of the broker on this machine.
        tls: trusts its CA.
        login: options of a NATS client: ``token``, ``signature_cb`` and ``name``.
        subject: what is subscribed to.

    Raises:
        OSError: there is no broker, or it ended the connection.
        ValueError: it refused the login.
        TimeoutError: it did not answer.
    """
    opened = socket.socket()
    opened.settimeout(0)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    try:
        async with asyncio.timeout(_ANSWER):
            await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=opened, limit=_SMALL)
    except BaseException:
        opened.close()
        raise
    try:
        async with asyncio.timeout(_ANSWER):
            nonce = json.loads((await reader.readline()).removeprefix(b"INFO "))["nonce"]
            await writer.start_tls(tls, server_hostname="localhost")
            words = f"CONNECT {json.dumps(_words(login, nonce))}\r\nSUB {subject} 1\r\nPING\r\n"
            writer.write(words.encode())
            while not (line := await reader.readline()).startswith(b"PONG"):
                if not line or line.startswith(b"-ERR"):
                    raise ValueError(line.decode(errors="replace"))
        writer.transport.pause_reading()  # type: ignore[attr-defined] # of every stream
        await asyncio.sleep(_SLEEP)
    finally:
        writer.transport.abort()


def _words(login: Mapping[str, object], nonce: str) -> dict[str, object]:
    answer = login["signature_cb"]
    assert callable(answer)  # noqa: S101 - of our own
    return {
        "verbose": False,
        "pedantic": False,
        "tls_required": True,
        "protocol": 1,
        "name": login["name"],
        "lang": "python",
        "version": "1",
        "auth_token": login["token"],
        "sig": answer(nonce).decode(),
    }
