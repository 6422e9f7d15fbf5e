"""The engine of a broker, from before it runs until after it ended."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from choria_broker.access.session import Busy, BusySession, Departed, Session
from choria_broker.engine import binary
from choria_broker.engine.authorities import Count
from choria_broker.engine.bridge import WayIn, connected, credentials_file, login_to
from choria_broker.engine.conf.render import Rendered
from choria_broker.engine.conf.revoked import render_revoked
from choria_broker.engine.configuration import Configuration
from choria_broker.engine.counters import GateCounters
from choria_broker.engine.events import Ports, Versions
from choria_broker.engine.gate.frames import PROTOCOL, Hello
from choria_broker.engine.held import HeldGate, LeftEngine
from choria_broker.engine.inheritance import Inheritance
from choria_broker.engine.outside.processes import KeyProcesses
from choria_broker.engine.port import Engine
from choria_broker.engine.rundir import Private, RunDirectory
from choria_broker.engine.running import EngineHandlers, LaunchSpec, Limits, hello_for, running
from choria_broker.errors import ForcedShutdownError, NotReadyError
from choria_broker.host.limits import widen
from choria_broker.host.processes import Processes
from choria_broker.host.succession import Succession
from choria_broker.settings import durations
from choria_broker.settings.broker import Settings
from choria_broker.settings.operator import Operator
from choria_broker.values import replace

if TYPE_CHECKING:
    from nats.aio.client import Client

_REVOKED = "revoked"
_BRIDGE, _PAGES = "bridge", "pages"


class EngineLife:
    """The engine of one broker; it runs once.

    Attributes:
        has_pages: it serves its monitoring pages. One that an older program has left may not.
        ports: it listens on; all 0 before it is ready, and once it ended.
        nats: version of the nats-server library in it.
        pid: process id, 0 before it runs.
        since: when it started, Unix seconds.
        counters: what happened at its gate.
        processes: the broker's own and the engine's.
        keys: the key processes.
        bridge_secret: opens the bridge.
    """

    def __init__(self, limits: Limits | None = None, *, succession: Succession | None = None) -> None:
        """Find the executable.

        Args:
            limits: other deadlines and bounds than the usual ones.
            succession: has the engine that the program before has left, and takes what this one leaves.

        Raises:
            EngineMissingError: there is no engine.
        """
        self._succession = succession or Succession()
        self._inheritance = Inheritance(self._succession)
        self._binary = self._executable()
        self._limits = limits or Limits()
        self.has_pages = True
        self.ports = Ports()
        self.nats, self.pid, self.since = "unknown", 0, 0.0
        self.counters = GateCounters()
        self.processes = Processes()
        self.keys = KeyProcesses(self._succession)
        self.bridge_secret = secrets.token_urlsafe(32)
        self._private: Mapping[str, Private] = {}
        self._engine: Engine | None = None
        self._configuration: Configuration | None = None
        self._directory: RunDirectory | None = None
        self._grace = 0.0
        self._place: Path | None = None
        self._text = ""
        if self._inheritance.left:
            self._recall(self._inheritance.left)

    @staticmethod
    def _executable() -> Path:
        return binary.locate()

    def _recall(self, left: LeftEngine) -> None:
        self.nats, self.pid, self.since = left.nats, left.pid, left.since
        self.bridge_secret, self.has_pages = left.bridge_secret, _PAGES in left.sockets
        self._text = left.text

    def remember(self, succession: Succession) -> None:
        """Tell the next program what it has to know of the engine."""
        if self._place is None:
            return
        left = LeftEngine(
            pid=self.pid,
            since=self.since,
            nats=self.nats,
            bridge_secret=self.bridge_secret,
            directory=self._place,
            sockets=tuple(self._private),
            text=self._configuration.text if self._configuration else self._text,
            begun=self._inheritance.begun,
            protocol=PROTOCOL,
        )
        self._inheritance.tell(succession, left)

    @property
    def executables(self) -> tuple[Path, Path]:
        """The one that runs, which need not be at its place any more, and the installed one."""
        return Path(f"/proc/{self.pid}/exe"), self._binary

    def check(self, text: str) -> None:
        """Have it judge a configuration, while it runs for the program before.

        Raises:
            EngineConfigError: it refuses.
            OSError: it cannot be asked.
        """
        binary.check_text(self.executables[0], text)

    async def hold(self, deadline: float) -> tuple[HeldGate, socket.socket]:
        """Stop answering its questions, between two frames; they wait for another program, or for ``go_on``.

        Args:
            deadline: seconds it has to take what it was told.

        Returns:
            What another program has to know, and the gate's socket once more.

        Raises:
            NotReadyError: it needed longer, or is not running; nothing has changed.
        """
        if self._engine is None or not self.alive:
            raise NotReadyError("the engine is not running")
        return await self._inheritance.hold(self._engine, deadline)

    def go_on(self) -> None:
        """Answer its questions again: no other program has."""
        self._inheritance.go_on()
        if self._engine is not None:
            self._engine.go_on()

    @property
    def alive(self) -> bool:
        """It runs."""
        return self._engine is not None and self._engine.alive

    async def change(self, settings: Settings, rendered: Rendered) -> None:
        """Have it take over a configuration, and all files that it names; connections are kept.

        Args:
            settings: what the broker is told.
            rendered: the engine's configuration.

        Raises:
            ReloadError: it refuses; nothing has changed.
            NotReadyError: it is not ready, on its way to the end, or did not answer in time.
            OSError: its file could not be written.
        """
        if self._configuration is None:
            raise NotReadyError("the broker is not running")
        widen(settings, self.pid)
        revoked = await self._revoked(settings)
        hello = hello_for(settings, rendered, self.bridge_secret, self._limits, revoked)
        async with self.keys.changing(settings.tls.outside) as names:
            await self._configuration.apply(rendered.text, replace(hello, keys=names))
        self._grace = settings.network.soft_shutdown_timeout

    async def revoke(self, settings: Settings) -> None:
        """Have it take over which certificates of other brokers are revoked, and nothing else.

        Args:
            settings: what the broker is told.

        Raises:
            ReloadError: it refuses; nothing has changed.
            NotReadyError: it is not ready, on its way to the end, or did not answer in time.
            OSError: the file could not be written.
        """
        if self._configuration is None:
            raise NotReadyError("the broker is not running")
        await self._configuration.revoke(await self._revoked(settings))

    async def _revoked(self, settings: Settings) -> str:
        """Write for it which certificates are revoked, and return the path."""
        if self._directory is None:
            raise NotReadyError("the broker is not running")
        write = functools.partial(self._directory.write, _REVOKED)
        return str(await asyncio.to_thread(lambda: write(render_revoked(settings.network.revocation))))

    def renew(self, generation: int) -> None:
        """Say that the policy has changed, to this number; what is decided from now on is decided by the new one."""
        if self._engine is not None:
            self._engine.renew(generation)

    async def answers(self) -> None:
        """Return when it has answered.

        Raises:
            NotReadyError: it does not for some time, or does not run.
        """
        await self.authorities()

    async def authorities(self) -> tuple[Count, ...]:
        """Count connections by the CAs that their certificates are of.

        Raises:
            NotReadyError: it is not ready, or did not answer in time.
        """
        return await self._running().authorities()

    async def drain(self, serial: int, over: float | None) -> None:
        """Begin to move connections and leaders elsewhere, or take that back; see ``port.Engine``."""
        if self._engine is None or not self.ports.listening:
            raise NotReadyError("the broker is not running")
        await self._engine.drain(serial, over)

    async def sessions(self, *, traffic: bool = False) -> tuple[Session, ...]:
        """List the connections that were let in; see ``port.Engine``."""
        return await self._running().sessions(traffic=traffic)

    async def busiest(self, most: int, by: str) -> tuple[tuple[BusySession, ...], Busy]:
        """List the sessions over which most goes; see ``port.Engine``."""
        return await self._running().busiest(most, by)

    async def departed(self, after: int = 0) -> tuple[Departed, ...]:
        """List the last 10,000 sessions that have ended, oldest first; raises as ``sessions`` does.

        Args:
            after: number of the last one that is known already.
        """
        return await self._running().departed(after)

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        """End sessions at once, whatever waits to be sent to them.

        Args:
            connections: the engine's numbers of them.
            reason: for the log, and for who asks later; not empty.

        Returns:
            How many there were of them.

        Raises:
            NotReadyError: it does not run, or did not answer in time.
        """
        return await self._running().end_sessions(connections, reason)

    def _running(self) -> Engine:
        if self._engine is None:
            raise NotReadyError("the broker is not running")
        return self._engine

    @property
    def pages(self) -> str:
        """Address of its monitoring pages in this process, a Unix socket; empty while there are none."""
        pages = self._private.get(_PAGES)
        return pages.address if pages and self.ports.listening and self.alive else ""

    async def connect(
        self, account: str, operator: Operator | None, accounts: Collection[str], options: Mapping[str, Any]
    ) -> Client:
        """Connect a NATS client through the bridge.

        Args:
            account: as for ``bridge.login_to``, as are operator and accounts.
            operator: whose accounts there are, None when the broker has its own.
            accounts: the broker's own accounts.
            options: of the client; they go before those of the login.

        Raises:
            NotReadyError: it is not ready, or there is no way into the account.
        """
        if not self.ports.listening:
            raise NotReadyError("the broker is not running")
        login = login_to(account, operator, accounts, self.bridge_secret)
        return await connected(self._private[_BRIDGE].address, {**login, **options})

    def way_in(self, account: str, operator: Operator | None, accounts: Collection[str]) -> WayIn:
        """Tell the way through the bridge, for a process of the broker.

        Args:
            account: as for ``bridge.login_to``, as are operator and accounts.
            operator: whose accounts there are, None when the broker has its own.
            accounts: the broker's own accounts.

        Raises:
            NotReadyError: it is not ready, or there is no way into the account.
        """
        if not self.ports.listening or self._place is None:
            raise NotReadyError("the broker is not running")
        if operator:
            return WayIn(str(self._place), _BRIDGE, credentials=str(credentials_file(operator, account)))
        login = login_to(account, None, accounts, self.bridge_secret)
        return WayIn(str(self._place), _BRIDGE, login["user"], login["password"])

    @contextlib.asynccontextmanager
    async def running(
        self,
        settings: Settings,
        rendered: Rendered,
        handlers: EngineHandlers,
        stop: asyncio.Event,
        held: HeldGate | None = None,
    ) -> AsyncIterator[None]:
        """Run it as long as the context lasts, in which it is ready, or somebody asked the broker to stop.

        Args:
            settings: what the broker was told.
            rendered: the engine's configuration.
            handlers: who is told what it has to say.
            stop: set when the broker is to stop.
            held: where whoever answered its questions in between has stopped.

        Raises:
            OSError: it could not be started.
            NotReadyError: it took too long to get ready.
            EngineDiedError: it ended by itself.
            ForcedShutdownError: it had to be killed.
            GateError: it broke the protocol of the gate.
        """
        self._grace = settings.network.soft_shutdown_timeout
        left = self._inheritance.left
        with RunDirectory(left.directory if left else None) as directory:
            self._directory, self._place = directory, directory.path
            # An engine that was left has had its first words; what is revoked it hears with the next ones.
            revoked = "" if left else await self._revoked(settings)
            hello = hello_for(settings, rendered, self.bridge_secret, self._limits, revoked)
            spec = self._launch_spec(directory, left.text if left else rendered.text, hello)
            keys = () if left else settings.tls.outside
            try:
                async with self._process(spec, keys, handlers, held) as engine:
                    self.ports = await engine.ready(self._limits.ready, stop.wait())
                    self._configuration = engine.configuration
                    yield
                    self._text, self._configuration = self._configuration.text, None
                if self._succession.leaving:
                    directory.kept = True
                    self._inheritance.leave(engine)
                    return
            finally:
                self.ports, self._directory = Ports(), None
        if not engine.ended_in_time:
            after = durations.in_go(self._grace)
            raise ForcedShutdownError(f"Forced shutdown triggered after {after}: the engine was killed")

    def _launch_spec(self, directory: RunDirectory, text: str, hello: Hello) -> LaunchSpec:
        """Open its sockets, and say what it is started with."""
        write = functools.partial(directory.write, "engine.conf")
        return LaunchSpec(self._binary, text, write, hello, lambda: self._grace, self._listeners(directory))

    @contextlib.asynccontextmanager
    async def _process(
        self, spec: LaunchSpec, keys: Collection[Path], handlers: EngineHandlers, held: HeldGate | None
    ) -> AsyncIterator[Engine]:
        """Have its process and the key processes run as long as the context lasts; it need not be ready."""
        left = self._inheritance.left
        async with (
            self.keys.running(keys) as names,
            running(
                replace(spec, hello=replace(spec.hello, keys=names)),
                self._heard_by(handlers),
                self._limits,
                self._inheritance.adopted(left, held) if left else None,
                self._succession,
            ) as engine,
        ):
            self.pid, self.since = engine.pid, left.since if left else time.time()
            self.processes = Processes(lambda: (os.getpid(), engine.pid, *self.keys.pids))
            self._engine, self.counters = engine, engine.counters
            yield engine

    def _heard_by(self, handlers: EngineHandlers) -> EngineHandlers:
        """Hear its version too."""

        def greeted(versions: Versions) -> None:
            self.nats = versions.nats
            handlers.greeted(versions)

        return replace(handlers, greeted=greeted)

    def _listeners(self, directory: RunDirectory) -> dict[str, socket.socket]:
        """Open the sockets of this host's own ways into the engine, or find those of an engine that was left."""
        reached = directory.taken_over if self._inheritance.left else directory.listen
        self._private = {name: reached(name) for name in (_BRIDGE, *([_PAGES] if self.has_pages else []))}
        found = {f"--{name}-fd": each.listener for name, each in self._private.items() if each.listener}
        return found if self._inheritance.left else found | {"--keys-fd": self.keys.socket_for_engine()}
