"""What stands in the place of the engine where no network broker runs: nobody is connected, and nothing can fail."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from choria_broker.access.session import Busy, BusySession, Departed, Session
from choria_broker.engine.authorities import Count
from choria_broker.engine.conf.render import Rendered
from choria_broker.engine.held import HeldGate
from choria_broker.engine.life import EngineLife
from choria_broker.engine.running import EngineHandlers
from choria_broker.errors import NotReadyError
from choria_broker.host.processes import Processes
from choria_broker.settings.broker import Settings
from choria_broker.settings.operator import Operator

if TYPE_CHECKING:
    from nats.aio.client import Client

_NONE = "no network broker runs in this process"


class NoEngine(EngineLife):
    """The engine of a process with adapters or the federation broker only."""

    def __init__(self) -> None:
        """Nothing is looked for."""
        super().__init__()
        self.has_pages = False
        self.nats = ""
        self.processes = Processes(lambda: (os.getpid(),))

    @staticmethod
    def _executable() -> Path:
        return Path()

    @property
    def alive(self) -> bool:
        """Nothing is missing."""
        return True

    @property
    def pages(self) -> str:
        """There are none."""
        return ""

    @contextlib.asynccontextmanager
    async def running(
        self,
        settings: Settings,
        rendered: Rendered,
        handlers: EngineHandlers,
        stop: asyncio.Event,
        held: HeldGate | None = None,
    ) -> AsyncIterator[None]:
        """Do nothing."""
        del settings, rendered, handlers, stop, held
        yield

    async def change(self, settings: Settings, rendered: Rendered) -> None:
        """Agree."""
        del settings, rendered

    async def revoke(self, settings: Settings) -> None:
        """Agree."""
        del settings

    def renew(self, generation: int) -> None:
        """Agree."""
        del generation

    async def authorities(self) -> tuple[Count, ...]:
        """Count nobody."""
        return ()

    async def sessions(self, *, traffic: bool = False) -> tuple[Session, ...]:
        """List nobody."""
        del traffic
        return ()

    async def busiest(self, most: int, by: str) -> tuple[tuple[BusySession, ...], Busy]:
        """List nobody."""
        del most, by
        return (), Busy()

    async def departed(self, after: int = 0) -> tuple[Departed, ...]:
        """List nobody."""
        del after
        return ()

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        """End nothing."""
        del connections, reason
        return 0

    async def drain(self, serial: int, over: float | None) -> NoReturn:
        """Refuse.

        Raises:
            NotReadyError: always.
        """
        del serial, over
        raise NotReadyError(_NONE)

    async def hold(self, deadline: float) -> NoReturn:
        """Refuse.

        Raises:
            NotReadyError: always.
        """
        del deadline
        raise NotReadyError(_NONE)

    async def connect(
        self, account: str, operator: Operator | None, accounts: Collection[str], options: Mapping[str, Any]
    ) -> Client:
        """Refuse.

        Raises:
            NotReadyError: always.
        """
        del account, operator, accounts, options
        raise NotReadyError(_NONE)
