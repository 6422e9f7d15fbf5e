"""Everything a broker measures, as metrics in its registry."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector

from choria_broker import __version__
from choria_broker.config.findings import Finding
from choria_broker.config.settings import Settings
from choria_broker.engine.counters import GateCounters
from choria_broker.stats import choria, own
from choria_broker.stats.certificates import Certificate, Source, certificates, sources
from choria_broker.stats.collector import FamilyCollector
from choria_broker.stats.families import Family, network
from choria_broker.stats.links import Link, links
from choria_broker.stats.poller import INTERVAL, Poller

REVISION = "unknown"
"""Revision of the source that this program was built from."""

RELOAD_OUTCOMES = ("applied", "partial", "refused")
"""What can become of a reload: all in force, parts wait for a restart, nothing in force."""


class BrokerStatistics:
    """What a broker measures about its engine and itself.

    Attributes:
        poller: the last readings of the engine.
        tallies: what the parts of the broker count for the families all Choria programs have.
        reloads: reloads of the configuration by outcome.
        certificates: those the broker works with, as the files were when last read.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        settings: Settings,
        findings: Iterable[Finding],
        *,
        monitoring_port: Callable[[], int],
        gate: Callable[[], GateCounters],
        srv_lookups: int = 0,
        interval: float = INTERVAL,
    ) -> None:
        """Register the metrics.

        Args:
            registry: where they are registered.
            settings: what the broker was told.
            findings: what was found while the settings were read.
            monitoring_port: tells the loopback port of the engine's monitoring listener, 0 while there is no engine.
            gate: tells what happened at the gate.
            srv_lookups: SRV records that were asked for while the settings were read.
            interval: seconds between two polls of the engine.
        """
        self._settings = settings
        self._findings = tuple(findings)
        self._gate = gate
        self.poller = Poller(monitoring_port, interval=interval)
        self.tallies = choria.Tallies(srv_lookups=srv_lookups)
        self.reloads: collections.Counter[str] = collections.Counter(dict.fromkeys(RELOAD_OUTCOMES, 0))
        self.certificates: tuple[Certificate, ...] = ()
        registry.register(FamilyCollector(self._families))
        ProcessCollector(registry=registry)

    @property
    def links(self) -> tuple[Link, ...]:
        """Every remote of the configuration, and whether it is connected; none while there are no readings."""
        readings = self.poller.latest
        return links(self._settings.network, readings) if readings else ()

    def configured(self, settings: Settings, findings: Iterable[Finding]) -> None:
        """Take over settings that came into force, and what was found while they were read."""
        self._settings, self._findings = settings, tuple(findings)

    async def read_certificates(self) -> None:
        """Look anew when the certificates expire."""
        self.certificates = await asyncio.to_thread(_certificates, sources(self._settings))

    @contextlib.asynccontextmanager
    async def live(self, *, polling: bool) -> AsyncIterator[None]:
        """Measure as long as the context lasts; enter it when the engine is ready.

        Args:
            polling: read the engine's monitoring pages.
        """
        await self.read_certificates()
        async with self.poller.polling() if polling else contextlib.nullcontext():
            yield

    def _families(self) -> Iterable[Family]:
        settings, identity = self._settings, self._settings.identity
        yield from choria.common(self.tallies, identity, __version__, REVISION)
        yield from own.gate(self._gate(), identity)
        yield from own.configuration(settings, self._findings)
        yield own.expiries(self.certificates, identity)
        yield own.reloads(self.reloads, identity)
        yield own.peers_configured(len(settings.network.cluster.routes), identity)
        readings = self.poller.latest
        if readings:
            yield from network(readings, identity)
            yield from own.connected(readings.server.remotes, self.links, identity)


def _certificates(wanted: Sequence[Source]) -> tuple[Certificate, ...]:
    files = []
    for source in wanted:
        # A file that is gone was read at the start, or is a finding of the configuration.
        with contextlib.suppress(OSError):
            files.append((source, source.file.read_bytes()))
    return certificates(files)
