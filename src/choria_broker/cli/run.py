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

from choria_broker import __version__, systemd
from choria_broker.announcements import go_duration
from choria_broker.broker import NetworkBroker
from choria_broker.cli.check import report, show_findings
from choria_broker.cli.options import configuration
from choria_broker.cli.signals import NAMES, Signals
from choria_broker.config.facts import Overrides
from choria_broker.config.findings import Finding, Severity
from choria_broker.config.load import Loaded, load
from choria_broker.config.settings import LogLevel, Settings
from choria_broker.engine.binary import EngineMissingError
from choria_broker.errors import BrokerError, ConfigurationError, EngineDiedError, ForcedShutdownError, ReloadError
from choria_broker.log import component, configure

_log = component("broker")


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
        raise SystemExit(
            _fail("Could not configure Choria: broker run failed to configure: configuration file required")
        )
    if only_check:
        raise SystemExit(report(config, overrides))
    signals = Signals()
    signals.install()
    loaded = load(config, overrides)
    if loaded.settings is None:
        show_findings(loaded.findings)
        raise SystemExit(
            _fail("Could not configure Choria: broker run failed to configure: the configuration has errors, see above")
        )
    with _profiled(profile):
        raise SystemExit(_run(loaded.settings, loaded, signals, pid=pid, debug=debug))


def _fail(message: str) -> int:
    click.echo(message, err=True)
    return 1


def _run(settings: Settings, loaded: Loaded, signals: Signals, *, pid: Path | None, debug: bool) -> int:
    try:
        configure(settings.logfile, LogLevel.DEBUG if debug else settings.loglevel)
    except OSError as error:
        return _fail(f"Could not open the log file of setting logfile, {settings.logfile}: {error.strerror}")
    _log_findings(loaded.findings)
    try:
        broker = NetworkBroker(settings, findings=loaded.findings, debug=debug, srv_lookups=loaded.srv_lookups)
        _log.info(f"Choria Broker version {__version__} starting with config {settings.source}")
        with _pid_file(pid):
            uvloop.run(_serve(broker, signals))
    except ConfigurationError as error:
        _log_findings(error.findings)
        return _fail(f"Could not run Choria: {error}")
    except EngineDiedError as error:
        _log.critical("The engine died, so does the broker", status=error.status, last_lines=list(error.last_lines))
        return _fail(f"Could not run Choria: {error}")
    except ForcedShutdownError as error:
        _log.critical(str(error))
        return _fail(str(error))
    except (BrokerError, EngineMissingError, OSError) as error:
        _log.critical(str(error))
        return _fail(f"Could not run Choria: {error}")
    return 0


async def _serve(broker: NetworkBroker, signals: Signals) -> None:
    """Run the broker until a signal asks it to stop."""
    grace = broker.settings.network.soft_shutdown_timeout

    def stop(number: signal.Signals) -> None:
        if broker.stopping:
            _log.warning(f"Already shutting down, ignoring {NAMES[number]}")
            return
        _log.info(f"Shutting down on {NAMES[number]}")
        _log.info(f"Setting forced shutdown to {go_duration(grace)}")
        broker.stop()

    reload = asyncio.Event()
    with signals.handed_to(stop, reload.set):
        async with broker, asyncio.TaskGroup() as tasks:
            # What was loaded so far stays: the collector need not walk it again while connections wait for verdicts.
            gc.collect()
            gc.freeze()
            if broker.started:
                _notify("READY=1")
            reloading = tasks.create_task(_reload_when(reload, broker), name="reload")
            await broker.wait_stop()
            reloading.cancel()
            _notify("STOPPING=1")


async def _reload_when(wanted: asyncio.Event, broker: NetworkBroker) -> None:
    """Reload each time it is wanted; requests that come together are one."""
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            findings = await broker.reload()
        except ConfigurationError as error:
            _log_findings(error.findings)
            _log.error("Reload refused, nothing has changed")
        except ReloadError as error:
            _log.warning(str(error))
        except (BrokerError, OSError) as error:
            _log.error("Reload failed", why=str(error))
        except Exception:  # noqa: BLE001 - a change of accounts must never end the broker
            _log.exception("Reload failed")
        else:
            _log_findings(findings)
            operator = broker.settings.network.operator
            _log.info("Reloaded the accounts of the operator", accounts=len(operator.accounts) if operator else 0)


def _notify(state: str) -> None:
    try:
        systemd.notify(state)
    except OSError as error:
        _log.warning(
            f"Cannot tell the service manager {state}: NOTIFY_SOCKET names no socket that listens", why=str(error)
        )


def _log_findings(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        match finding.severity:
            case Severity.REFUSE | Severity.SKIP:
                _log.error(str(finding), code=finding.code)
            case Severity.WARN if finding.lenient:
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
    try:
        yield
    finally:
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
