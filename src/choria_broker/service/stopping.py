"""What becomes of requests to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from choria_broker.broker import NetworkBroker
from choria_broker.drains import drained_first
from choria_broker.log.structured import component
from choria_broker.service.signals import NAMES
from choria_broker.settings import durations

_log = component("broker")


class Stop:
    """The stop of a process: the first request has the broker drain where that is wanted, a second cuts that short."""

    def __init__(self, broker: NetworkBroker, stop: Callable[[], None]) -> None:
        """Nobody wants it yet.

        Args:
            broker: drains.
            stop: asks everything to stop, also what is only starting.
        """
        self._broker = broker
        self._stop = stop
        self._wanted, self._hurry = asyncio.Event(), asyncio.Event()
        self._over = 0.0

    def ask(self, number: signal.Signals) -> None:
        """Take a request, in the event loop; returns at once."""
        if self._wanted.is_set():
            if self._over and not self._hurry.is_set():
                _log.warning(f"Not waiting for the drain any longer on {NAMES[number]}")
                self._hurry.set()
            else:
                _log.warning(f"Already shutting down, ignoring {NAMES[number]}")
            return
        network = self._broker.settings.network
        _log.info(f"Shutting down on {NAMES[number]}")
        _log.info(f"Setting forced shutdown to {durations.in_go(network.soft_shutdown_timeout)}")
        # One that follows another program has connections from its beginning.
        serves = self._broker.started or self._broker.succession.follows
        self._over = network.drain_on_stop if serves else 0.0
        self._wanted.set()
        if not self._over:
            self._stop()

    async def wanted(self) -> None:
        """Wait for the first request."""
        await self._wanted.wait()

    async def made_ready(self) -> None:
        """Drain where that is wanted, and ask everything to stop."""
        if self._over:
            await drained_first(self._broker.drains, self._over, "the stop", self._hurry)
            self._stop()
