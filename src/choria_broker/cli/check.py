"""``choria-broker check``: what a configuration file means, and whether a broker would start with it now."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from choria_broker.cli import at_start
from choria_broker.cli.answers import print_json
from choria_broker.cli.options import as_json, configuration
from choria_broker.config.load import load
from choria_broker.config.resolve.host_limits import judge_limits
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.documentation import HelpKind, help_for
from choria_broker.engine import binary
from choria_broker.engine.conf.objections import setting_behind
from choria_broker.engine.conf.render import Rendered, render
from choria_broker.host.limits import read_limits
from choria_broker.host.private_file import replace_file
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding, blocking
from choria_broker.streams.store import store_findings

_ENGINE_CONFIG = "engine.conf"
_COLOURS = {Severity.REFUSE: "red", Severity.SKIP: "magenta", Severity.WARN: "yellow", Severity.INFO: "cyan"}


class Outcome(msgspec.Struct, frozen=True):
    """What a check found.

    Attributes:
        findings: everything worth saying, the engine's own objection included.
        files: files that were read, in order.
        rendered: the engine's configuration, None when the settings are not usable, or no network broker is to run.
        running: process of the broker that runs with the configuration, 0 when none does.
        seen: what was looked at beside the configuration, each a few words.
        unseen: what was not looked at, each a few words.
        usable: the configuration came to settings.
    """

    findings: tuple[Finding, ...]
    files: tuple[Path, ...]
    rendered: Rendered | None
    running: int = 0
    seen: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    usable: bool = True

    @property
    def passed(self) -> bool:
        """The broker would start."""
        return self.usable and not blocking(self.findings)

    @property
    def sentence(self) -> str:
        """What a start would come to."""
        if not self.passed:
            return "The broker would not start."
        if self.running:
            return (
                f"The broker would start after the one that runs with this configuration, process {self.running}, has "
                "stopped."
            )
        return "The broker would start."


@click.command()
@configuration
@as_json
def check(
    *,
    config: Path | None,
    overrides: Overrides,
    as_json: bool,
) -> None:
    """Check a configuration file: print every finding, and the engine configuration made from it with secrets masked.

    The ports are tried, except those that the running broker of this configuration uses.

    Exit status 0: the broker would start. 1: it would not start.
    """
    if config is None:
        click.echo("configuration file required", err=True)
        raise SystemExit(1)
    raise SystemExit(report(config, overrides, as_json=as_json))


def report(config: Path, overrides: Overrides, *, as_json: bool = False, pid: Path | None = None) -> int:
    """Check a configuration file and print what was found.

    Args:
        config: the file.
        overrides: choices of the command line.
        as_json: print one JSON document.
        pid: file for the process id; None when none is given.

    Returns:
        The exit status: 0 when the broker would start, else 1.
    """
    outcome = examine(config, overrides, pid)
    if as_json:
        print_json(_document(config, outcome))
    else:
        show_findings(outcome.findings)
        if outcome.rendered:
            click.echo(outcome.rendered.masked, nl=False)
        if told := most_severe(outcome.findings):
            click.echo(f"More: {help_for(HelpKind.FINDING, told.code)}", err=True)
        if outcome.seen:
            click.echo(f"Checked: {'; '.join(outcome.seen)}.", err=True)
        if outcome.unseen:
            click.echo(f"Not checked: {'; '.join(outcome.unseen)}.", err=True)
        click.echo(outcome.sentence, err=True)
    return 0 if outcome.passed else 1


def examine(config: Path, overrides: Overrides, pid: Path | None = None) -> Outcome:
    """Read a configuration file, render it, and have the engine judge the result when there is an engine.

    Args:
        config: the file.
        overrides: choices of the command line.
        pid: file for the process id; None when none is given.
    """
    loaded = load(config, overrides)
    if loaded.settings is None:
        return Outcome(loaded.findings, loaded.files, None, usable=False)
    rendered = render(loaded.settings) if loaded.settings.network_enabled else None
    start = at_start.look(config, loaded.settings, pid)
    found = (
        *start.findings,
        *store_findings(loaded.settings, loaded.findings),
        *judge_limits(loaded.settings, read_limits()),
        *(_engine_findings(rendered, loaded.settings) if rendered else ()),
    )
    store = loaded.settings.network.streams.store if loaded.settings.network_enabled else None
    seen = (*start.seen, *((f"the streams' store and its disk, {store}",) if store else ()))
    return Outcome((*loaded.findings, *found), loaded.files, rendered, start.running, seen, start.unseen)


def examine_as_document(config: Path, overrides: Overrides) -> Mapping[str, object]:
    """Do the same, and make one document of it, in which secrets are masked."""
    return _document(config, examine(config, overrides))


def most_severe(findings: tuple[Finding, ...]) -> Finding | None:
    """Return the first of the worst findings; None when there is nothing but information."""
    order = list(Severity)
    told = [each for each in findings if each.severity is not Severity.INFO]
    return min(told, key=lambda finding: order.index(finding.severity)) if told else None


def show_findings(findings: tuple[Finding, ...]) -> None:
    """Print findings to standard error, one a line, the worst first."""
    order = list(Severity)
    for finding in sorted(findings, key=lambda finding: order.index(finding.severity)):
        label = click.style(f"{finding.severity.value}:", fg=_COLOURS[finding.severity], bold=True)
        click.echo(f"{label} {finding}", err=True)


def _engine_findings(rendered: Rendered, settings: Settings) -> tuple[Finding, ...]:
    try:
        engine = binary.locate()
        with tempfile.TemporaryDirectory(prefix="choria-broker-check-") as directory:
            path = Path(directory) / _ENGINE_CONFIG
            replace_file(path, rendered.text)
            binary.check(engine, path)
    except binary.EngineMissingError as error:
        return (
            Finding(
                severity=Severity.REFUSE,
                code=Code.ENGINE_MISSING,
                problem=str(error).rstrip("."),
            ),
        )
    except binary.EngineConfigError as error:
        key = setting_behind(str(error), rendered.masked, settings)
        return (
            Finding(
                severity=Severity.REFUSE,
                code=Code.ENGINE_REFUSES,
                problem=f"the engine refuses its configuration: {error}",
                origin=settings.origin(key),
                key=key,
            ),
        )
    return ()


def _document(config: Path, outcome: Outcome) -> dict[str, object]:
    return {
        "config": str(config),
        "starts": outcome.passed,
        "running": outcome.running,
        "looked_at": list(outcome.seen),
        "not_looked_at": list(outcome.unseen),
        "files": [str(path) for path in outcome.files],
        "findings": [
            {
                "severity": finding.severity.value,
                "code": finding.code,
                "file": finding.origin.file,
                "line": finding.origin.line,
                "key": finding.key,
                "value": finding.value,
                "problem": finding.problem,
                "effect": finding.effect,
                "remedy": finding.remedy,
                "docs": help_for(HelpKind.FINDING, finding.code),
            }
            for finding in outcome.findings
        ],
        "engine_configuration": outcome.rendered.masked if outcome.rendered else None,
    }
