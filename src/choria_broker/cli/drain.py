"""``choria-broker drain``: have a running broker move its connections elsewhere."""

from __future__ import annotations

import time
from pathlib import Path

import click

from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import Duration, as_json, running_broker
from choria_broker.cli.progress import progress
from choria_broker.control.client import ask_drain
from choria_broker.control.protocol import DrainRequest
from choria_broker.status.drains import DRAINED, DRAINING, OFF, DrainReport

_LOOK_EVERY = 0.5
_TAKEN_BACK = 3


@click.command()
@running_broker
@click.option(
    "--over", type=Duration(), default="60s", show_default=True, help="Time over which connections are moved."
)
@click.option("--cancel", is_flag=True, help="Cancel a drain: connections are accepted again.")
@click.option("--no-wait", is_flag=True, help="Do not wait until everything has moved.")
@as_json
def drain(*, config: Path, over: float, cancel: bool, no_wait: bool, as_json: bool) -> None:
    """Move the connections and stream leaders of a running broker to other brokers.

    New connections are refused until the broker restarts, or the drain is cancelled with --cancel. Links to other
    brokers stay. During a drain, --over sets the time for the remaining connections. The command waits until everything
    has moved; if you interrupt it, the drain continues.

    Exit status 0: everything has moved, or with --no-wait the drain has begun. 3: somebody cancelled the drain. 1: the
    broker could not be asked, cannot drain, or ended.
    """
    with asking():
        if cancel:
            report = ask_drain(config, DrainRequest("cancel"))
        else:
            report = ask_drain(config, DrainRequest("begin", over))
            if not no_wait:
                report = _followed(config, report, quiet=as_json)
    show(report, (_conclusion(report, cancel=cancel),), as_json=as_json)
    raise SystemExit(_TAKEN_BACK if report.state == OFF and not cancel else 0)


def _followed(config: Path, report: DrainReport, *, quiet: bool) -> DrainReport:
    """Ask until everything has moved, and show on a terminal how far it is."""
    if not quiet:
        click.echo(f"Draining {report.plan}.")
    with progress(f"Draining: {report.sentence}") as line:
        while report.state == DRAINING:
            time.sleep(_LOOK_EVERY)
            report = ask_drain(config, DrainRequest("look"))
            line.say(f"Draining: {report.sentence}")
    return report


def _conclusion(report: DrainReport, *, cancel: bool) -> str:
    if cancel:
        return (
            "The broker was not draining."
            if report.state == OFF
            else f"Cancelled: the broker accepts connections again. It had moved {report.moved}."
        )
    if report.state == OFF:
        return "Somebody else cancelled the drain."
    word = "Drained" if report.state == DRAINED else f"Draining {report.plan}"
    return f"{word}: {report.sentence}. Moved so far: {report.moved}."
