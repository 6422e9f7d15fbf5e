"""``choria-broker run``: serve until told to stop."""

from __future__ import annotations

from pathlib import Path

import click

from choria_broker.cli.options import configuration
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.errors import ConfigurationError
from choria_broker.service import process
from choria_broker.service.profiling import profiled

_CANNOT = "Could not configure Choria: broker run failed to configure:"


@click.command()
@configuration
@click.option("--pid", type=click.Path(path_type=Path), help="File for the process id.")
@click.option("--check", "only_check", is_flag=True, help="Only check the configuration, as the command check does.")
@click.option("--connect-timeout", hidden=True, expose_value=False, help="Accepted and ignored.")
@click.option("--profile", type=click.Path(path_type=Path), hidden=True, help="Write a CPU profile to this file.")
def run(*, config: Path | None, overrides: Overrides, pid: Path | None, only_check: bool, profile: Path | None) -> None:
    """Run the broker a Choria configuration file describes."""
    if config is None:
        raise SystemExit(process.failed(f"{_CANNOT} configuration file required"))
    if only_check:
        from choria_broker.cli.check import report  # noqa: PLC0415 - a start does not need it

        raise SystemExit(report(config, overrides, pid=pid))
    try:
        with profiled(profile):
            status = process.run(config, overrides, pid=pid)
    except ConfigurationError as error:
        from choria_broker.cli.check import show_findings  # noqa: PLC0415 - the same

        show_findings(error.findings)
        status = process.failed(f"{_CANNOT} the configuration has errors, see above")
    raise SystemExit(status)
