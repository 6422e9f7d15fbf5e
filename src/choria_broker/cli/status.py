"""``choria-broker status``: how a running broker is."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import msgspec

from choria_broker.announcements import go_duration
from choria_broker.cli.escaping import plain
from choria_broker.control.client import ControlError, ask_status
from choria_broker.control.protocol import RecentDecision, Status, StreamStatus

_SHOWN_NAMES = 20
_NOT_KNOWN = "connected or not is not known without plugin.choria.stats_port"


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
    yield f"Health: {found.health.sentence}"
    if len(found.health.reasons) > 1:
        yield from (f"  {reason}" for reason in found.health.reasons)
    yield f"Version: {found.version} with nats-server {found.nats}"
    if found.engine.pid:
        yield f"Engine: process {found.engine.pid}, running for {go_duration(float(int(found.engine.uptime)))}"
    yield f"Configuration: {found.source}"
    yield f"Ports: {_counts(found.ports) or 'none open yet'}"
    if found.operator:
        yield f"Operator {found.operator}: nats-server decides on connections, by the tokens of users"
        yield f"Accounts: {_names(found.accounts)}"
    else:
        yield f"Accepted: {_counts(found.accepted) or 'nobody yet'}"
    yield from _refusals(found)
    if found.unverified_account:
        yield f"Unverified clients: let into account {found.unverified_account}"
    yield from _links(found)
    yield from _streams(found)
    yield from _configuration(found)
    if found.recent:
        yield "Latest decisions:"
        yield from map(_decision, found.recent)


def _refusals(found: Status) -> Iterator[str]:
    counts = _counts(found.refused)
    if counts or found.refused_addresses:
        yield f"Refused: {counts or 'by nats-server'}"
    elif not found.operator:
        yield "Refused: nobody yet"
    for refused in found.refused_addresses:
        times = "once" if refused.refusals == 1 else f"{refused.refusals} times"
        yield f"  {refused.address}: {times}, last {_moment(refused.last)}: {_counts(refused.rules)}"


def _links(found: Status) -> Iterator[str]:
    peers = found.peers
    if peers.configured and peers.connected is None:
        yield f"Peers: {', '.join(peers.configured)}, {_NOT_KNOWN}"
    elif peers.configured:
        names = f": {', '.join(peers.connected)}" if peers.connected else ""
        yield f"Peers: {len(peers.connected or ())} of {len(peers.configured)} connected{names}"
    for remote in found.remotes:
        state = _NOT_KNOWN if remote.connected is None else "connected" if remote.connected else "not connected"
        rtt = f", {remote.rtt_ms:.1f} ms away" if remote.rtt_ms is not None else ""
        yield f"{remote.kind.capitalize()} {remote.name}: {state}{rtt}"


def _configuration(found: Status) -> Iterator[str]:
    if found.certificates:
        first = min(found.certificates, key=lambda certificate: certificate.expires)
        yield f"First certificate to expire: {first.file}, {_moment(first.expires)}, days left: {first.days_left}"
    for left_out in found.left_out:
        yield f"Left out, {left_out.place}: {left_out.problem}. Remedy: {left_out.remedy}"


def _streams(found: Status) -> Iterator[str]:
    for account in dict.fromkeys(each.account for each in found.streams):
        states = ", ".join(f"{each.stream} {_state(each)}" for each in found.streams if each.account == account)
        yield f"Streams of {account}: {states}"
    for each in found.streams:
        if each.reason:
            yield f"  {each.account} {each.stream}: {each.reason}"
    for trouble in found.stream_troubles:
        times = "once" if trouble.times == 1 else f"{trouble.times} times"
        yield f"Streams trouble, {times}, last {_moment(trouble.last)}: {trouble.words}. Remedy: {trouble.remedy}"


def _state(stream: StreamStatus) -> str:
    return stream.outcome or stream.state.replace("-", " ")


def _decision(decision: RecentDecision) -> str:
    result = f"into {decision.account}" if decision.allowed else "refused"
    who = f" {decision.username}" if decision.username else ""
    place = decision.address or decision.kind
    return f"  {_moment(decision.time)} cid {decision.connection}{who} from {place}: {result}, {decision.rule}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more if names else "none"


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
