"""The way to the engine's monitoring pages: a Unix socket in the broker's run directory, which the engine inherits.

A port on loopback would answer every user of the machine, and web pages in its browsers.
"""

from __future__ import annotations

import aiohttp

_ORIGIN = "http://engine"
"""What requests name as their server; the socket has one only."""


def asking(address: str, timeout: aiohttp.ClientTimeout, *, decompress: bool = True) -> aiohttp.ClientSession:
    """Make a session whose requests, for paths, go to the engine's pages.

    Args:
        address: of the socket.
        timeout: of a request.
        decompress: give answers as they were before they were compressed.
    """
    connector = aiohttp.UnixConnector(path=address)
    return aiohttp.ClientSession(_ORIGIN, connector=connector, timeout=timeout, auto_decompress=decompress)
