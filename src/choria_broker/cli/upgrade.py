"""``choria-broker upgrade``: have a running broker go on with the installed program."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from choria_broker.cli.answers import fail, print_json, show
from choria_broker.cli.options import as_json, running_broker
from choria_broker.cli.progress import progress
from choria_broker.control.client import ControlError, EndedError, ask_upgrade
from choria_broker.status.document import UpgradeReport

_RESTART_NEEDED = 3


@click.command()
@running_broker
@as_json
def upgrade(*, config: Path, as_json: bool) -> None:
    """Replace the program of a running broker with the installed version; connections are kept.

    Exit status 0: done. 3: done, but the engine is older than the installed one and needs a restart. 1: nothing has
    changed, because the installed program cannot take over or the broker could not be asked; or the broker ended during
    the upgrade, and its connections with it.
    """
    try:
        with progress("Trying the installed program, and handing over to it"):
            report = ask_upgrade(config)
    except ControlError as error:
        if as_json:
            result = "ended" if isinstance(error, EndedError) else "refused"
            print_json({"result": result, "reason": str(error)})
            raise SystemExit(1) from error
        fail(str(error))
    show({"result": "upgraded"} | msgspec.to_builtins(report), text(report), as_json=as_json)
    raise SystemExit(_RESTART_NEEDED if report.engine else 0)


def text(report: UpgradeReport) -> tuple[str, ...]:
    """Write a report for people, line by line."""
    done = f"Version {report.after} has replaced version {report.before}, after {report.seconds:.1f} s."
    if report.engine:
        return done, "Restart needed: the engine is older than the installed one."
    return (done,)
