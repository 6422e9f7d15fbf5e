"""The parts of a broker put together: who has whom, and who is told of what."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from choria_broker import __version__
from choria_broker.acts import Operated, broker_acts
from choria_broker.audit.acts import ActBook
from choria_broker.audit.events import EventBook, EventKind
from choria_broker.audit.publishing import EventPublisher
from choria_broker.audit.trail import Audit
from choria_broker.companions.spec import specs
from choria_broker.companions.troop import Companions
from choria_broker.config.load import Loaded
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control.event_acts import event_acts
from choria_broker.control.server import Sources
from choria_broker.control.session_acts import session_acts
from choria_broker.control.stream_acts import Held, stream_acts
from choria_broker.drains import Drains
from choria_broker.enforcement.keeper import Enforcement
from choria_broker.engine.absent import NoEngine
from choria_broker.engine.bridge import WayIn
from choria_broker.engine.life import EngineLife
from choria_broker.engine.running import EngineHandlers, Limits
from choria_broker.engine_handlers import handlers
from choria_broker.host.succession import Succession
from choria_broker.reload.desired import Desired
from choria_broker.reload.in_force import InForce
from choria_broker.reload.plan import pending, pending_restarts
from choria_broker.reload.reloads import Reloads
from choria_broker.reload.shown import settings_now
from choria_broker.reload.watcher import FileWatcher
from choria_broker.sessions.census import Census
from choria_broker.sessions.departures import Departures
from choria_broker.sessions.desk import Known, SessionDesk
from choria_broker.sessions.followup import Followup
from choria_broker.sessions.neighbours import Neighbours
from choria_broker.settings.accounts import CHORIA_ACCOUNT
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding
from choria_broker.settings.network import Network
from choria_broker.stats.families import Values
from choria_broker.stats.parts import Counting, Parts
from choria_broker.stats.poller import INTERVAL
from choria_broker.stats.service import BrokerStatistics
from choria_broker.stats.standings import Standings
from choria_broker.status.document import UpgradeBegun
from choria_broker.status.overview import Acts, StatusReporter
from choria_broker.status.reloads import PendingRestart
from choria_broker.status.settings_now import MemberReport, SettingsNow
from choria_broker.status.turns import Turns
from choria_broker.streams.keeper import Timers
from choria_broker.streams.service import ChoriaStreams
from choria_broker.streams.standard import stream_accounts
from choria_broker.upgrade.hand_over import HandOver, Lasting

if TYPE_CHECKING:
    from nats.aio.client import Client

    from choria_broker.ui.page import Knowledge


class Pace(msgspec.Struct, frozen=True):
    """Deadlines and bounds; tests inject others.

    Attributes:
        limits: of the engine; None for the usual ones.
        timers: of the standard streams; None for the usual ones.
        poll_interval: seconds between two readings of the engine's statistics.
    """

    limits: Limits | None = None
    timers: Timers | None = None
    poll_interval: float = INTERVAL


class BrokerParts:
    """The parts of one broker; none of them runs yet.

    Attributes:
        in_force: the state in force; it tells the others of a new one.
        engine: the engine.
        reloads, watcher, drains: the owners of reloads, of watched files, and of drains.
        enforcement: ends the sessions of those who are revoked.
        audit: the trail of decisions.
        acts: what operators did.
        events, turns: what has happened, and what notices that links, streams and companions are otherwise.
        publisher: publishes events where the setting says so.
        streams: the standard streams.
        statistics: what is measured.
        reporter: tells how the broker is.
        desk, neighbours: who is connected, here and to other members.
        census: counts of sessions.
        followup: looks at sessions after reloads.
        departures: tells of the end of each connection.
        companions: adapters and the federation broker.
        hand_over: how the broker goes on with what another program has left, and leaves its own.
    """

    def __init__(
        self,
        settings: Settings,
        findings: tuple[Finding, ...],
        overrides: Overrides,
        loaded: Loaded | None,
        pace: Pace,
        succession: Succession,
    ) -> None:
        """Make them; what each is is said in ``NetworkBroker``, which takes the same.

        Raises:
            ConfigurationError: something keeps the broker from starting.
            EngineMissingError: there is no engine.
        """
        self._overrides = overrides
        self._engine_waits: tuple[PendingRestart, ...] = ()
        self.in_force = InForce(settings, findings, overrides, self._tell, loaded, succession=succession)
        self.engine = EngineLife(pace.limits, succession=succession) if settings.network_enabled else NoEngine()
        self.acts = ActBook()
        self.events = EventBook(time.time)
        self.reloads = Reloads(self.in_force, self.engine, self._reloaded, self.acts)
        self.watcher = FileWatcher(self.in_force, self.reloads)
        self.drains = Drains(self.engine, book=self.acts)
        self.enforcement = Enforcement(self.engine, lambda: self.in_force.state.policy.revocations)
        self.audit = Audit(asked=settings.network.operator is None)
        self.streams = ChoriaStreams(settings, self.in_force.state.standard_streams, self.connect, timers=pace.timers)
        self.desk = SessionDesk(self.engine, self._known(), settings.identity, book=self.acts)
        self.followup = Followup(self.engine)
        self.neighbours = Neighbours(self.desk.look, self.connect, self._settings, self._about)
        self.census = Census(self.engine.sessions, self.neighbours.find, self._settings, pace.poll_interval)
        self.departures = Departures(self.engine.departed)
        self.companions = Companions(self._way_in, self._network, alone=not settings.network_enabled)
        self.statistics = self._measuring(settings, loaded.srv_lookups if loaded else 0, pace.poll_interval)
        self.reporter = self._reporting(settings)
        self.turns = Turns(self.reporter.status, self.events)
        self._hear_events()
        self.publisher = EventPublisher(self.events, self.connect, self._network, settings.identity)
        self.in_force.enter(self.in_force.state)
        self.hand_over = HandOver(self.engine, self.in_force, self._lasting(), succession)

    def _hear_events(self) -> None:
        """Have the book of events told of whatever happens."""
        events, watch = self.events, self.reporter.watch
        self.audit.heard, self.audit.denied.heard = events.decided, events.denied
        self.departures.heard, self.acts.heard = events.departed, events.acted
        watch.heard = lambda change: events.tell(
            EventKind.HEALTH,
            change.new,
            text=change.sentence,
            facts={"old": change.old, "reasons": "; ".join(change.reasons)},
        )
        watch.looked = self.turns.look

    def _measuring(self, settings: Settings, srv_lookups: int, interval: float) -> BrokerStatistics:
        counting = Parts(
            audit=self.audit.counts,
            streams=self.streams.ledger.counts,
            figures=self._figures,
            engine=self.engine,
            health=lambda: self.reporter.health().condition,
            health_changes=lambda: self.reporter.watch.book,
            ended=self.enforcement.ended,
            sessions=self.census,
            companions=self.companions,
        )
        return BrokerStatistics(settings, counting, srv_lookups=srv_lookups, interval=interval)

    def _reporting(self, settings: Settings) -> StatusReporter:
        return StatusReporter(
            settings,
            self.engine,
            audit=self.audit,
            ledger=self.streams.ledger,
            statistics=self.statistics,
            acts=Acts(self.reloads, self.drains),
        )

    def _lasting(self) -> Sequence[Lasting]:
        """Tell which parts know something that outlives the program."""
        return (
            self.audit,
            self.acts,
            self.events,
            self.turns,
            self.publisher,
            self.reloads,
            self.drains,
            self.streams.ledger,
            self.statistics,
            self.reporter,
            self.departures,
            self.companions,
            self.enforcement,
            self.followup,
        )

    def _figures(self) -> Mapping[str, Values]:
        """Ask every part that counts."""
        asked = [each.figures for each in vars(self).values() if isinstance(each, Counting)]
        return {name: values for each in asked for name, values in each.items()}

    def knowledge(self) -> Knowledge:
        """Tell the dashboard whom to ask."""
        from choria_broker.ui.page import Knowledge  # noqa: PLC0415 - brokers without the port do not need them
        from choria_broker.web.bundling import Bundling  # noqa: PLC0415 - the same
        from choria_broker.web.roster import Roster  # noqa: PLC0415 - the same

        return Knowledge(
            clock=time.time,
            settings=self._settings,
            status=self.reporter.status,
            look=Roster(functools.partial(self.engine.sessions, traffic=True)).look,
            departed=self.engine.departed,
            find=self.neighbours.find,
            decisions=lambda: tuple(self.audit.recent),
            authorities=self._authorities,
            decision=self.audit.find,
            history=self.statistics.history.drawn,
            standings=self._standings,
            settings_now=self._settings_now,
            acts=lambda: self.acts.latest,
            about=self._about,
            members=self.neighbours.members,
            bundle=Bundling(self._bundle_options).made,
        )

    def _known(self) -> Known:
        """Tell the desk what others know."""
        return Known(
            decisions=lambda: tuple(self.audit.recent),
            complaints=lambda: self.audit.denied.latest(None),
            server=lambda: readings.server if (readings := self.statistics.poller.latest) else None,
        )

    def _bundle_options(self) -> tuple[str, ...]:
        """Tell the options with which the command reads the configuration as this broker does."""
        chosen = msgspec.structs.asdict(self._overrides)
        flags = {each: f"--{each.replace('_', '-')}" for each in chosen} | {"lenient": "--lenient-config"}
        return ("--config", str(self._settings().source), *(flags[each] for each, wanted in chosen.items() if wanted))

    def _settings_now(self) -> SettingsNow:
        """Return the settings in force as they may be shown."""
        state = self.in_force.state
        return settings_now(state.settings, state.findings)

    def _about(self) -> MemberReport:
        """Tell other members what this broker is."""
        shared = self._settings_now().shared
        return MemberReport(self._settings().identity, __version__, self.engine.nats, shared)

    def _standings(self) -> Standings | None:
        """Return how streams stand, None as long as that is not known."""
        latest = self.statistics.poller.latest
        return latest.standings if latest else None

    def _authorities(self) -> bytes:
        """Return what stands in the CA file in force."""
        state = self.in_force.state
        ca = state.settings.tls.files.ca if state.settings.tls.files else None
        return state.files[ca].content if ca and ca in state.files else b""

    def _settings(self) -> Settings:
        """Return what is in force by now."""
        return self.in_force.state.settings

    def _network(self) -> Network:
        """Return what is in force of the network broker."""
        return self._settings().network

    def engine_handlers(self) -> EngineHandlers:
        """Make what is told what the engine has to say."""
        return handlers(self.in_force, self.audit, self.streams, self.enforcement, self.statistics)

    def control_sources(self, upgrade: Callable[[str], Awaitable[UpgradeBegun]]) -> Sources:
        """Tell what answers on the control socket.

        Args:
            upgrade: runs the installed program in place of this one, given who asks.
        """
        operated = Operated(
            self.engine,
            self.reloads,
            self.drains,
            network=self._network,
            upgrade=upgrade,
            book=self.acts,
        )
        acts = {
            **broker_acts(operated),
            **session_acts(self.desk, self.neighbours),
            **stream_acts(Held(self.connect, lambda: stream_accounts(self._settings()), self.acts)),
            **event_acts(self.events, self._settings().identity),
        }
        return Sources(self.reporter.status, self.audit.find, acts)

    def _way_in(self) -> WayIn | None:
        """Tell companions the way into the engine, None without one."""
        state = self.in_force.state
        if not state.settings.network_enabled:
            return None
        return self.engine.way_in(CHORIA_ACCOUNT, state.settings.network.operator, state.policy.accounts)

    async def connect(self, account: str, **options: Any) -> Client:
        """Connect a NATS client to the broker; see ``NetworkBroker.connect``."""
        state = self.in_force.state
        return await self.engine.connect(account, state.settings.network.operator, state.policy.accounts, options)

    async def look_at_engine(self) -> bool:
        """Find out whether the engine is older than the installed one; that is a pending restart then."""
        self._engine_waits = await self.hand_over.older_engine()
        self._tell(self.in_force.state)
        return bool(self._engine_waits)

    def _tell(self, state: Desired) -> None:
        """Tell the parts of a state that comes into force."""
        self.streams.apply(state.standard_streams)
        self.companions.apply(specs(state.settings))
        self.followup.apply(state.policy, state.generation, state.settings.network)
        waiting = (*pending_restarts(pending(state)), *self._engine_waits)
        self.statistics.apply(state.settings, state.findings, tuple(each.key for each in waiting), state.files)
        self.reporter.apply(state.settings, state.findings, waiting)

    async def _reloaded(self) -> int:
        """Follow a reload that changed something; sessions of people who are revoked by now are ended first."""
        ended = await self.enforcement.after_reload()
        await self.statistics.read_certificates()
        self.neighbours.apply()
        self.publisher.apply()
        self.followup.reloaded()
        return ended
