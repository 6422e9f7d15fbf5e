"""``choria-broker status``: how a running broker is."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from choria_broker.cli.escaping import plain
from choria_broker.control.client import ControlError, ask_status
from choria_broker.control.protocol import RecentDecision, Status


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
        click.echo(plain(str(error)), err=True)
        raise SystemExit(1) from error
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        click.echo("\n".join(map(plain, _text(found))))


def _text(found: Status) -> Iterator[str]:
    yield f"{found.identity}, process {found.pid}, running since {_moment(found.since)}"
    yield f"Version: {found.version} with nats-server {found.nats}"
    yield f"Configuration: {found.source}"
    yield f"Ports: {_counts(found.ports) or 'none open yet'}"
    yield f"Accepted: {_counts(found.accepted) or 'nobody yet'}"
    yield f"Refused: {_counts(found.refused) or 'nobody yet'}"
    if found.unverified_account:
        yield f"Unverified clients: let into account {found.unverified_account}"
    for refused in found.refused_addresses:
        times = "once" if refused.refusals == 1 else f"{refused.refusals} times"
        yield f"  {refused.address}: {times}, last {_moment(refused.last)}: {_counts(refused.rules)}"
    if found.recent:
        yield "Latest decisions:"
        yield from map(_decision, found.recent)


def _decision(decision: RecentDecision) -> str:
    result = f"into {decision.account}" if decision.allowed else "refused"
    who = f" {decision.username}" if decision.username else ""
    place = decision.address or decision.kind
    return f"  {_moment(decision.time)} cid {decision.connection}{who} from {place}: {result}, {decision.rule}"


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
