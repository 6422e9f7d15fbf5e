"""The broker: what starts in which order, and what stops in which order. Read this first.

settings ── render ──► engine process ◄── gate ── policy
                            │                        └── audit
                            └── statistics application
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nats.errors
from aiohttp import web
from nats.aio.client import Client
from prometheus_client import CollectorRegistry, Gauge

from choria_broker import dumps
from choria_broker.access.build import policy_from
from choria_broker.access.policy import OWN_ACCOUNT, Policy
from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import CHORIA_ACCOUNT, Verdict
from choria_broker.announcements import announcements, go_duration
from choria_broker.audit import Audit
from choria_broker.config.facts import Overrides
from choria_broker.config.findings import Finding, Severity, refusals
from choria_broker.config.load import load
from choria_broker.config.settings import Settings, authority
from choria_broker.control import server as control
from choria_broker.control.protocol import Status
from choria_broker.control.status import status
from choria_broker.engine import binary, frames
from choria_broker.engine.ports import occupied
from choria_broker.engine.render import render
from choria_broker.engine.rundir import RunDirectory
from choria_broker.engine.running import Hearers, Limits, Orders, running
from choria_broker.errors import ConfigurationError, ForcedShutdownError, NotReadyError, root_cause
from choria_broker.host import prepare
from choria_broker.log import component
from choria_broker.signature_memory import SignatureMemory
from choria_broker.signers import read_signers
from choria_broker.web import serving
from choria_broker.web.app import create_app
from choria_broker.web.host_guard import is_loopback, only_known_hosts
from choria_broker.web.instance import Processes, document

_FIRST_GENERATION = 1


class NetworkBroker:
    """One network broker: an engine, the policy behind its gate, and the statistics port.

    Use ``async with broker:`` to have it ready on entry and stopped on exit, or ``await broker.run()`` to serve until
    ``broker.stop()`` is called. A broker runs once.

    Attributes:
        settings: what it was told.
        ports: ports the engine listens on; all 0 before it is ready.
        audit: the trail of decisions.
        registry: its metrics.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        findings: tuple[Finding, ...] = (),
        debug: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """Validate everything that can be validated without opening a port.

        Args:
            settings: what the broker is to be.
            findings: what was found while the settings were read.
            debug: have the engine log at debug level.
            limits: other deadlines and bounds than the usual ones.

        Raises:
            ConfigurationError: something keeps the broker from starting.
            EngineMissingError: there is no engine.
        """
        if refusals(findings):
            raise ConfigurationError(findings)
        self.settings = settings
        self.ports = frames.Ports()
        self.registry = CollectorRegistry()
        self.audit = Audit(self.registry, settings.identity)
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
        self._since = time.time()
        self._processes = Processes(())
        Gauge(
            "choria_broker_config_errors",
            "Features left out because of their configuration.",
            ("identity",),
            registry=self.registry,
        ).labels(settings.identity).set(sum(finding.severity is Severity.SKIP for finding in findings))
        Gauge(
            "choria_broker_unverified_account",
            "1 when clients without certificate and token are let into an account.",
            ("identity",),
            registry=self.registry,
        ).labels(settings.identity).set(bool(settings.network.unverified_account))

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
        return cls(loaded.settings, findings=loaded.findings, debug=overrides.debug)

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
        return create_app(self._instance, self.registry, lambda: self.ports.monitoring)

    async def connect(self, account: str = CHORIA_ACCOUNT, **options: Any) -> Client:
        """Connect a NATS client to this broker, without limits in its account.

        Args:
            account: account of an organization issuer, or a declared one, to join in place of ``choria``.
            options: passed on to the client's ``connect``.

        Raises:
            NotReadyError: the broker is not running.
        """
        if not self.ports.bridge:
            raise NotReadyError("the broker is not running")
        login = {"user": OWN_ACCOUNT + account, "password": self._bridge_secret}
        client = Client()
        try:
            await client.connect(
                f"nats://127.0.0.1:{self.ports.bridge}", **({"name": "choria-broker"} | login | options)
            )
        except (OSError, nats.errors.Error, asyncio.CancelledError):
            await client.close()
            raise
        return client

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        """From nothing bound to everything stopped."""
        taken = occupied(self.settings)
        if taken:
            raise ConfigurationError(taken)
        prepare(self.settings)
        self._log.info("Starting Network Broker")
        for line in announcements(self.settings):
            self._log.log(line.level, line.text)
        with RunDirectory() as directory:
            try:
                async with (
                    control.serve(self.settings.source, control.Sources(self._status, self.audit.find)),
                    self.audit.summing_up(),
                    self._engine(directory),
                    self._statistics(),
                ):
                    if not self._stop.is_set():
                        self._started.set()
                        if self.settings.network.streams.store:
                            self._log.info("Enabling Choria Streams for account choria")
                    yield
            except BaseExceptionGroup as group:
                raise root_cause(group) from None
            finally:
                self._started.clear()
                self.ports = frames.Ports()
                self._log.warning("Choria Network Broker shut down")

    @contextlib.asynccontextmanager
    async def _engine(self, directory: RunDirectory) -> AsyncIterator[None]:
        rendered = render(self.settings, monitoring=self._monitoring, debug=self._debug)
        hello = frames.Hello(
            generation=_FIRST_GENERATION,
            optional_client_certificates=rendered.optional_client_certificates,
            bridge_secret=self._bridge_secret,
            answer_within_ms=self._limits.answer_ms,
            max_questions=self._limits.questions,
        )
        grace = self.settings.network.soft_shutdown_timeout
        orders = Orders(self._engine_binary, directory.write("engine.conf", rendered.text), hello, grace)
        hearers = Hearers(
            self._decide, self._engine_greeted, self._engine_refused, self.audit.engine_line, self._ending, self._dump
        )
        async with running(orders, hearers, self._limits) as engine:
            self._processes = Processes((os.getpid(), engine.pid))
            self.ports = await engine.ready(self._limits.ready, self._stop)
            yield
        if not engine.ended_in_time:
            raise ForcedShutdownError(f"Forced shutdown triggered after {go_duration(grace)}: the engine was killed")

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
        app = self.http_app()
        if is_loopback(statistics.address):
            app.middlewares.append(only_known_hosts(statistics.address, self.settings.identity))
        async with serving.serve(app, statistics.address, statistics.port):
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
        network = self.settings.network
        self._log.info(
            f"Starting new Network Broker with NATS version {hello.nats} on "
            f"{network.listen_address}:{network.client_port} using config file {self.settings.source}"
        )

    def _engine_refused(self, refusal: frames.Refusal) -> None:
        self.audit.engine_refused(refusal.cause, refusal.connection, refusal.address)

    def _status(self) -> Status:
        return status(self.settings, self.audit, self.ports, nats=self._nats_version, since=self._since)

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
