"""Getting to know the members of the cluster, so that a broker does not wait for itself."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from choria_broker.background import beside
from choria_broker.log.structured import component
from choria_broker.settings.broker import Settings
from choria_broker.stats.meeting import MOST, servers_at, tls_context
from choria_broker.stats.membership import Learnt, Membership, membership, unknown
from choria_broker.stats.readings import Readings


class Acquaintance:
    """What a broker knows of the members of its cluster; it lives as long as the broker.

    Attributes:
        learnt: what it learnt of them.
        addresses: those of places where it asked, of those that are in the list of peers.
    """

    def __init__(self, settings: Settings) -> None:
        """Know nothing yet but the settings."""
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.apply(settings)
        self.learnt = Learnt()
        self._asked = 0
        self._last: Readings | None = None
        self._news = asyncio.Event()
        self._log = component("statistics")

    def apply(self, settings: Settings) -> None:
        """Take over what comes into force."""
        self._tls = settings.tls
        self._cluster = settings.network.cluster
        listed = {entry.authority for entry in self._cluster.routes}
        self.addresses = {place: found for place, found in self.addresses.items() if place in listed}

    @property
    def membership(self) -> Membership:
        """Who the other members are; nobody is connected while there are no readings."""
        return membership(self._cluster, self._last.routes if self._last else (), self.learnt)

    def heard(self, readings: Readings) -> None:
        """Take in what a poll read."""
        self._last = readings
        self.learnt = self.learnt.seen(self._cluster, readings.routes)
        self._news.set()

    @contextlib.asynccontextmanager
    async def made(self) -> AsyncIterator[None]:
        """Ask at peer ports that nobody is known at, after each poll, as long as the context lasts."""
        async with beside(self._ask_around(), "acquaintance"):
            try:
                yield
            finally:
                self._last = None

    async def _ask_around(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._ask()

    async def _ask(self) -> None:
        readings = self._last
        places = unknown(self._cluster, readings.routes, self.learnt) if readings else ()
        if not readings or not readings.server.id or not places:
            return
        context: ssl.SSLContext | None = None
        if self._cluster.tls and self._tls.everywhere:
            try:
                context = await asyncio.to_thread(tls_context, self._tls)
            except OSError as error:
                self._log.debug("Cannot find out which broker answers at each peer port", why=str(error))
            if context is None:
                return
        # Of more places than are asked at a time, each has its turn.
        first = self._asked % len(places)
        self._asked += MOST
        for place, answer in (await servers_at((*places[first:], *places[:first]), context)).items():
            if answer.addresses:
                self.addresses[place.authority] = answer.addresses
            if not answer.server:
                self.learnt = self.learnt.missed(place, nowhere=answer.nowhere)
                continue
            itself = answer.server == readings.server.id
            self.learnt = self.learnt.met(place, itself=itself, name=answer.name)
            if itself:
                self._log.info(f"{place.authority} in the list of peers is this broker")
