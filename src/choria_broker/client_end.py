"""The end of a NATS client, also of one that is given up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from nats.aio.client import Client


async def let_go(client: Client) -> None:
    """Close a client for good, also one that is given up while it connects.

    The library's own way leaves the socket open when it is cancelled, and when a refusal has begun another one that
    has not ended yet: then there is nobody left who would close it.
    """
    try:
        await client.close()
    finally:
        transport = client._transport  # noqa: SLF001 - there is no other way to the socket
        if transport is not None:
            transport.close()  # type: ignore[no-untyped-call] # of a library without types


@contextlib.contextmanager
def heeding_cancellation() -> Iterator[None]:
    """Have the current task end at the end of the context when it was cancelled in it.

    The library takes a cancellation for itself while it flushes. The task would go on, and a broker that stops would
    wait for it for ever.
    """
    try:
        yield
    finally:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise asyncio.CancelledError
