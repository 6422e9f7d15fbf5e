"""The broker: what starts in which order, and what stops in which order. Read this first.

settings ── render ──► engine process ◄── gate ── policy
                            │                        └── audit
                            └── statistics application
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web
from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from choria_broker import dumps
from choria_broker.access.build import policy_from
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import CHORIA_ACCOUNT, Verdict
from choria_broker.announcements import announcements, go_duration, greeting
from choria_broker.audit import Audit
from choria_broker.config.facts import Overrides
from choria_broker.config.findings import Finding, refusals
from choria_broker.config.load import load, reload_operator
from choria_broker.config.resolve_operator import findings_after
from choria_broker.config.settings import Settings, authority
from choria_broker.control import server as control
from choria_broker.control.status import EngineProcess, Teller
from choria_broker.engine import binary, frames
from choria_broker.engine.counters import GateCounters
from choria_broker.engine.ports import occupied
from choria_broker.engine.render import Rendered, render
from choria_broker.engine.renewal import Renewal
from choria_broker.engine.rundir import RunDirectory
from choria_broker.engine.running import Hearers, Limits, Orders, hello_for, running
from choria_broker.errors import ConfigurationError, ForcedShutdownError, NotReadyError, ReloadError, root_cause
from choria_broker.host import prepare
from choria_broker.log import component
from choria_broker.logins import connected, login_to
from choria_broker.signature_memory import SignatureMemory
from choria_broker.signers import read_signers
from choria_broker.stats.collector import FamilyCollector
from choria_broker.stats.poller import INTERVAL
from choria_broker.stats.service import BrokerStatistics
from choria_broker.streams.keeper import Timers
from choria_broker.streams.service import ChoriaStreams
from choria_broker.streams.standard import stream_accounts
from choria_broker.web import serving
from choria_broker.web.app import create_app
from choria_broker.web.instance import Processes, document
from choria_broker.web.status import status_pages


class NetworkBroker:
    """One network broker: an engine, the policy behind its gate, and the statistics port.

    Use ``async with broker:`` to have it ready on entry and stopped on exit, or ``await broker.run()`` to serve until
    ``broker.stop()`` is called. A broker runs once.

    Attributes:
        settings: what it was told.
        ports: ports the engine listens on; all 0 before it is ready.
        audit: the trail of decisions.
        registry: its metrics.
        streams: the standard streams, and what is wrong with their store.
        statistics: what it measures.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        findings: tuple[Finding, ...] = (),
        debug: bool = False,
        limits: Limits | None = None,
        timers: Timers | None = None,
        srv_lookups: int = 0,
        poll_interval: float = INTERVAL,
    ) -> None:
        """Validate everything that can be validated without opening a port.

        Args:
            settings: what the broker is to be.
            findings: what was found while the settings were read.
            debug: have the engine log at debug level.
            limits: other deadlines and bounds than the usual ones.
            timers: other deadlines than the usual ones for the standard streams.
            srv_lookups: SRV records that were asked for while the settings were read.
            poll_interval: seconds between two readings of the engine's statistics.

        Raises:
            ConfigurationError: something keeps the broker from starting.
            EngineMissingError: there is no engine.
        """
        if refusals(findings):
            raise ConfigurationError(findings)
        self.settings = settings
        self.ports = frames.Ports()
        self.registry = CollectorRegistry()
        self.audit = Audit(self.registry, settings.identity, asked=settings.network.operator is None)
        self.streams = ChoriaStreams(settings, self.registry, self.connect, timers=timers)
        self._engine_binary = binary.locate()
        self._policy = _build_policy(settings)
        self._debug = debug
        self._monitoring = bool(settings.statistics.port)
        self._limits = limits or Limits()
        self._log = component("network")
        self._bridge_secret = secrets.token_urlsafe(32)
        self._started = asyncio.Event()
        self._stop = asyncio.Event()
        self._life: contextlib.AsyncExitStack | None = None
        self._nats_version = "unknown"
        self._engine_began = (0, 0.0)
        self._processes = Processes(())
        self._renewal: Renewal | None = None
        self._findings = findings
        self._gate_counters = GateCounters()
        self._engine_alive: Callable[[], bool] = lambda: False
        self.statistics = BrokerStatistics(
            self.registry,
            settings,
            findings,
            monitoring_port=self._monitoring_port,
            gate=lambda: self._gate_counters,
            srv_lookups=srv_lookups,
            interval=poll_interval,
        )
        self._teller = Teller(
            lambda: self.settings,
            lambda: self._findings,
            self._engine_process,
            audit=self.audit,
            ledger=self.streams.ledger,
            statistics=self.statistics,
        )
        self.registry.register(FamilyCollector(self._teller.families))

    @classmethod
    def from_file(cls, path: Path | str, overrides: Overrides | None = None) -> Self:
        """Read a Choria configuration file and make the broker it describes.

        Raises:
            ConfigurationError: the file keeps the broker from starting.
            EngineMissingError: there is no engine.
        """
        overrides = overrides or Overrides()
        loaded = load(Path(path), overrides)
        if loaded.settings is None:
            raise ConfigurationError(loaded.findings)
        return cls(loaded.settings, findings=loaded.findings, debug=overrides.debug, srv_lookups=loaded.srv_lookups)

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
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

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
            raise RuntimeError("a broker runs once")
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
        self._monitoring = True
        statistics = self.settings.statistics
        public = (statistics.address, statistics.port) if statistics.port else None
        pages = status_pages(
            self._overview,
            self._teller.health,
            everywhere=lambda: self.settings.statistics.ui,
            names=(self.settings.identity, statistics.address),
        )
        return create_app(self._instance, self.registry, self._monitoring_port, public=public, pages=pages)

    async def reload(self) -> tuple[Finding, ...]:
        """Put in force what the operator's store holds by now; connections of accounts that stay are kept.

        Only the store is read again, so this is for operator mode. An account whose file turned bad stays as it was.

        Returns:
            What was found in the store.

        Raises:
            ConfigurationError: nothing of the store can be used; nothing has changed.
            ReloadError: there is no operator, or the engine refuses the change; nothing has changed.
            NotReadyError: the broker is not running, or the engine did not answer in time.
        """
        renewal = self._renewal
        if self.settings.network.operator is None:
            raise ReloadError("Reload is not in this version; restart the broker to apply a changed configuration")
        if renewal is None:
            raise NotReadyError("the broker is not running")
        async with renewal.alone(self.statistics.reloads):
            loaded = await asyncio.to_thread(reload_operator, self.settings)
            if loaded.settings is None:
                raise ConfigurationError(loaded.findings)
            await renewal.put_in_force(self._rendered(loaded.settings).text)
            self.settings = loaded.settings
            self._findings = findings_after(self._findings, loaded.findings)
            self.statistics.configured(self.settings, self._findings)
        return loaded.findings

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
        if not self.ports.bridge:
            raise NotReadyError("the broker is not running")
        login = login_to(account, self.settings.network.operator, self._policy.accounts, self._bridge_secret)
        return await connected(self.ports.bridge, {**login, **options})

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        """From nothing bound to everything stopped."""
        taken = occupied(self.settings)
        if taken:
            raise ConfigurationError(taken)
        prepare(self.settings)
        await self.streams.before_engine()
        self._log.info("Starting Network Broker")
        for line in announcements(self.settings):
            self._log.log(line.level, line.text)
        with RunDirectory() as directory:
            try:
                async with (
                    control.serve(self.settings.source, control.Sources(self._teller.status, self.audit.find)),
                    self.audit.summing_up(),
                    self._engine(directory),
                    self.statistics.live(polling=self._monitoring),
                    self._statistics(),
                    self.streams.kept(ready=bool(self.ports.bridge)),
                ):
                    if not self._stop.is_set():
                        self._started.set()
                        for account in stream_accounts(self.settings):
                            self._log.info(f"Enabling Choria Streams for account {account}")
                    yield
            except BaseExceptionGroup as group:
                raise root_cause(group) from None
            finally:
                self._started.clear()
                self.ports = frames.Ports()
                self._log.warning("Choria Network Broker shut down")

    @contextlib.asynccontextmanager
    async def _engine(self, directory: RunDirectory) -> AsyncIterator[None]:
        rendered = self._rendered(self.settings)
        hello = hello_for(self.settings, rendered, self._bridge_secret, self._limits)
        grace = self.settings.network.soft_shutdown_timeout
        write = functools.partial(directory.write, "engine.conf")
        orders = Orders(self._engine_binary, write(rendered.text), hello, grace)
        hearers = Hearers(
            self._decide, self._engine_greeted, self._engine_refused, self._engine_line, self._ending, self._dump
        )
        async with running(orders, hearers, self._limits) as engine:
            self._processes = Processes((os.getpid(), engine.pid))
            self._engine_began = (engine.pid, time.time())
            self._gate_counters, self._engine_alive = engine.gate.counters, engine.alive
            self.ports = await engine.ready(self._limits.ready, self._stop)
            if self.ports.bridge:
                await self.streams.engine_ready()
            self._renewal = Renewal(engine.gate, write, rendered.text, self._limits.reload)
            yield
            self._renewal = None
        if not engine.ended_in_time:
            raise ForcedShutdownError(f"Forced shutdown triggered after {go_duration(grace)}: the engine was killed")

    def _monitoring_port(self) -> int:
        return self.ports.monitoring if self._engine_alive() else 0

    def _rendered(self, settings: Settings) -> Rendered:
        return render(settings, monitoring=self._monitoring, debug=self._debug)

    def _ending(self) -> None:
        self._log.warning("Choria Network Broker shutting down")
        if self.settings.network.streams.store:
            self._log.warning("Disabling Choria Streams")

    def _dump(self) -> None:
        with contextlib.suppress(OSError):
            path = dumps.write_thread_dump(asyncio.get_running_loop())
            self._log.warning("Wrote the stacks of all threads", path=str(path))

    @contextlib.asynccontextmanager
    async def _statistics(self) -> AsyncIterator[None]:
        statistics = self.settings.statistics
        if not statistics.port:
            self._log.info("Statistics gathering disabled, set plugin.choria.stats_port")
            yield
            return
        async with serving.statistics_port(self.http_app(), statistics, self.settings.identity):
            place = f"http://{authority(statistics.address, statistics.port)}/choria/"
            self._log.info(f"Starting statistic reporting Prometheus statistics on {place}")
            yield

    def _decide(self, request: ConnectRequest) -> Verdict:
        begun = time.perf_counter()
        verdict = self._policy.decide(request, time.time())
        self.audit.record(request, verdict, time.perf_counter() - begun)
        return verdict

    def _engine_greeted(self, hello: frames.EngineHello) -> None:
        self._nats_version = hello.nats
        self._log.info(greeting(self.settings, hello.nats))

    def _engine_refused(self, refusal: frames.Refusal) -> None:
        self.audit.engine_refused(refusal.cause, refusal.connection, refusal.address)

    def _engine_line(self, level: int, text: str) -> bool:
        self.streams.ledger.hear(text)
        return self.audit.engine_line(level, text)

    def _engine_process(self) -> EngineProcess:
        return EngineProcess(self._nats_version, *self._engine_began, self.ports, self._engine_alive())

    def _overview(self) -> bytes:
        return msgspec.json.encode(self._teller.overview())

    def _instance(self) -> Mapping[str, object]:
        return document(
            self._processes,
            source=self.settings.source,
            identity=self.settings.identity,
            nats=self._nats_version,
            max_connections=self.settings.network.max_connections,
        )


def _build_policy(settings: Settings) -> Policy:
    return policy_from(settings, read_signers(settings), SignatureMemory(time.monotonic).signed_by)
