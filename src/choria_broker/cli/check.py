"""``choria-broker check``: what a configuration file means, without opening a port."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import click

from choria_broker.cli.options import configuration
from choria_broker.config.facts import Overrides
from choria_broker.config.findings import Finding, Severity, refusals
from choria_broker.config.load import load
from choria_broker.config.settings import Settings
from choria_broker.engine import binary
from choria_broker.engine.blame import blamed
from choria_broker.engine.render import Rendered, render

_ENGINE_CONFIG = "engine.conf"
_COLOURS = {Severity.REFUSE: "red", Severity.SKIP: "magenta", Severity.WARN: "yellow", Severity.INFO: "cyan"}


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found.

    Attributes:
        findings: everything worth saying, the engine's own objection included.
        files: files that were read, in order.
        rendered: the engine's configuration, None when the settings are not usable.
    """

    findings: tuple[Finding, ...]
    files: tuple[Path, ...]
    rendered: Rendered | None

    @property
    def passed(self) -> bool:
        """The broker would start."""
        return self.rendered is not None and not refusals(self.findings)


@click.command()
@configuration
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def check(
    *,
    config: Path | None,
    debug: bool,
    disable_tls: bool,
    disable_ssl_verification: bool,
    lenient_config: bool,
    as_json: bool,
) -> None:
    """Check a configuration file: print every finding and the engine configuration made of it, secrets masked.

    Exit status 0: the broker would start. 1: it would not.
    """
    if config is None:
        click.echo("configuration file required", err=True)
        raise SystemExit(1)
    overrides = Overrides(
        debug=debug,
        disable_tls=disable_tls,
        disable_ssl_verification=disable_ssl_verification,
        lenient=lenient_config,
    )
    raise SystemExit(report(config, overrides, as_json=as_json))


def report(config: Path, overrides: Overrides, *, as_json: bool = False) -> int:
    """Check a configuration file and print what was found.

    Returns:
        The exit status: 0 when the broker would start, else 1.
    """
    outcome = examine(config, overrides)
    if as_json:
        click.echo(json.dumps(_document(config, outcome), indent=2))
    else:
        show_findings(outcome.findings)
        if outcome.rendered:
            click.echo(outcome.rendered.shown, nl=False)
        click.echo("The broker would start." if outcome.passed else "The broker would not start.", err=True)
    return 0 if outcome.passed else 1


def examine(config: Path, overrides: Overrides) -> Outcome:
    """Read a configuration file, render it, and have the engine judge the result when there is an engine."""
    loaded = load(config, overrides)
    if loaded.settings is None:
        return Outcome(loaded.findings, loaded.files, None)
    monitoring = bool(loaded.settings.statistics.port)
    rendered = render(loaded.settings, monitoring=monitoring, debug=overrides.debug)
    return Outcome((*loaded.findings, *_engine_findings(rendered, loaded.settings)), loaded.files, rendered)


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
            path.touch(mode=0o600)
            path.write_text(rendered.text, encoding="utf-8")
            binary.check(engine, path)
    except binary.EngineMissingError as error:
        return (
            Finding(
                severity=Severity.REFUSE,
                code="engine-missing",
                problem=str(error).rstrip("."),
                effect="the broker does not start",
                remedy="install the engine, then check again",
            ),
        )
    except binary.EngineConfigError as error:
        key = blamed(str(error), rendered.shown, settings)
        return (
            Finding(
                severity=Severity.REFUSE,
                code="engine-refuses",
                problem=f"the engine refuses its configuration: {error}",
                effect="the broker does not start",
                remedy="find the setting the message speaks of; if the settings are right, report this as a fault",
                origin=settings.origin(key),
                key=key,
            ),
        )
    return ()


def _document(config: Path, outcome: Outcome) -> dict[str, object]:
    return {
        "config": str(config),
        "starts": outcome.passed,
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
            }
            for finding in outcome.findings
        ],
        "engine_configuration": outcome.rendered.shown if outcome.rendered else None,
    }
