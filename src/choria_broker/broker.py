"""The broker: what starts in which order, and what stops in which order. Read this first.

settings ── render ──► engine process ◄── gate ── policy
                            │                        └── audit
                            └── statistics application
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from choria_broker.access.decision import Decider
from choria_broker.acts import Operated, broker_acts
from choria_broker.announcements import announcements
from choria_broker.config.load import Loaded, load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control import server as control
from choria_broker.control.event_acts import event_acts
from choria_broker.control.session_acts import session_acts
from choria_broker.control.stream_acts import Held, stream_acts
from choria_broker.engine.events import Ports
from choria_broker.engine.ports import occupied
from choria_broker.engine.running import Limits
from choria_broker.errors import ConfigurationError, NotReadyError, UpgradeError, root_cause
from choria_broker.host.preparation import prepare
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.parts import BrokerParts, Pace
from choria_broker.settings.accounts import CHORIA_ACCOUNT
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding
from choria_broker.stats.poller import INTERVAL
from choria_broker.status.document import UpgradeBegun, UpgradeReport
from choria_broker.status.drains import counted
from choria_broker.status.reloads import Trigger
from choria_broker.streams.keeper import Timers
from choria_broker.streams.standard import stream_accounts
from choria_broker.web.port import statistics_port

if TYPE_CHECKING:
    from aiohttp import web
    from nats.aio.client import Client

    from choria_broker.stats.service import Registry

_FROM_OUTSIDE = frozenset({"client", "websocket", "leafnode"})

_log = component("network")


class NetworkBroker:
    """One network broker: an engine, the policy behind its gate, and the statistics port.

    Use ``async with broker:`` to have it ready on entry and stopped on exit, or ``await broker.run()`` to serve until
    ``broker.stop()`` is called. A broker runs once.

    Attributes:
        audit: the trail of decisions.
        acts: what operators did.
        reloads: the one owner of its reloads.
        watcher: watches the files that the configuration names.
        drains: the one owner of its drains.
        sessions, departed, end_sessions: list who is connected and who was, and end some; as of ``engine.port.Engine``.
        enforcement: ends the sessions of those who are revoked.
        departures: tells of the end of each connection.
        streams: the standard streams, and what is wrong with their store.
        statistics: what it measures.
        census: counts of its sessions.
        upgrade: runs the installed program in its place, asked by somebody; whoever owns the process sets it before
            the start.
        hand_over: how it goes on with what another program has left, and leaves its own.
        loaded: set as soon as the code of everything is loaded that begins with the broker.
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
        parts = BrokerParts(settings, findings, overrides or Overrides(), loaded, pace, succession or Succession())
        self._parts, self._in_force, self._engine, self._reporter = parts, parts.in_force, parts.engine, parts.reporter
        self.audit, self.reloads, self.watcher, self.drains = parts.audit, parts.reloads, parts.watcher, parts.drains
        self.acts = parts.acts
        self.enforcement, self.streams, self.statistics = parts.enforcement, parts.streams, parts.statistics
        self.hand_over, self.census, self.departures = parts.hand_over, parts.census, parts.departures
        self.sessions, self.departed = self._engine.sessions, self._engine.departed
        self.end_sessions = self._engine.end_sessions
        self.upgrade: Callable[[str], Awaitable[UpgradeBegun]] = _not_alone
        self._started, self._stop, self.loaded = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._connections = 0
        self._life: contextlib.AsyncExitStack | None = None

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

    @property
    def registry(self) -> Registry:
        """Its metrics."""
        return self.statistics.registry

    @property
    def settings(self) -> Settings:
        """What the broker was told, as far as it is in force."""
        return self._in_force.state.settings

    @property
    def is_tls(self) -> bool:
        """The client port uses TLS."""
        return self.settings.tls.enabled

    @property
    def is_verified_tls(self) -> bool:
        """The client port uses TLS and verifies the certificates clients present."""
        return self.settings.tls.enabled and self.settings.tls.verify_clients

    @property
    def started(self) -> bool:
        """Every listener is open."""
        return self._started.is_set()

    @property
    def policy(self) -> Decider:
        """The policy in force."""
        return Decider(self._in_force.state.policy)

    @property
    def engine_pages(self) -> str:
        """Address of the engine's monitoring pages in this process, a Unix socket; empty while there are none."""
        return self._engine.pages

    @property
    def ports(self) -> Ports:
        """Ports the engine listens on; all 0 before it is ready."""
        return self._engine.ports

    async def wait_ready(self, timeout: float) -> None:  # noqa: ASYNC109 - part of the promised interface
        """Wait until every listener is open.

        Args:
            timeout: seconds to wait.

        Raises:
            TimeoutError: it was not ready in time.
        """
        async with asyncio.timeout(timeout):
            await self._started.wait()

    @property
    def summary(self) -> str:
        """How it is, in a sentence or two."""
        if not self.started:
            return "It does not serve."
        return f"{counted(self._connections, 'connection')}. {self._reporter.health().sentence}"

    async def answers(self, within: float) -> None:
        """Have the engine answer, as a sign that it lives.

        Args:
            within: seconds it has.

        Raises:
            NotReadyError: it did not, or is not running.
        """
        try:
            async with asyncio.timeout(within):
                counts = await self._engine.authorities()
        except TimeoutError:
            raise NotReadyError(f"the engine did not answer within {within:.0f} s") from None
        self._connections = sum(each.count for each in counts if each.kind in _FROM_OUTSIDE)

    @property
    def succession(self) -> Succession:
        """What it has from the program before, and leaves to the next one."""
        return self.hand_over.succession

    def leave(self) -> None:
        """Ask a running broker to stop and to leave its engine to the next program; returns at once."""
        self.succession.leaving = True
        self.reloads.farewell = "the broker is being upgraded; what is installed by now reloads it then, see its log"
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Somebody asked the broker to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask a running broker to stop; returns at once."""
        self._stop.set()

    async def wait_stop(self) -> None:
        """Wait until somebody asks the broker to stop."""
        await self._stop.wait()

    async def run(self) -> None:
        """Serve until ``stop`` is called.

        Raises:
            ConfigurationError: a port is taken.
            EngineDiedError: the engine ended by itself.
            NotReadyError: the engine did not get ready.
            ForcedShutdownError: the engine had to be killed.
            GateError: the engine broke the gate's protocol.
        """
        async with self:
            await self.wait_stop()

    async def __aenter__(self) -> Self:
        """Start; raises what ``run`` raises."""
        if self._life is not None:
            raise RuntimeError("a broker can be run only once")
        self._life = contextlib.AsyncExitStack()
        await self._life.enter_async_context(self._living())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Stop; raises what ``run`` raises."""
        if self._life is None:
            raise RuntimeError("the broker was not started")
        return await self._life.__aexit__(kind, error, trace)

    def http_app(self) -> web.Application:
        """Make an application that serves Choria's pages and the engine's; it can be mounted in another."""
        from choria_broker.web.app import broker_app  # noqa: PLC0415 - brokers without the port do not need it

        return broker_app(lambda: self.settings, self._engine, self.statistics, self._reporter, self._parts.knowledge())

    async def reload(self) -> tuple[Finding, ...]:
        """Read everything again and put it in force as far as that is possible; connections are kept.

        Where something turned bad, nothing changes; in operator mode the account of a bad file stays as it was, and
        the rest changes. Settings that only a restart changes stay as they are. One reload waits for another, and
        those that are asked for meanwhile are one.

        Returns:
            What was found; of what there was to say before, only what asks for a look.

        Raises:
            ConfigurationError: the broker could not start with what was read, or not with all that it has; nothing
                has changed.
            ReloadError: the engine refuses the change; nothing has changed.
            NotReadyError: the broker is not running, or the engine did not answer in time.
        """
        outcome = await self.reloads.ask(Trigger("program"))
        if outcome.error is not None:
            raise outcome.error
        return outcome.findings

    async def connect(self, account: str = CHORIA_ACCOUNT, **options: Any) -> Client:
        """Connect a NATS client to this broker, without limits in its account.

        In operator mode it logs in with the credentials file that the operator's store has for the account, and may do
        what that says.

        Args:
            account: account of an organization issuer, or a declared one, to join in place of ``choria``. In operator
                mode the name or public key of an account; ``choria`` is then the one of the setting choria_account.
            options: passed on to the client's ``connect``.

        Raises:
            NotReadyError: the broker is not running, or has no credentials for the account.
        """
        return await self._parts.connect(account, **options)

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        """From nothing bound to everything stopped."""
        succession = self.succession
        prepare(self.settings)
        if not succession.follows:
            await self._begin()
        try:
            async with (
                control.serve(self.settings.source, self._sources(), succession=succession),
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

    def _sources(self) -> control.Sources:
        """Tell what answers on the control socket."""
        operated = Operated(
            self._engine,
            self.reloads,
            self.drains,
            network=lambda: self.settings.network,
            upgrade=self.upgrade,
            book=self.acts,
        )
        acts = {
            **broker_acts(operated),
            **session_acts(self._parts.desk, self._parts.neighbours),
            **stream_acts(Held(self._parts.connect, lambda: stream_accounts(self.settings), self.acts)),
            **event_acts(self._parts.events, self.settings.identity),
        }
        return control.Sources(self._reporter.status, self.audit.find, acts)

    async def look_at_engine(self) -> bool:
        """Find out whether the engine is older than the installed one; that is a pending restart then."""
        return await self._parts.look_at_engine()

    def tell_upgrade(self, report: UpgradeReport) -> None:
        """Have the status tell of an upgrade."""
        self._reporter.upgrade = report


async def _not_alone(_by: str) -> UpgradeBegun:
    raise UpgradeError("the broker runs inside another program, which has to be replaced in its own way")
