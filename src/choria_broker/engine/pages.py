"""The engine's monitoring pages: a Unix socket in the broker's run directory, which the engine inherits.

A port on loopback would answer every user of the machine, and web pages in its browsers.
"""

from __future__ import annotations

import asyncio

_END_OF_HEADER = b"\r\n\r\n"
_LENGTH = b"content-length:"


class PageError(OSError):
    """The engine did not answer with a whole page."""


async def read_page(address: str, path: str, deadline: float) -> bytes:
    """Read one page, over a connection of its own; the answer to a request of HTTP 1.0 ends with it.

    Args:
        address: of the socket.
        path: of the page, with its query.
        deadline: seconds for all of it.

    Raises:
        PageError: it is not there, or was cut off.
        OSError, TimeoutError: the engine does not answer.
    """
    async with asyncio.timeout(deadline):
        reader, writer = await asyncio.open_unix_connection(address)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
    header, _, body = answer.partition(_END_OF_HEADER)
    status, *lines = header.split(b"\r\n")
    words = status.split()
    if len(words) < 2 or words[1] != b"200":  # noqa: PLR2004 - "HTTP/1.0 200 OK"
        raise PageError(f"the engine answers with {b' '.join(words[1:]).decode(errors='replace') or 'nothing'}")
    told = next((line for line in map(bytes.lower, lines) if line.startswith(_LENGTH)), b"")
    if told and told.removeprefix(_LENGTH).strip() != str(len(body)).encode():
        raise PageError("the engine's answer was cut off")
    return body
