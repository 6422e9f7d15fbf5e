"""``choria-broker status``: how a running broker is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from choria_broker.control.client import ControlError, ask_status
from choria_broker.control.protocol import Status


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), required=True, help="Configuration file the broker was started with."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def status(*, config: Path, as_json: bool) -> None:
    """Ask a running broker how it is.

    Exit status 0: it answered. 1: no broker runs on the configuration, or it did not answer.
    """
    try:
        found = ask_status(config)
    except ControlError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        click.echo("\n".join(_text(found)))


def _text(found: Status) -> Iterator[str]:
    yield f"{found.identity}, process {found.pid}, running since {_moment(found.since)}"
    yield f"Version: {found.version} with nats-server {found.nats}"
    yield f"Configuration: {found.source}"
    yield f"Ports: {_counts(found.ports) or 'none open yet'}"
    yield f"Accepted: {_counts(found.accepted) or 'nobody yet'}"
    yield f"Refused: {_counts(found.refused) or 'nobody yet'}"
    for refused in found.refused_addresses:
        times = "once" if refused.refusals == 1 else f"{refused.refusals} times"
        yield f"  {refused.address}: {times}, last {_moment(refused.last)}: {_counts(refused.rules)}"


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
