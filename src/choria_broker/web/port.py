"""The statistics port: taken before the broker is ready, and served a moment later.

The HTTP library takes as long to load as the rest of the broker. So a broker without the port never loads it, and one
with it does so once connections are served, in a thread; who asks meanwhile waits in the kernel's queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

from choria_broker.background import beside
from choria_broker.host.listening import bindable, bound
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.settings.broker import Settings
from choria_broker.settings.hostnames import authority

if TYPE_CHECKING:
    from aiohttp import web

_log = component("network")

_QUEUE = 128
"""Connections that wait in the kernel until they are served."""

# The first page may be asked for when the files of another version lie there.
_LIBRARY = ("choria_broker.web.app", "choria_broker.web.serving", "choria_broker.stats.collector")


@contextlib.asynccontextmanager
async def statistics_port(
    make: Callable[[], web.Application],
    settings: Settings,
    succession: Succession | None = None,
    served: asyncio.Event | None = None,
) -> AsyncIterator[None]:
    """Serve an application on the statistics port, if there is one; on loopback only under names that lead there.

    Args:
        make: makes the application.
        settings: what the broker was told.
        succession: has the listening sockets of the program before, and takes them over when this one leaves.
        served: set as soon as everything is loaded that is needed.

    Raises:
        OSError: the port cannot be had.
    """
    statistics, served = settings.statistics, served or asyncio.Event()
    if not statistics.port:
        _log.info("Statistics gathering disabled, set plugin.choria.stats_port")
        served.set()
        yield
        return
    succession, ended = succession or Succession(), asyncio.Event()
    with contextlib.ExitStack() as taken:
        listening = {}
        # Settings that were not read from a file may have a name here.
        for address in [each for place in statistics.places for each in bindable(place).addresses or (place,)]:
            inherited = succession.inherited_socket(f"statistics {address}")
            listening[address] = taken.enter_context(inherited or bound(address, statistics.port))
            listening[address].listen(_QUEUE)
        work = _serve(make, settings, listening, succession, served, ended)
        async with beside(work, "statistics port") as serving:
            place = authority(statistics.address, statistics.port)
            _log.info(f"Starting statistic reporting Prometheus statistics on http://{place}/choria/")
            try:
                yield
            finally:
                ended.set()
                await asyncio.wait({serving})


async def _serve(
    make: Callable[[], web.Application],
    settings: Settings,
    listening: Mapping[str, socket.socket],
    succession: Succession,
    served: asyncio.Event,
    ended: asyncio.Event,
) -> None:
    for module in _LIBRARY:
        await asyncio.to_thread(importlib.import_module, module)
    from choria_broker.web.host_guard import is_loopback, only_known_hosts  # noqa: PLC0415 - loaded just now
    from choria_broker.web.serving import serve  # noqa: PLC0415

    app = make()
    if all(map(is_loopback, listening)):
        app.middlewares.append(only_known_hosts(settings.statistics.address, settings.identity))
    async with serve(app, tuple(listening), settings.statistics.port, succession=succession, taken=listening):
        served.set()
        await ended.wait()
