"""``choria-broker upgrade``: have a running broker go on with the installed program."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from choria_broker.control.client import ControlError, ask_upgrade
from choria_broker.status.document import UpgradeReport
from choria_broker.wording import plain

_RESTART_NEEDED = 3


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    help="Configuration file that the broker was started with.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def upgrade(*, config: Path, as_json: bool) -> None:
    """Have a running broker go on with the program that is installed by now; connections are kept.

    Exit status 0: it has. 3: it has, but its engine is older than the installed one and needs a restart. 1: nothing
    has changed, because the installed program cannot take over, or the broker could not be asked.
    """
    try:
        report = ask_upgrade(config)
    except ControlError as error:
        if as_json:
            click.echo(json.dumps({"result": "refused", "reason": str(error)}, indent=2))
        else:
            click.echo(plain(str(error)), err=True)
        raise SystemExit(1) from error
    if as_json:
        click.echo(json.dumps({"result": "upgraded"} | msgspec.to_builtins(report), indent=2))
    else:
        click.echo("\n".join(map(plain, text(report))))
    raise SystemExit(_RESTART_NEEDED if report.engine else 0)


def text(report: UpgradeReport) -> tuple[str, ...]:
    """Write a report for people, line by line."""
    done = f"Version {report.after} goes on in place of version {report.before}, after {report.seconds:.1f} s."
    if report.engine:
        return done, "Restart needed: the engine is older than the installed one."
    return (done,)
