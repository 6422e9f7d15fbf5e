"""``choria-broker run``: serve until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import uvloop

from choria_broker import __version__, dumps, systemd
from choria_broker.broker import NetworkBroker
from choria_broker.cli.check import report, show_findings
from choria_broker.cli.options import configuration
from choria_broker.config.facts import Overrides
from choria_broker.config.findings import Finding, Severity
from choria_broker.config.load import load
from choria_broker.config.settings import LogLevel, Settings
from choria_broker.engine.binary import EngineMissingError
from choria_broker.engine.gate import GateError
from choria_broker.errors import BrokerError, ConfigurationError, EngineDiedError, ForcedShutdownError
from choria_broker.log import component, configure

_log = component("broker")
_NAMES = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}


@click.command()
@configuration
@click.option("--pid", type=click.Path(path_type=Path), help="File to write the process id to.")
@click.option("--check", "only_check", is_flag=True, help="Only check the configuration, open no port.")
@click.option("--connect-timeout", hidden=True, help="Accepted and ignored.")
@click.option("--profile", type=click.Path(path_type=Path), hidden=True, help="Write a CPU profile to this file.")
def run(  # noqa: PLR0913 - one parameter per option
    *,
    config: Path | None,
    pid: Path | None,
    debug: bool,
    disable_tls: bool,
    disable_ssl_verification: bool,
    lenient_config: bool,
    only_check: bool,
    connect_timeout: str | None,
    profile: Path | None,
) -> None:
    """Run the broker a Choria configuration file describes."""
    del connect_timeout
    overrides = Overrides(
        debug=debug,
        disable_tls=disable_tls,
        disable_ssl_verification=disable_ssl_verification,
        lenient=lenient_config,
    )
    if config is None:
        raise SystemExit(_fail("configuration file required"))
    if only_check:
        raise SystemExit(report(config, overrides))
    loaded = load(config, overrides)
    if loaded.settings is None:
        show_findings(loaded.findings)
        raise SystemExit(_fail("Could not configure Choria: the configuration has errors, see above"))
    with _profiled(profile):
        raise SystemExit(_run(loaded.settings, loaded.findings, pid=pid, debug=debug, config=config))


def _fail(message: str) -> int:
    click.echo(message, err=True)
    return 1


def _run(settings: Settings, findings: tuple[Finding, ...], *, pid: Path | None, debug: bool, config: Path) -> int:
    try:
        configure(settings.logfile, LogLevel.DEBUG if debug else settings.loglevel)
    except OSError as error:
        return _fail(f"Could not open the log file of setting logfile, {settings.logfile}: {error.strerror}")
    _log_findings(findings)
    try:
        broker = NetworkBroker(settings, findings=findings, debug=debug)
        _log.info(f"Choria Broker version {__version__} starting with config {config}")
        with _pid_file(pid):
            uvloop.run(_serve(broker))
    except ConfigurationError as error:
        _log_findings(error.findings)
        return _fail(f"Could not run Choria: {error}")
    except EngineDiedError as error:
        _log.critical("The engine died, so does the broker", status=error.status, last_lines=list(error.last_lines))
        return _fail(f"Could not run Choria: {error}")
    except ForcedShutdownError as error:
        path = dumps.write_thread_dump()
        _log.critical(f"Forced shutdown triggered: {error}", dump=str(path))
        return _fail(str(error))
    except (BrokerError, EngineMissingError, GateError, OSError) as error:
        _log.critical(str(error))
        return _fail(f"Could not run Choria: {error}")
    return 0


async def _serve(broker: NetworkBroker) -> None:
    """Run the broker under the signals a service manager and an operator send."""
    loop = asyncio.get_running_loop()
    grace = broker.settings.network.soft_shutdown_timeout

    def stop(number: signal.Signals) -> None:
        if broker.stopping:
            _log.warning(f"Already shutting down, ignoring {_NAMES[number]}")
            return
        _log.info(f"Shutting down on {_NAMES[number]}")
        _log.info(f"Setting forced shutdown to {_go_duration(grace if grace > 0 else 10.0)}")
        broker.stop()

    def dump() -> None:
        with contextlib.suppress(OSError):
            _log.warning("Wrote the stacks of all threads", path=str(dumps.write_thread_dump(loop)))

    for number in _NAMES:
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGQUIT, dump)
    loop.add_signal_handler(
        signal.SIGHUP,
        _log.warning,
        "Reload is not in this version; restart the broker to apply a changed configuration",
    )
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.add_signal_handler(number, lambda: None)
    async with broker:
        # What was loaded so far stays: the collector need not walk it again while connections wait for their verdict.
        gc.collect()
        gc.freeze()
        if broker.started:
            systemd.notify("READY=1")
        await broker.wait_stop()
        systemd.notify("STOPPING=1")


def _log_findings(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        match finding.severity:
            case Severity.REFUSE | Severity.SKIP:
                _log.error(str(finding), code=finding.code)
            case Severity.WARN:
                _log.warning(str(finding), code=finding.code)
            case Severity.INFO:
                _log.info(str(finding), code=finding.code)


@contextlib.contextmanager
def _pid_file(path: Path | None) -> Iterator[None]:
    """Hold a file with the broker's process id; the file goes when the broker ends in order."""
    if path is None:
        yield
        return
    try:
        _replace(path, str(os.getpid()))
    except OSError as error:
        raise BrokerError(f"could not write the process id to {path}, given with --pid: {error.strerror}") from error
    yield
    path.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    """Write a file anew, so that nothing is written through a link that somebody else put there."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            os.fchmod(descriptor, 0o644)
            stream.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _profiled(path: Path | None) -> Iterator[None]:
    """Profile the main thread into a file that ``python -m pstats`` reads."""
    if path is None:
        yield
        return
    import cProfile  # noqa: PLC0415 - loaded only when somebody profiles

    profiler = cProfile.Profile()
    profiler.enable()
    try:
        yield
    finally:
        profiler.disable()
        profiler.dump_stats(path)


def _go_duration(seconds: float) -> str:
    """Write a duration the way the original program's log does: ``1m0s``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
