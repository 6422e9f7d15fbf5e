"""Connections of the broker's own that are given up leave no socket behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from choria_broker.client_end import let_go
from choria_broker.engine.bridge import connected

INFO = b'INFO {"server_id":"X","version":"2.15.0","max_payload":1048576}\r\n'
REFUSAL = b"-ERR 'Authorization Violation'\r\n"

Scene = Callable[[str], Coroutine[None, None, None]]


async def refused(address: str) -> None:
    with pytest.raises(nats.errors.Error):
        await connected(address, {"allow_reconnect": False, "connect_timeout": 20})


def cancelled_after(turns: int) -> Scene:
    async def cancelled(address: str) -> None:
        attempt = asyncio.get_running_loop().create_task(connected(address, {"allow_reconnect": False}))
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.sleep(0)
        attempt.cancel()  # As a broker that stops does to an attempt that has run out of time.
        with contextlib.suppress(asyncio.CancelledError):
            await let_go(await attempt)

    return cancelled


async def closed_by_somebody_else(address: str) -> None:
    client = await connected(address, {"allow_reconnect": False})
    await client._process_err("'Authorization Violation'")  # Has a task of its own close the client,
    await asyncio.sleep(0)  # which has begun by now,
    await let_go(client)  # and may be cancelled before it comes to the socket.
    transport: Any = client._transport
    assert transport._writer.transport.is_closing()


@contextlib.contextmanager
def server(answer: bytes, address: str) -> Iterator[None]:
    """Speak as far as a client needs to be let in or refused; it lives beside the loop, so that it keeps none awake."""

    def speak() -> None:
        with contextlib.suppress(OSError):  # The client may be faster to give up.
            peer, _ = listener.accept()
            with peer, peer.makefile("rb") as lines:
                peer.sendall(INFO)
                for line in lines:
                    if line.startswith(b"PING"):
                        peer.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(1)
        thread = threading.Thread(target=speak)
        thread.start()
        yield
        thread.join(10)


@pytest.mark.parametrize(
    ("answer", "scene"),
    [
        (REFUSAL, refused),
        (b"PONG\r\n", closed_by_somebody_else),
        *((b"PONG\r\n", cancelled_after(turns)) for turns in range(8)),
    ],
)
def test_no_socket_is_left(answer: bytes, scene: Scene, tmp_path: Path) -> None:
    """The loop ends at once, so that nothing can close what was forgotten."""
    address = os.path.relpath(tmp_path / "bridge")  # The full path may be longer than a socket's may be.
    with warnings.catch_warnings(record=True) as told, server(answer, address):
        warnings.simplefilter("always")
        asyncio.run(scene(address))
        gc.collect()
    assert [str(each.message) for each in told] == []
