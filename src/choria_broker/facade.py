"""A broker as others use it: started, waited for, asked, reloaded and stopped.

What it starts and stops, and in which order, is in ``broker``.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from choria_broker.access.decision import Decider
from choria_broker.access.session import KINDS
from choria_broker.client_end import let_go
from choria_broker.engine.events import Ports
from choria_broker.errors import NotReadyError, UpgradeError
from choria_broker.host.succession import Succession
from choria_broker.parts import BrokerParts
from choria_broker.settings.accounts import CHORIA_ACCOUNT
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding
from choria_broker.status.document import UpgradeBegun, UpgradeReport
from choria_broker.status.drains import counted
from choria_broker.status.reloads import Trigger

if TYPE_CHECKING:
    from aiohttp import web
    from nats.aio.client import Client

    from choria_broker.stats.service import Registry


class BrokerFacade(abc.ABC):
    """What every broker can be asked and told. It runs once.

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

    def __init__(self, parts: BrokerParts) -> None:
        """Nothing has begun.

        Args:
            parts: what the broker is made of.
        """
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
        self._given: weakref.WeakSet[Client] = weakref.WeakSet()
        self._life: contextlib.AsyncExitStack | None = None

    @abc.abstractmethod
    def _living(self) -> contextlib.AbstractAsyncContextManager[None]:
        """From nothing bound to everything stopped; sets ``_started`` as long as it serves."""

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
        self._connections = sum(each.count for each in counts if each.kind in KINDS)

    @property
    def succession(self) -> Succession:
        """What it has from the program before, and leaves to the next one."""
        return self.hand_over.succession

    def leave(self) -> None:
        """Ask a running broker to stop and to leave its engine to the next program; returns at once."""
        self.succession.leaving = True
        self.reloads.farewell = "the broker is being upgraded, and reads the configuration then: see its log"
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

        It is closed with the broker at the latest.

        Args:
            account: account of an organization issuer, or a declared one, to join in place of ``choria``. In operator
                mode the name or public key of an account; ``choria`` is then the one of the setting choria_account.
            options: passed on to the client's ``connect``.

        Raises:
            NotReadyError: the broker is not running, or has no credentials for the account.
        """
        client = await self._parts.connect(account, **options)
        self._given.add(client)
        return client

    @contextlib.asynccontextmanager
    async def _connections_closed(self) -> AsyncIterator[None]:
        """At the end close the connections that were made for others, who may have forgotten them.

        Such a client would try for ever to come back to an engine that has ended.
        """
        try:
            yield
        finally:
            # What one of them says at its end changes nothing for the others, nor for the broker that stops.
            await asyncio.gather(*map(let_go, list(self._given)), return_exceptions=True)

    async def look_at_engine(self) -> bool:
        """Find out whether the engine is older than the installed one; that is a pending restart then."""
        return await self._parts.look_at_engine()

    def tell_upgrade(self, report: UpgradeReport) -> None:
        """Have the status tell of an upgrade."""
        self._reporter.upgrade = report


async def _not_alone(_by: str) -> UpgradeBegun:
    raise UpgradeError("the broker runs inside another program; upgrade that program instead")
