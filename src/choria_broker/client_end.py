"""The NATS library where it is needed, and the end of a client, also of one that is given up.

The library takes long to load, and 14 MB with the HTTP library that it draws in; a broker without streams and other
members never needs it. So it is loaded for the first connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nats.aio.client import Client

PATIENCE = 5.0
"""Seconds in which a client that was connected closes."""


async def loaded() -> None:
    """Return when the library is loaded; that goes on beside the loop."""
    await asyncio.to_thread(importlib.import_module, "nats.aio.client")


def client_errors(*others: type[BaseException]) -> tuple[type[BaseException], ...]:
    """Return other errors and what the library raises; while it is not loaded, nothing can come from it."""
    errors = sys.modules.get("nats.errors")
    return (*others, errors.Error) if errors else others


def is_without_responders(error: BaseException) -> bool:
    """Tell whether an error of the library says that nobody listens to a subject."""
    errors = sys.modules.get("nats.errors")
    return errors is not None and isinstance(error, errors.NoRespondersError)


async def let_go(client: Client, patience: float = PATIENCE) -> None:
    """Close a client for good, also one that is given up while it connects.

    The library's own way leaves the socket open when it is cancelled, and when a refusal has begun another one that
    has not ended yet: then there is nobody left who would close it. After a TLS handshake that failed it waits for
    ever.

    Args:
        client: the client.
        patience: seconds for the library's own way.
    """
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
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
