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
from typing import Any, Self

from aiohttp import web
from nats.aio.client import Client

from choria_broker.access.decision import Decider
from choria_broker.announcements import announcements
from choria_broker.audit.trail import Audit
from choria_broker.config.load import Loaded, load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control import server as control
from choria_broker.control.peer_credentials import Peer
from choria_broker.control.protocol import DrainRequest, ReloadRequest, RevokeRequest, UpgradeRequest
from choria_broker.control.session_acts import session_acts
from choria_broker.drains import Drains
from choria_broker.enforcement.keeper import Enforcement
from choria_broker.engine.events import Ports
from choria_broker.engine.life import EngineLife
from choria_broker.engine.ports import occupied
from choria_broker.engine.running import Limits
from choria_broker.engine_handlers import handlers
from choria_broker.errors import BrokerError, ConfigurationError, NotReadyError, UpgradeError, root_cause
from choria_broker.host.preparation import prepare
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.reload.desired import Desired
from choria_broker.reload.in_force import InForce
from choria_broker.reload.plan import pending, pending_restarts
from choria_broker.reload.reloads import Reloads
from choria_broker.reload.watcher import FileWatcher
from choria_broker.revoking import revoke
from choria_broker.sessions.census import Census
from choria_broker.sessions.departures import Departures
from choria_broker.sessions.desk import SessionDesk
from choria_broker.sessions.followup import Followup
from choria_broker.sessions.neighbours import Neighbours
from choria_broker.settings.accounts import CHORIA_ACCOUNT
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding
from choria_broker.stats.poller import INTERVAL
from choria_broker.stats.service import BrokerStatistics, Parts
from choria_broker.status.document import UpgradeBegun, UpgradeReport
from choria_broker.status.drains import DrainReport, counted
from choria_broker.status.overview import Acts, StatusReporter
from choria_broker.status.reloads import PendingRestart, ReloadReport, Trigger
from choria_broker.status.revocation import RevokeReport
from choria_broker.streams.keeper import Timers
from choria_broker.streams.service import ChoriaStreams
from choria_broker.streams.standard import stream_accounts
from choria_broker.upgrade.hand_over import HandOver
from choria_broker.web.app import broker_app
from choria_broker.web.serving import statistics_port

_FROM_OUTSIDE = frozenset({"client", "websocket", "leafnode"})

_log = component("network")


class NetworkBroker:
    """One network broker: an engine, the policy behind its gate, and the statistics port.

    Use ``async with broker:`` to have it ready on entry and stopped on exit, or ``await broker.run()`` to serve until
    ``broker.stop()`` is called. A broker runs once.

    Attributes:
        audit: the trail of decisions.
        reloads: the one owner of its reloads.
        watcher: watches the files that the configuration names.
        drains: the one owner of its drains.
        sessions, departed, end_sessions: list who is connected and who was, and end some; as of ``engine.port.Engine``.
        enforcement: ends the sessions of those who are revoked.
        departures: tells of the end of each connection.
        registry: its metrics.
        streams: the standard streams, and what is wrong with their store.
        statistics: what it measures.
        census: counts of its sessions.
        upgrade: runs the installed program in its place, asked by somebody; whoever owns the process sets it.
        hand_over: how it goes on with what another program has left, and leaves its own.
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
        succession = succession or Succession()
        self._engine_waits: tuple[PendingRestart, ...] = ()
        self.upgrade: Callable[[str], Awaitable[UpgradeBegun]] = _not_alone
        self._in_force = InForce(
            settings, findings, overrides or Overrides(), self._tell_parts, loaded, succession=succession
        )
        self._started, self._stop = asyncio.Event(), asyncio.Event()
        self._connections = 0
        self._life: contextlib.AsyncExitStack | None = None
        self._engine = EngineLife(limits, has_pages=bool(settings.statistics.port), succession=succession)
        self.reloads = Reloads(self._in_force, self._engine, self._reloaded)
        self.watcher = FileWatcher(self._in_force, self.reloads)
        self.drains = Drains(self._engine)
        self.enforcement = Enforcement(self._engine, lambda: self._in_force.state.policy.revocations)
        self.audit = Audit(asked=settings.network.operator is None)
        self.streams = ChoriaStreams(settings, self._in_force.state.standard_streams, self.connect, timers=timers)
        self._desk = SessionDesk(self._engine, lambda: tuple(self.audit.recent), settings.identity)
        self._neighbours = Neighbours(self._desk.look, self.connect, lambda: self.settings)
        self.census = Census(self._engine.sessions, self._neighbours.find, lambda: self.settings, poll_interval)
        self.statistics = BrokerStatistics(
            settings,
            Parts(
                audit=self.audit.counts,
                streams=self.streams.ledger.counts,
                reloads=self.reloads,
                engine=self._engine,
                sessions=self.census,
                health=lambda: self._reporter.health().condition,
                health_changes=lambda: self._reporter.watch.book,
                ended=self.enforcement.ended,
            ),
            srv_lookups=loaded.srv_lookups if loaded else 0,
            interval=poll_interval,
        )
        self.registry = self.statistics.registry
        self._reporter = StatusReporter(
            settings,
            self._engine,
            audit=self.audit,
            ledger=self.streams.ledger,
            statistics=self.statistics,
            acts=Acts(self.reloads, self.drains),
        )
        self.sessions, self.departed = self._engine.sessions, self._engine.departed
        self.end_sessions = self._engine.end_sessions
        self._followup = Followup(self._engine)
        self.departures = Departures(self._engine.departed)
        self._in_force.enter(self._in_force.state)
        parts = (
            self.audit,
            self.reloads,
            self.drains,
            self.streams.ledger,
            self.statistics,
            self._reporter,
            self.departures,
        )
        self.hand_over = HandOver(self._engine, self._in_force, parts, succession)

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
        """Make an application that serves Choria's pages and the engine's; it can be mounted in another.

        The engine's own pages answer when the settings turn statistics on, or when this was called before the start.
        """
        self._engine.has_pages = True
        return broker_app(lambda: self.settings, self._engine, self.statistics, self._reporter)

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
        operator, accounts = self.settings.network.operator, self._in_force.state.policy.accounts
        return await self._engine.connect(account, operator, accounts, options)

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        """From nothing bound to everything stopped."""
        succession = self.succession
        prepare(self.settings)
        if not succession.follows:
            await self._begin()
        acts: dict[type, control.Act] = {
            ReloadRequest: self._reload_asked,
            DrainRequest: self._drain_asked,
            RevokeRequest: self._revoke_asked,
            UpgradeRequest: self._upgrade_asked,
            **session_acts(self._desk, self._neighbours),
        }
        sources = control.Sources(self._reporter.status, self.audit.find, acts)
        try:
            async with (
                control.serve(self.settings.source, sources, succession=succession),
                self.audit.summing_up(lambda: succession.leaving),
                self.hand_over.engine_running(
                    handlers(self._in_force, self.audit, self.streams, self.enforcement, self.statistics),
                    self.audit,
                    self._stop,
                ),
                self.statistics.live(),
                statistics_port(self.http_app, self.settings, succession),
                self.streams.kept(ready=self.ports.listening),
                self._neighbours.answering(),
                self.census.counted(),
                self.departures.told(lambda: succession.leaving),
                self.enforcement.kept(),
                self._followup.served(),
                self.reloads.served(),
                self.watcher.watching(),
                self.drains.served(lambda: succession.leaving),
                self._reporter.watch.watching(),
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
                _log.warning("Choria Network Broker shut down")

    async def _begin(self) -> None:
        """Look whether there is anything in the way, and say what is about to start."""
        taken = occupied(self.settings)
        if taken:
            raise ConfigurationError(taken)
        self._in_force.add(await self.streams.before_engine(self._in_force.state.findings))
        _log.info("Starting Network Broker")
        for line in announcements(self.settings):
            _log.log(line.level, line.text)

    async def look_at_engine(self) -> bool:
        """Find out whether the engine is older than the installed one; that is a pending restart then."""
        self._engine_waits = await self.hand_over.older_engine()
        self._tell_parts(self._in_force.state)
        return bool(self._engine_waits)

    def tell_upgrade(self, report: UpgradeReport) -> None:
        """Have the status tell of an upgrade."""
        self._reporter.upgrade = report

    def _tell_parts(self, state: Desired) -> None:
        """Tell the parts of a state that comes into force."""
        self.streams.apply(state.standard_streams)
        self._followup.apply(state.policy, state.generation, state.settings.network.reload_sessions)
        waiting = (*pending_restarts(pending(state)), *self._engine_waits)
        self.statistics.apply(state.settings, state.findings, tuple(each.key for each in waiting), state.files)
        self._reporter.apply(state.settings, state.findings, waiting)

    async def _reloaded(self) -> int:
        """Follow a reload that changed something; sessions of people who are revoked by now are ended first."""
        ended = await self.enforcement.after_reload()
        await self.statistics.read_certificates()
        self._neighbours.apply()
        self._followup.reloaded()
        return ended

    async def _upgrade_asked(self, _request: UpgradeRequest, peer: Peer) -> UpgradeBegun:
        try:
            return await self.upgrade(str(peer))
        except (BrokerError, OSError) as error:
            raise control.ActError(str(error)) from error

    async def _reload_asked(self, request: ReloadRequest, peer: Peer) -> ReloadReport:
        trigger = Trigger("command", await asyncio.to_thread(str, peer))
        try:
            return (await self.reloads.ask(trigger, dry_run=request.dry_run)).report
        except BrokerError as error:
            raise control.ActError(str(error)) from error

    async def _drain_asked(self, request: DrainRequest, peer: Peer) -> DrainReport:
        try:
            match request.act:
                case "begin":
                    return await self.drains.begin(request.over, str(peer))
                case "cancel":
                    return await self.drains.cancel(str(peer))
                case _:
                    return self.drains.report
        except BrokerError as error:
            raise control.ActError(str(error)) from error

    async def _revoke_asked(self, request: RevokeRequest, peer: Peer) -> RevokeReport:
        return await revoke(request, peer, lambda: self.settings.network, self._engine, self.reloads)


async def _not_alone(_by: str) -> UpgradeBegun:
    raise UpgradeError("the broker runs inside another program, which has to be replaced in its own way")
