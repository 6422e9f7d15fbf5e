"""Lets go of streams that were deleted on purpose while this broker was away.

A member that comes back finds streams in its store that its cluster does not have. The engine cannot tell whether
somebody has deleted them meanwhile, or whether the cluster has never known them, and so keeps their files. The cluster
can: the stream of advisories has a message for each deletion.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from choria_broker.client_end import client_errors, let_go
from choria_broker.errors import NotReadyError
from choria_broker.log.structured import component
from choria_broker.settings.streams import ADVISORIES
from choria_broker.streams.api import ApiError, StreamsApi, UnansweredError
from choria_broker.streams.keeper import Connect, Timers
from choria_broker.streams.store import KEPT
from choria_broker.streams.trouble import Trouble

_DELETED = "$JS.EVENT.ADVISORY.STREAM.DELETED."
_MOST_WAITING = 1000
_ATTEMPTS = 20
_LOOKS = 3
_DESCRIPTION = "meta.inf"


class Absence:
    """Asks about kept streams, one after the other.

    Args:
        store: directory of the settings.
        connect: connects to an account.
        forget: called with what is none any more.
        timers: deadlines and pauses.
    """

    def __init__(
        self, store: Path, connect: Connect, forget: Callable[[Trouble], None], timers: Timers | None = None
    ) -> None:
        """Nothing is asked yet."""
        self._store = store
        self._connect = connect
        self._forget = forget
        self._timers = timers or Timers()
        self._log = component("streams")
        self._waiting: asyncio.Queue[Trouble] = asyncio.Queue(_MOST_WAITING)

    def look_into(self, trouble: Trouble) -> None:
        """Have a stream that was kept asked about; beyond a bound it is just kept."""
        if trouble.absent:
            with contextlib.suppress(asyncio.QueueFull):
                self._waiting.put_nowait(trouble)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            trouble = await self._waiting.get()
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    if await self._settled(trouble) or attempt > _LOOKS:
                        break
                except client_errors(ApiError, UnansweredError, NotReadyError, OSError) as error:
                    self._log.debug(f"Cannot tell whether stream {trouble.stream} was deleted", why=str(error))
                await asyncio.sleep(self._timers.pause(attempt))

    async def _settled(self, trouble: Trouble) -> bool:
        """Ask about one stream; False when another look may tell more, for advisories take their time."""
        place = Path(trouble.place)
        created = await asyncio.to_thread(_created, place, self._store)
        if created is None:
            return True
        client = await self._connect(trouble.account, allow_reconnect=False, connect_timeout=self._timers.connect)
        try:
            deleted = await StreamsApi(client, self._timers.answer).last(ADVISORIES, f"{_DELETED}{trouble.stream}")
        finally:
            await let_go(client)
        if deleted is None or deleted <= created:
            return False
        await asyncio.to_thread(shutil.rmtree, place)
        self._forget(trouble)
        self._log.info(
            f"Stream {trouble.stream} was deleted while this broker was away; its files were removed",
            account=trouble.account,
            stream=trouble.stream,
            deleted=deleted.isoformat(timespec="seconds"),
        )
        return True


def _created(place: Path, store: Path) -> dt.datetime | None:
    """Tell when a kept stream was made; None when it is not where kept streams are, or does not say."""
    if place.parent != store / KEPT or place.is_symlink():
        return None
    try:
        description = json.loads((place / _DESCRIPTION).read_bytes())
        return dt.datetime.fromisoformat(description["Created"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
