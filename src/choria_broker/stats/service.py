"""Everything a broker measures, as metrics in its registry."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from choria_broker.access.waiting import Waiting
from choria_broker.background import beside
from choria_broker.build_info import build
from choria_broker.companions.reports import CompanionReport
from choria_broker.errors import NotReadyError
from choria_broker.host.facts import FileFact, HostUse
from choria_broker.host.succession import Succession
from choria_broker.host.use import read_use
from choria_broker.log.outlet import Outlet
from choria_broker.settings.broker import Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.findings import Finding
from choria_broker.stats.acquaintance import Acquaintance
from choria_broker.stats.authorities import Authority, Uses, authorities, uses
from choria_broker.stats.certificates import Certificate, Source, certificates, sources
from choria_broker.stats.disk import StoreDisk
from choria_broker.stats.headroom import Headroom, headroom, most_connections
from choria_broker.stats.history import History, Kept
from choria_broker.stats.history import Left as LeftHistory
from choria_broker.stats.link_book import Entry, LinkBook
from choria_broker.stats.link_troubles import LinkTroubles
from choria_broker.stats.links import Link, links
from choria_broker.stats.membership import Learnt
from choria_broker.stats.parts import Parts
from choria_broker.stats.poller import INTERVAL, LATELY, Poller
from choria_broker.stats.readings import Readings
from choria_broker.stats.seen import of_counts, of_readings
from choria_broker.stats.tallies import Tallies
from choria_broker.values import replace
from choria_broker.wording import without_credentials

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from choria_broker.stats.families import Family

    Registry = CollectorRegistry


class _Left(msgspec.Struct, frozen=True):
    """What is left to the next program."""

    tallies: Tallies
    learnt: Learnt
    names: tuple[tuple[Endpoint, str], ...] = ()
    log_lines_dropped: int = 0
    links: tuple[Entry, ...] = ()
    history: LeftHistory | None = None


_LEFT = "statistics"

_FIRST_LOOK = 1.0
"""Seconds that a disk has to tell how much is free before the start goes on."""


class BrokerStatistics:
    """What a broker measures about its engine and itself.

    Attributes:
        poller: the last readings of the engine.
        acquaintance: who the other members of the cluster are.
        tallies: what the parts of the broker count for the families all Choria programs have.
        certificates: those the broker works with, as the files were when last read.
        use: what the processes used of the host at the last count; None before the first.
        authorities: the CAs of those files, and what hung on them at the last count; None before the first.
        interval: seconds between two polls of the engine.
        news: called after each reading.
        disk: the disk of the store.
        link_troubles: why links ended, or do not come about.
        history: the last hour.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        *,
        srv_lookups: int = 0,
        interval: float = INTERVAL,
    ) -> None:
        """Register the metrics.

        Args:
            settings: what the broker was told.
            parts: those that count what is shown.
            srv_lookups: SRV records that were asked for while the settings were read.
            interval: seconds between two polls of the engine.
        """
        self._parts = parts
        self.acquaintance = Acquaintance(settings)
        self.link_troubles = LinkTroubles()
        self._book = LinkBook()
        self.apply(settings, ())
        self.disk = StoreDisk()
        self.news: Callable[[], None] = lambda: None
        self.poller = Poller(lambda: parts.engine.pages, interval=interval, heard=self._heard)
        self.tallies = Tallies(srv_lookups=srv_lookups)
        self.certificates: tuple[Certificate, ...] = ()
        self.authorities: Uses | None = None
        self.use: HostUse | None = None
        self._trusted: tuple[Authority, ...] = ()
        self.interval = interval
        self.history = History(interval)
        self._counted_at: float | None = None

    @property
    def ended(self) -> Mapping[str, int]:
        """Sessions that were ended because of revocation or expiry, by cause."""
        return self._parts.ended

    @property
    def expiring_tokens(self) -> Mapping[tuple[str, str], int]:
        """Sessions whose token ends within a day, by organization and key of the issuer."""
        return self._parts.sessions.expiring

    @property
    def provisioning(self) -> Waiting | None:
        """Who waits for provisioning; None on a broker that has none."""
        return self._parts.sessions.provisioning

    @property
    def companions(self) -> tuple[CompanionReport, ...]:
        """How adapters and the federation broker are."""
        return self._parts.companions.reports

    @property
    def headroom(self) -> tuple[Headroom, ...]:
        """How much of everything that is limited is used."""
        return headroom(self._settings.network, self.poller.latest, self.use)

    @property
    def most_connections(self) -> int:
        """How many clients can really connect."""
        return most_connections(self._settings.network, self.use)

    @property
    def silent(self) -> bool:
        """The engine has not answered lately, neither on the gate nor, where they are read, with its pages."""
        counted = self._counted_at
        late = counted is not None and time.monotonic() - counted > LATELY * self.interval
        return late or self.poller.answering is False

    @property
    def links(self) -> tuple[Link, ...]:
        """Every link to another broker, that the configuration asks for or that came about, and how it is."""
        return self._book.with_history(self._links(self.poller.latest))

    def apply(
        self,
        settings: Settings,
        findings: tuple[Finding, ...],
        pending: Sequence[str] = (),
        files: Mapping[Path, FileFact] | None = None,
    ) -> None:
        """Take over what comes into force.

        Args:
            settings: what the broker is told.
            findings: what was found while that was read.
            pending: keys of what waits for a restart.
            files: those that the settings name, as they are in force; by now they may be others.
        """
        self._settings, self._findings, self._pending, self._files = settings, findings, pending, files or {}
        self.acquaintance.apply(settings)
        self.link_troubles.ports = settings.network.dialled_ports

    def remember(self, succession: Succession) -> None:
        """Tell the next program what was counted and learnt."""
        learnt = self.acquaintance.learnt
        nameless = replace(learnt, names={})
        names = tuple(learnt.names.items())
        dropped, history = Outlet.dropped_by_all, self.history.left
        succession.tell(_LEFT, _Left(self.tallies, nameless, names, dropped, self._book.entries, history))

    def recall(self, succession: Succession) -> None:
        """Go on with what the program before has counted and learnt."""
        left = succession.told(_LEFT, _Left)
        if left:
            self.tallies = replace(left.tallies, srv_lookups=left.tallies.srv_lookups + self.tallies.srv_lookups)
            self.acquaintance.learnt = replace(left.learnt, names=dict(left.names))
            Outlet.dropped_by_all += left.log_lines_dropped
            self._book.entries = left.links
            if left.history:
                self.history.go_on(left.history)

    async def read_certificates(self) -> None:
        """Look anew when the certificates expire, and what hangs on the CAs among them."""
        self.certificates, self._trusted = await asyncio.to_thread(_certificates, sources(self._settings), self._files)
        await self._count()

    @contextlib.asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """Measure as long as the context lasts; enter it when the engine is ready."""
        await self.read_certificates()
        await self.disk.look(self._settings.network.streams.store, _FIRST_LOOK)
        async with self._counting():
            if not self._parts.engine.has_pages:
                yield
                return
            async with self.acquaintance.made(), self.poller.polling():
                yield

    @contextlib.asynccontextmanager
    async def _counting(self) -> AsyncIterator[None]:
        """Count at intervals what hangs on which CA, as long as the context lasts."""
        async with beside(self._count_regularly(), "count by authority"):
            self._counted_at = time.monotonic()
            try:
                yield
            finally:
                self._counted_at = None

    async def _count_regularly(self) -> None:
        while True:
            await asyncio.sleep(self.interval)
            await self.disk.look(self._settings.network.streams.store, self.interval)
            await self._count()

    async def _count(self) -> None:
        with contextlib.suppress(NotReadyError):  # The next count comes soon; what was counted stays with its time.
            counts = await self._parts.engine.authorities()
            self.use = await asyncio.to_thread(read_use, os.getpid(), self._parts.engine.pid)
            self._counted_at, now = time.monotonic(), time.time()
            self.authorities = uses(self._trusted, counts, now)
            self._keep_counts(now)

    def _keep_counts(self, now: float) -> None:
        latest, by_engine = self.poller.latest, self._settings.network.operator is not None
        logins = (latest.server.total_connections if latest else None) if by_engine else None
        seen = of_counts(self._parts.audit, self.use, self.provisioning, logins)
        self.history.take(now, Kept.COUNTED_AT, seen)

    def _heard(self, readings: Readings) -> None:
        self.history.take(readings.time, Kept.READ_AT, of_readings(readings))
        self.acquaintance.heard(readings)
        resolved = self.acquaintance.addresses
        self._book.seen(self._links(readings), self.link_troubles.latest, readings.time, resolved)
        self.news()

    def _links(self, readings: Readings | None) -> tuple[Link, ...]:
        return links(self._settings.network, readings, self.acquaintance.membership)

    def hear(self, line: str) -> None:
        """Take a line of the engine's log."""
        if self.link_troubles.hear(without_credentials(line), time.time()):
            self.poller.soon()

    @functools.cached_property
    def registry(self) -> Registry:
        """All metrics, those of this process too; the library is loaded when somebody asks, or with the port's."""
        from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415

        from choria_broker.stats.collector import FamilyCollector  # noqa: PLC0415

        registry = CollectorRegistry()
        registry.register(FamilyCollector(self._families))
        ProcessCollector(registry=registry)
        return registry

    def page(self) -> bytes:
        """Write all metrics; any thread may ask."""
        from choria_broker.stats.exposition import exposition  # noqa: PLC0415 - as above

        return exposition(self.registry)

    def _families(self) -> tuple[Family, ...]:
        from choria_broker.stats.measured import Measured  # noqa: PLC0415 - nobody needs them before somebody asks
        from choria_broker.stats.metrics import families  # noqa: PLC0415 - the same
        from choria_broker.stats.revoked import Revoked  # noqa: PLC0415 - the same

        parts, settings = self._parts, self._settings
        changes = parts.health_changes()
        measured = Measured(
            identity=settings.identity,
            sha=build().sha,
            audit=parts.audit,
            gate=parts.engine.counters,
            key_processes=parts.engine.keys.counts,
            streams=parts.streams,
            tallies=self.tallies,
            log_lines_dropped=Outlet.dropped_by_all,
            figures=parts.figures(),
            pending_restart=self._pending,
            revoked=Revoked(settings.network.revocation, time.time(), parts.ended),
            provisioning=self.provisioning,
            expiring_tokens=self.expiring_tokens,
            headroom=self.headroom,
            health=parts.health(),
            health_since=changes.since,
            health_changes=changes.counts,
            findings=self._findings,
            unverified_account=bool(settings.network.unverified_account),
            certificates=self.certificates,
            authorities=self.authorities,
            membership=self.acquaintance.membership,
            links=self.links,
            readings=self.poller.latest,
            store=str(settings.network.streams.store or ""),
            store_free=self.disk.free,
            companions=parts.companions.reports,
            companion_counts=parts.companions.counts(),
        )
        return families(measured)


def _certificates(
    wanted: Sequence[Source], in_force: Mapping[Path, FileFact]
) -> tuple[tuple[Certificate, ...], tuple[Authority, ...]]:
    files = []
    for source in wanted:
        # A file that is gone is a finding of the configuration.
        with contextlib.suppress(OSError):
            fact = in_force.get(source.file)
            files.append((source, fact.content if fact else source.file.read_bytes()))
    return certificates(files), authorities(files)
