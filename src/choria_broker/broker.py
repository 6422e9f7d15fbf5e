"""The broker: what starts in which order, and what stops in which order. Read this first.

settings ── render ──► engine process ◄── gate ── policy
                            │                        └── audit
                            └── statistics application
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from choria_broker.announcements import announcements
from choria_broker.config.load import Loaded, load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control import server as control
from choria_broker.engine.ports import occupied
from choria_broker.engine.running import Limits
from choria_broker.errors import ConfigurationError, root_cause
from choria_broker.facade import BrokerFacade
from choria_broker.host.preparation import prepare
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.parts import BrokerParts, Pace
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding
from choria_broker.stats.poller import INTERVAL
from choria_broker.streams.keeper import Timers
from choria_broker.streams.standard import stream_accounts
from choria_broker.web.port import statistics_port

_log = component("network")


class NetworkBroker(BrokerFacade):
    """One network broker: an engine, the policy behind its gate, and the statistics port.

    Use ``async with broker:`` to have it ready on entry and stopped on exit, or ``await broker.run()`` to serve until
    ``broker.stop()`` is called. A broker runs once. What else can be asked of it is in ``BrokerFacade``.
    """

    def __init__(  # noqa: PLR0913 - all but the first are for tests, and for other ways to start than the usual one
        self,
        settings: Settings,
        *,
        findings: tuple[Finding, ...] = (),
        overrides: Overrides | None = None,
        limits: Limits | None = None,
        timers: Timers | None = None,
        poll_interval: float = INTERVAL,
        loaded: Loaded | None = None,
        succession: Succession | None = None,
    ) -> None:
        """Validate everything that can be validated without opening a port.

        Args:
            settings: what the broker is to be.
            findings: what was found while the settings were read.
            overrides: choices of the command line with which the settings were read.
            limits: other deadlines and bounds than the usual ones.
            timers: other deadlines than the usual ones for the standard streams.
            poll_interval: seconds between two readings of the engine's statistics.
            loaded: what the settings were made from; without it no file is watched.
            succession: has what the program before left, after an upgrade, and takes what this one leaves.

        Raises:
            ConfigurationError: something keeps the broker from starting.
            EngineMissingError: there is no engine.
        """
        pace = Pace(limits, timers, poll_interval)
        made = BrokerParts(settings, findings, overrides or Overrides(), loaded, pace, succession or Succession())
        super().__init__(made)

    @classmethod
    def from_file(cls, path: Path | str, overrides: Overrides | None = None) -> Self:
        """Read a Choria configuration file and make the broker it describes.

        Raises:
            ConfigurationError: the file keeps the broker from starting.
            EngineMissingError: there is no engine.
        """
        overrides = overrides or Overrides()
        loaded = load(Path(path), overrides)
        return cls.from_loaded(loaded, overrides)

    @classmethod
    def from_loaded(cls, loaded: Loaded, overrides: Overrides, succession: Succession | None = None) -> Self:
        """Make the broker that a configuration describes which was read with some choices of the command line.

        Args:
            loaded: what was read.
            overrides: the choices.
            succession: has what the program before left, after an upgrade, and takes what this one leaves.

        Raises:
            ConfigurationError: it keeps the broker from starting.
            EngineMissingError: there is no engine.
        """
        if loaded.settings is None:
            raise ConfigurationError(loaded.findings)
        return cls(loaded.settings, findings=loaded.findings, overrides=overrides, loaded=loaded, succession=succession)

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        """From nothing bound to everything stopped."""
        succession = self.succession
        prepare(self.settings)
        if not succession.follows:
            await self._begin()
        try:
            async with (
                control.serve(self.settings.source, self._parts.control_sources(self.upgrade), succession=succession),
                self.audit.summing_up(lambda: succession.leaving),
                self.hand_over.engine_running(self._parts.engine_handlers(), self.audit, self._stop),
                self.statistics.live(),
                statistics_port(self.http_app, self.settings, succession, self.loaded),
                self.streams.kept(ready=self.ports.listening),
                self._parts.companions.kept(),
                self._looking_after(),
            ):
                if succession.follows:
                    self._started.set()
                    await self.hand_over.arrive()
                    self._parts.followup.reloaded()
                elif not self._stop.is_set():
                    self._started.set()
                    for account in stream_accounts(self.settings):
                        _log.info(f"Enabling Choria Streams for account {account}")
                yield
        except BaseExceptionGroup as group:
            raise root_cause(group) from None
        finally:
            self._started.clear()
            if succession.leaving:
                self.hand_over.remember()
            else:
                self.streams.engine_ended()
                alone = not self.settings.network_enabled
                _log.warning("Choria Broker shut down" if alone else "Choria Network Broker shut down")

    @contextlib.asynccontextmanager
    async def _looking_after(self) -> AsyncIterator[None]:
        """Do what goes on beside; apart from the rest, since Python 3.12.1 crashes on so many blocks in each other."""
        succession = self.succession
        async with (
            self._parts.neighbours.answering(),
            self.census.counted(),
            self.departures.told(lambda: succession.leaving),
            self.enforcement.kept(),
            self._parts.followup.served(),
            self.reloads.served(),
            self.watcher.watching(),
            self.drains.served(lambda: succession.leaving),
            self._reporter.watch.watching(),
            self._parts.publisher.publishing(),
            self._connections_closed(),
        ):
            yield

    async def _begin(self) -> None:
        """Look whether there is anything in the way, and say what is about to start."""
        taken = occupied(self.settings)
        if taken:
            raise ConfigurationError(taken)
        self._in_force.add(await self.streams.before_engine(self._in_force.state.findings))
        if not self.settings.network_enabled:
            return
        _log.info("Starting Network Broker")
        for line in announcements(self.settings):
            _log.log(line.level, line.text)
