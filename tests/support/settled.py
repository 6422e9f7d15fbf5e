"""What a broker has recorded, once its engine has told of everything that a test knows of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from choria_broker.access.request import ConnectionKind
from choria_broker.audit.decided import Decision
from choria_broker.broker import NetworkBroker
from choria_broker.errors import NotReadyError

_DEADLINE = 60.0


async def settle(broker: NetworkBroker) -> None:
    """Wait, while the broker runs, until it knows who is in: the engine answers after what it told before."""
    async with asyncio.timeout(_DEADLINE):
        while True:
            try:
                await broker._engine.sessions()
            except NotReadyError:  # It has less time to answer than a busy machine needs at times.
                await asyncio.sleep(0.05)
                continue
            return


async def recent(broker: NetworkBroker, *, own: bool = False) -> list[Decision]:
    """Return the latest decisions, oldest first, among them those about connections that were let in before this.

    Args:
        broker: whose.
        own: with those about connections of its own, which it makes when it comes to that.
    """
    await settle(broker)
    return [each for each in broker.audit.recent if own or each.kind != ConnectionKind.IN_PROCESS.value]


async def eventually(happened: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so that nobody tells of."""
    async with asyncio.timeout(_DEADLINE):
        while not await happened():
            await asyncio.sleep(0.01)
