"""Looking up hosts while the broker runs: name servers that never answer hold up neither the loop nor the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any, cast

MOST = 16
"""Look-ups that may be under way at a time, those that nobody waits for any more among them."""

Found = list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]]
"""What ``socket.getaddrinfo`` returns."""

_places = threading.BoundedSemaphore(MOST)


async def addresses(host: str, port: int) -> tuple[str, ...]:
    """Look up the addresses of a host; the caller sets the deadline.

    The system's look-up cannot be cancelled and may take half a minute. It runs in a thread of its own, which the end
    of the process does not wait for, as it would for one of the loop's.

    Args:
        host: a name or an address.
        port: where to connect to.

    Raises:
        TimeoutError: too many look-ups are under way already.
        socket.gaierror: there is no such host, or it cannot be said.
        OSError: the look-up failed.
        UnicodeError: it is no name of a host.
    """
    if not _places.acquire(blocking=False):
        raise TimeoutError(f"{MOST} names are being looked up already")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()

    def tell(found: Found | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error:
            answer.set_exception(error)
        else:
            answer.set_result(found or [])

    def ask() -> None:
        found: Found | None = None
        failed: Exception | None = None
        try:
            found = cast("Found", socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed = error
        finally:
            _places.release()
        with contextlib.suppress(RuntimeError):  # The loop ended meanwhile.
            loop.call_soon_threadsafe(tell, found, failed)

    threading.Thread(target=ask, daemon=True, name="look-up").start()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in await answer))
