"""One life of the process, from the first signal to the exit status.

Configuration, log, process id, then the services: each is started when those before it serve, and stopped while those
before it still do. The end of one, whatever the reason, is the end of all; the service manager starts anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import click
import uvloop

from choria_broker import __version__
from choria_broker.background import beside
from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.engine.binary import EngineMissingError
from choria_broker.errors import BrokerError, ConfigurationError, EngineDiedError, ForcedShutdownError
from choria_broker.host.commands import COMMANDS
from choria_broker.host.succession import Succession, SuccessionError
from choria_broker.log.findings import log_findings
from choria_broker.log.structured import component, configure, drain
from choria_broker.service import systemd
from choria_broker.service.again import Left, broker_after, left_by
from choria_broker.service.pid_file import pid_file
from choria_broker.service.pulse import Pulse
from choria_broker.service.reloading import announced
from choria_broker.service.signals import Signals
from choria_broker.service.stopping import Stop
from choria_broker.service.upgrading import Upgrades, become
from choria_broker.status.reloads import Trigger
from choria_broker.upgrade.program import this_program
from choria_broker.values import replace

_log = component("broker")

_WHILE_LOADING = 0.0005
"""Seconds for which the thread that loads libraries keeps the loop waiting, as long as it runs Python itself."""

LATER = (
    "choria_broker.companions.process",
    "choria_broker.config.text.unknown_keys",
    "choria_broker.stats.metrics",
    "choria_broker.upgrade.relief",
    "choria_broker.upgrade.trial",
    "nacl.bindings",
)
"""What no start needs and a broker that runs may: it is loaded once connections are served, and not when it is needed,
for by then the files of another version may lie in its place."""


class Service(Protocol):
    """What the process runs: it serves from ``async with`` on, and cancels the body and raises when it cannot go on."""

    @property
    def started(self) -> bool:
        """It serves."""
        ...

    def stop(self) -> None:
        """Give up a start that is under way; returns at once."""
        ...

    async def __aenter__(self) -> object:
        """Start."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Stop."""
        ...


def run(config: Path, overrides: Overrides, *, pid: Path | None = None) -> int:
    """Run what a configuration file describes until a signal asks for the end; call this on the main thread.

    Args:
        config: the file.
        overrides: choices of the command line.
        pid: file for the process id.

    Returns:
        The exit status; what is to be said about it was said in the log and on standard error.

    Raises:
        ConfigurationError: the configuration cannot be used, and so there is no log either.
    """
    signals = Signals()
    signals.install()
    with contextlib.suppress(OSError, ValueError):  # There may be no standard error to write to.
        faulthandler.enable()
    loaded = load(config, overrides)
    settings = loaded.settings
    if settings is None:
        raise ConfigurationError(loaded.findings)
    try:
        configure(settings.logfile, settings.loglevel)
    except OSError as error:
        return failed(f"Could not open the log file of setting logfile, {settings.logfile}: {error.strerror}")
    log_findings(loaded.findings)

    def broker() -> NetworkBroker:
        made = NetworkBroker.from_loaded(loaded, overrides)
        _log.info(f"Choria Broker version {__version__} starting with config {settings.source}")
        return made

    return _live(broker, Left(config=config, overrides=overrides, pid=pid), signals)


def go_on(succession: Succession, problem: str = "") -> int:
    """Go on where the program stopped that this process ran before; call this on the main thread.

    Args:
        succession: what that has left.
        problem: why it is this program that goes on and not the installed one; empty after an upgrade.

    Returns:
        The exit status, as of ``run``.
    """
    signals = Signals()
    signals.install()
    signals.release()
    try:
        left, broker = left_by(succession), broker_after(succession)
        configure(broker.settings.logfile, broker.settings.loglevel)
    except (BrokerError, SuccessionError, EngineMissingError, OSError) as error:
        return failed(f"Could not continue after an upgrade: {error}")
    return _live(lambda: broker, replace(left, problem=problem), signals)


def _live(make: Callable[[], NetworkBroker], left: Left, signals: Signals) -> int:
    """Make a broker and run it to its end, or until another program does.

    Returns:
        The exit status.
    """
    program = this_program()
    try:
        broker = make()
        with pid_file(left.pid, kept=lambda: broker.succession.leaving), systemd.told():
            uvloop.run(_serve([broker], broker, signals, Upgrades(program, left)))
        if broker.succession.leaving:
            COMMANDS.give_up()
            try:
                become(program, broker.succession, signals.hold)
            except OSError as error:
                COMMANDS.go_on()
                return go_on(broker.succession.kept(), f"the installed program cannot be executed: {error.strerror}")
    except ConfigurationError as error:
        log_findings(error.findings)
        return failed(f"Could not run Choria: {error}")
    except EngineDiedError as error:
        _log.critical(
            "The engine ended unexpectedly, so the broker ends too",
            status=error.status,
            last_lines=list(error.last_lines),
        )
        return failed(f"Could not run Choria: {error}")
    except ForcedShutdownError as error:
        _log.critical(str(error))
        return failed(str(error))
    except (BrokerError, EngineMissingError, OSError) as error:
        _log.critical(str(error))
        return failed(f"Could not run Choria: {error}")
    return 0


def failed(message: str) -> int:
    """Say on standard error, after the last line of the log, why the process ends; return its exit status."""
    drain()
    click.echo(message, err=True)
    return 1


async def _serve(services: Sequence[Service], broker: NetworkBroker, signals: Signals, upgrades: Upgrades) -> None:
    """Run services until a signal asks for the end, or another program takes over."""

    def stop_all() -> None:
        for service in services:
            service.stop()

    def reload() -> None:
        broker.reloads.want(Trigger("signal", "SIGHUP"))

    def upgrade() -> None:
        upgrades.want("SIGUSR2")

    stop, pulse = Stop(broker, stop_all), Pulse(broker)
    broker.upgrade = upgrades.want
    broker.reloads.around = lambda: announced(broker)
    with signals.handed_to(stop.ask, reload, upgrade, lambda: broker.succession.leaving):
        async with pulse.beating(), contextlib.AsyncExitStack() as running:
            for service in services:
                await running.enter_async_context(service)
            # The collector passes over what was loaded so far, which stays. It is not collected first: that takes a
            # tenth of the start, and finds next to nothing.
            gc.freeze()
            gc.enable()
            if all(service.started for service in services):
                systemd.tell("READY=1")
                pulse.shows()
            await upgrades.arrived(broker)
            async with (
                beside(upgrades.serve(broker), "upgrade") as upgrading,
                beside(stop.wanted(), "stop") as stopping,
                beside(_keep_loaded(broker), "loading"),
            ):
                await asyncio.wait({upgrading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not broker.succession.leaving:
                pulse.stops()
                await stop.made_ready()


async def _keep_loaded(broker: NetworkBroker) -> None:
    """Load the rest while the first connections come, which wait for the thread that loads, and keep it too."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_WHILE_LOADING)
    try:
        await broker.loaded.wait()
        for module in LATER:
            await asyncio.to_thread(importlib.import_module, module)
    finally:
        sys.setswitchinterval(before)
    gc.collect()
    gc.freeze()
