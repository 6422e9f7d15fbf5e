"""``choria-broker check-health``: checks for monitoring systems, in the forms of ``nats server check``."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Never

import click

from choria_broker.cli.answers import print_json
from choria_broker.cli.options import Duration, running_broker
from choria_broker.control.client import ControlError, NotRunningError, SilentError, StandsStillError, ask_status
from choria_broker.settings.durations import DAY
from choria_broker.status import check_kinds, stream_checks
from choria_broker.status.check_kinds import ServerLimits
from choria_broker.status.checks import FORMATS, NAMESPACE, Check, Level, Limits, document
from choria_broker.status.document import Status
from choria_broker.status.stream_checks import CopyLimits

_DOWN = (NotRunningError, StandsStillError, SilentError)
Judge = Callable[[Status, float], Check]


class _Commands(click.Group):
    """Knows the short names of kinds, and ends a misused command with the status for what is not known.

    Click's own would be taken for a critical state.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _unknown():
            return super().make_context(info_name, args, parent, **extra)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, _ALIASES.get(cmd_name, cmd_name))

    def invoke(self, ctx: click.Context) -> Any:
        with _unknown():
            return super().invoke(ctx)


_ALIASES = {"conn": "connection", "raft": "meta", "js": "jetstream"}


@contextlib.contextmanager
def _unknown() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.show()
        raise click.exceptions.Exit(Level.UNKNOWN.status) from None


@click.group(name="check-health", cls=_Commands)
def check_health() -> None:
    """Check a running broker for a monitoring system, with the kinds and formats of nats server check.

    The checks use the broker's own status, so they need no login and almost no CPU time.

    Exit status 0: OK. 1: warning. 2: critical, also when no broker runs or it does not answer. 3: unknown. With
    --format prometheus always 0, unless an option is wrong.
    """


def _shown(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a check is shown; the command gets a function ``end`` that shows it and leaves."""

    @functools.wraps(command)
    def told(*, format: str, as_json: bool, namespace: str, **others: Any) -> None:  # noqa: A002 - the option's name
        def end(check: Check) -> Never:
            chosen = "json" if as_json else format
            if chosen == "json":
                print_json(document(check))
            else:
                click.echo("\n".join(FORMATS[chosen](check, namespace)))
            raise SystemExit(0 if chosen == "prometheus" else check.level.status)

        command(end=end, **others)

    for option in (
        click.option("--namespace", default=NAMESPACE, show_default=True, help="Prefix of the names of metrics."),
        click.option("--json", "as_json", is_flag=True, help="The same as --format json."),
        click.option(
            "--format",
            type=click.Choice(["nagios", "json", "prometheus", "text"]),
            default="nagios",
            show_default=True,
            help="How to show the check.",
        ),
    ):
        told = option(told)
    return told


def _kind(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of the group that asks a running broker."""

    def made(command: Callable[..., Any]) -> click.Command:
        return check_health.command(name)(running_broker(_shown(command)))

    return made


End = Callable[[Check], Never]


def _check(config: Path, end: End, kind: str, name: str, judge: Judge) -> Never:
    """Ask the broker, have its status judged, and show what came of it.

    Args:
        config: configuration file of the broker.
        end: shows a check and leaves.
        kind: of the check when the broker cannot be asked.
        name: of it then.
        judge: makes the check from the status and the seconds that the answer took.
    """
    began = time.monotonic()
    try:
        status = ask_status(config)
    except ControlError as error:
        end(check_kinds.unavailable(kind, name, str(error), down=isinstance(error, _DOWN)))
    end(judge(status, time.monotonic() - began))


@_kind("broker")
def broker(*, config: Path, end: End) -> None:
    """Check the health of the broker, with every reason.

    Degraded and draining are warnings, failing is critical.
    """
    _check(config, end, "broker", "broker", lambda status, _: check_kinds.broker(status))


@_kind("connection")
@click.option("--connect-warn", type=Duration(), default=0.5, help="Warning from this time on; default 500ms.")
@click.option("--connect-critical", type=Duration(), default=1.0, help="Critical from this time on; default 1s.")
def connection(*, config: Path, end: End, connect_warn: float, connect_critical: float) -> None:
    """Check that the broker and its engine answer in time and have room for connections."""
    limits = Limits(connect_warn, connect_critical)
    _check(config, end, "connections", "Connection", lambda status, took: check_kinds.connection(status, took, limits))


@_kind("server")
@click.option("--name", default="", help="Identity that the broker must have.")
@click.option("--conn-warn", type=int, help="Warning from this number of connections on.")
@click.option(
    "--conn-critical",
    type=int,
    help="Critical from this number on; if it is below --conn-warn, too few are the problem.",
)
@click.option("--subs-warn", type=int, help="Warning from this number of subscriptions on.")
@click.option(
    "--subs-critical",
    type=int,
    help="Critical from this number on; if it is below --subs-warn, too few are the problem.",
)
@click.option("--mem-warn", type=int, help="Warning from these bytes of memory on.")
@click.option("--mem-critical", type=int, help="Critical from these bytes of memory on.")
@click.option("--uptime-warn", type=Duration(), help="Warning if the engine started less than this time ago.")
@click.option("--uptime-critical", type=Duration(), help="Critical if the engine started less than this time ago.")
@click.option("--auth-required", is_flag=True, help="Critical if clients that present nothing are accepted.")
@click.option("--js-required", is_flag=True, help="Critical if Choria Streams are off.")
def server(*, config: Path, end: End, name: str, auth_required: bool, js_required: bool, **limits: Any) -> None:
    """Check the broker's name, connections, subscriptions, memory and uptime."""
    expected = ServerLimits(
        name,
        connections=Limits(limits["conn_warn"], limits["conn_critical"]),
        subscriptions=Limits(limits["subs_warn"], limits["subs_critical"]),
        memory=Limits(limits["mem_warn"], limits["mem_critical"]),
        uptime=Limits(limits["uptime_warn"], limits["uptime_critical"]),
        authentication=auth_required,
        streams=js_required,
    )
    _check(config, end, "server", name or "server", lambda status, _: check_kinds.server(status, expected))


@_kind("meta")
@click.option("--expect", type=int, help="Number of members that is expected.")
@click.option("--lag-critical", type=int, help="Critical if a member is behind by more operations than this.")
@click.option("--seen-critical", type=Duration(), help="Critical if a member was silent for longer than this.")
def meta(*, config: Path, end: End, expect: int | None, lag_critical: int | None, seen_critical: float | None) -> None:
    """Check the members that manage the streams of the cluster together: leader, members, delays."""
    limits = CopyLimits(expect, lag_critical, seen_critical)
    _check(config, end, "meta", "JetStream Meta Cluster", lambda status, _: stream_checks.meta(status, limits))


@_kind("jetstream")
@click.option(
    "--store-warn", type=int, default=75, help="Warning from this use of the store on, in percent; default 75."
)
@click.option("--store-critical", type=int, default=90, help="Critical from this use on, in percent; default 90.")
@click.option("--replicas/--no-replicas", default=True, help="Check the copies of streams too; default yes.")
@click.option(
    "--replica-lag-critical",
    type=int,
    default=200,
    help="Critical if a copy is behind by more operations than this; default 200.",
)
@click.option(
    "--replica-seen-critical",
    type=Duration(),
    default=5.0,
    help="Critical if a copy was silent for longer than this; default 5s.",
)
def jetstream(
    *,
    config: Path,
    end: End,
    store_warn: int,
    store_critical: int,
    replicas: bool,
    replica_lag_critical: int,
    replica_seen_critical: float,
) -> None:
    """Check how full the store of Choria Streams is, and that all streams can be written."""
    copies = CopyLimits(lag=replica_lag_critical, seen=replica_seen_critical) if replicas else None
    limits = Limits(store_warn, store_critical)
    _check(config, end, "jetstream", "JetStream", lambda status, _: stream_checks.jetstream(status, limits, copies))


@_kind("stream")
@click.option("--stream", "name", required=True, help="Name of a standard stream.")
@click.option("--account", default="", help="Account of the stream; default all.")
@click.option("--peer-expect", type=int, help="Number of copies that is expected; default as in the settings.")
@click.option("--peer-lag-critical", type=int, help="Critical if a copy is behind by more operations than this.")
@click.option(
    "--peer-seen-critical",
    type=Duration(),
    default=10.0,
    help="Critical if a copy was silent for longer than this; default 10s.",
)
def stream(
    *,
    config: Path,
    end: End,
    name: str,
    account: str,
    peer_expect: int | None,
    peer_lag_critical: int | None,
    peer_seen_critical: float,
) -> None:
    """Check that a standard stream can be written and has all its copies."""
    limits = CopyLimits(peer_expect, peer_lag_critical, peer_seen_critical)
    _check(config, end, "stream", name, lambda status, _: stream_checks.stream(status, name, account, limits))


@_kind("kv")
@click.option("--bucket", required=True, help="Name of a bucket that is a standard stream.")
@click.option("--account", default="", help="Account of the stream; default all.")
def kv(*, config: Path, end: End, bucket: str, account: str) -> None:
    """Check that a key-value bucket can be written, such as that of leader elections."""
    _check(config, end, "kv", bucket, lambda status, _: stream_checks.bucket(status, bucket, account))


@check_health.command("credential")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file that the broker was started with.")
@click.option("--credential", "file", type=click.Path(path_type=Path), help="NATS credentials file to check instead.")
@click.option(
    "--validity-warn", type=Duration(), default=14 * DAY, help="Warning if it expires sooner than this; default 14d."
)
@click.option(
    "--validity-critical", type=Duration(), default=3 * DAY, help="Critical if it expires sooner than this; default 3d."
)
@click.option(
    "--require-expiry/--no-require-expiry",
    default=True,
    help="Critical if a credentials file never expires; default yes.",
)
@_shown
def credential(
    *,
    config: Path | None,
    file: Path | None,
    end: End,
    validity_warn: float,
    validity_critical: float,
    require_expiry: bool,
) -> None:
    """Check how long the broker's certificates, or a NATS credentials file, are valid."""
    if (config is None) == (file is None):
        raise click.UsageError("give either --config, for the broker's certificates, or --credential")
    limits = Limits(validity_warn, validity_critical)
    if file:
        end(_credentials_file(file, limits, required=require_expiry))
    if config:
        _check(config, end, "credential", "Credential", lambda status, _: check_kinds.credential(status, limits))


def _credentials_file(file: Path, limits: Limits, *, required: bool) -> Check:
    import datetime as dt  # noqa: PLC0415 - only this check reads a file, for which libraries are loaded

    from choria_broker.security.credentials import CredentialsProblem, inspect_credentials  # noqa: PLC0415 - as above

    now = dt.datetime.now(dt.UTC)
    try:
        found = inspect_credentials(file.read_bytes(), now)
    except OSError as error:
        found = CredentialsProblem(f"cannot be read: {error.strerror}", "make it readable for this user")
    if isinstance(found, CredentialsProblem):
        problem = f"{file}: {found.problem}; {found.remedy}"
        return check_kinds.unavailable("credential", "Credential", problem, down=True)
    return check_kinds.credentials_file(
        str(file), float(found.expires) if found.expires else None, now.timestamp(), limits, required=required
    )
