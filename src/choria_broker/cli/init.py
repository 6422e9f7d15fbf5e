"""``choria-broker init``: a first set-up for a lab or a small site."""

from __future__ import annotations

import datetime as dt
import os
import pwd
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

import click

from choria_broker.cli.answers import show
from choria_broker.cli.check import examine, show_findings
from choria_broker.cli.options import as_json
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.patterns import expression
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding
from choria_broker.settings.hostnames import is_address, is_host
from choria_broker.setup.plan import Plan, Tls, Wish, planned
from choria_broker.setup.writing import Written, closed_for, first_in_the_way

_ISSUER = expression(r"[A-Za-z0-9_-]{1,64}")
_MOST_DAYS = 3650
_SERVICE_USER = "choria-broker"
_FOLDER_OF_SERVICE = Path("/etc/choria")
_OF_THIS_MACHINE = {Code.PORT_UNAVAILABLE, Code.ALREADY_RUNNING, Code.FEW_OPEN_FILES, Code.SHORT_SYN_QUEUE}
"""What is wrong with this machine now and not with the set-up."""

_FILE = click.Path(path_type=Path, readable=False)


@click.command(short_help="Set up a broker: certificates, tokens and a configuration.")
@click.argument("folder", type=click.Path(path_type=Path), default=_FOLDER_OF_SERVICE)
@click.option("--identity", metavar="NAME", help="Host name of the broker; default: that of this machine.")
@click.option("--ca", type=_FILE, help="Certificates of your CA, with --certificate and --key.")
@click.option("--certificate", type=_FILE, help="Your certificate of the broker.")
@click.option("--key", type=_FILE, help="Private key of the certificate.")
@click.option(
    "--host", "hosts", metavar="NAME", multiple=True, help="Further name or address of the broker; repeatable."
)
@click.option(
    "--issuer", metavar="NAME", default="", help="Create an issuer of this name; programs log in with its tokens."
)
@click.option("--streams", metavar="DIRECTORY", type=_FILE, help="Directory for Choria Streams.")
@click.option("--port", type=click.IntRange(1, 65535), default=4222, show_default=True, help="Client port.")
@click.option("--stats-port", type=click.IntRange(1, 65535), default=8222, show_default=True, help="Statistics port.")
@click.option(
    "--days",
    type=click.IntRange(1, _MOST_DAYS),
    default=365,
    show_default=True,
    help="How long certificates and tokens are valid.",
)
@as_json
@click.option(
    "--user", metavar="NAME", help="User that the broker runs as; default for root: choria-broker, if it exists."
)
def init(*, as_json: bool, **options: Any) -> None:
    """Set up a broker in FOLDER, by default /etc/choria: certificates or an issuer with tokens, and a configuration.

    Certificates are created, with a new CA, unless you give your own. Existing files are never overwritten.

    Exit status 0: it is set up, and check has no findings. 1: nothing was written.
    """
    owner, runner = _owner(options.pop("user"))
    wish = _wish(**options)
    plan = planned(wish, dt.datetime.now(dt.UTC), os.urandom)
    if runner and owner and (closed := closed_for(wish.folder, *owner)):
        raise click.ClickException(f"user {runner} has no access to {closed}: choose a folder that this user can read")
    written = Written(owner)
    if taken := first_in_the_way(plan.files):
        raise click.ClickException(f"{taken} exists already, and nothing is overwritten: choose another folder")
    try:
        written.write(plan.files, plan.private)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or plan.config.parent} cannot be written ({error.strerror}), and nothing was: choose a "
            "folder that you may write to"
        ) from error
    against = [each for each in examine(plan.config, Overrides()).findings if _counts(each)]
    if any(each.severity in (Severity.REFUSE, Severity.SKIP) for each in against):
        written.take_back()
        show_findings(tuple(against))
        raise click.ClickException("a broker could not run with this set-up, see above; nothing was written")
    show_findings(tuple(against))
    files = [str(each.path) for each in plan.files]
    show({"config": str(plan.config), "files": files}, _told(plan, wish, runner).splitlines(), as_json=as_json)


def _counts(finding: Finding) -> bool:
    return finding.severity is not Severity.INFO and finding.code not in _OF_THIS_MACHINE


def _name(identity: str | None) -> str:
    name = socket.getfqdn() if identity is None else identity
    if not is_host(name) or is_address(name):
        where = "the name of this machine" if identity is None else "--identity"
        raise click.UsageError(f"{where}, {name!r}, is not a host name: give the broker's with --identity")
    return name


def _check_paths(*paths: Path | None) -> None:
    for path in paths:
        if path and not _fits_in_a_line(str(path)):
            raise click.UsageError(
                f"{str(path)!r} cannot be written in a configuration: use a path without commas and line breaks"
            )


def _wish(  # noqa: PLR0913 - one parameter per option
    *,
    folder: Path,
    identity: str | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    hosts: tuple[str, ...],
    issuer: str,
    streams: Path | None,
    port: int,
    stats_port: int,
    days: int,
) -> Wish:
    """Read the options.

    Raises:
        click.UsageError: one is wrong, or does not go with another one.
    """
    folder = folder.absolute()
    name = _name(identity)
    for host in hosts:
        if not is_host(host):
            raise click.UsageError(
                f"--host {host!r} is neither a host name nor an IP address: give one such as mq1.example.net"
            )
    if issuer and not _ISSUER.fullmatch(issuer):
        raise click.UsageError(f"--issuer {issuer!r} is not a name: use at most 64 letters, digits, - and _")
    if port == stats_port:
        raise click.UsageError("--port and --stats-port are the same: choose two different ports")
    given = _given(ca, certificate, key)
    if given and hosts:
        raise click.UsageError(
            "--host is only for a certificate that this command creates: leave it out, or --ca, --certificate and --key"
        )
    _check_paths(folder, streams, ca, certificate, key)
    return Wish(
        folder=folder,
        identity=name,
        port=port,
        stats_port=stats_port,
        given=given,
        hosts=hosts,
        issuer=issuer,
        days=days,
        streams=streams.absolute() if streams else None,
    )


def _given(ca: Path | None, certificate: Path | None, key: Path | None) -> Tls | None:
    if ca and certificate and key:
        return Tls(ca.absolute(), certificate.absolute(), key.absolute())
    missing = [f"--{name}" for name, file in (("ca", ca), ("certificate", certificate), ("key", key)) if not file]
    if ca or certificate or key:
        absent = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        raise click.UsageError(
            f"--ca, --certificate and --key go together: {absent}; give all three, or none to have certificates made"
        )
    return None


def _fits_in_a_line(text: str) -> bool:
    return text.isprintable() and "," not in text and text == text.strip()


def _owner(user: str | None) -> tuple[tuple[int, int] | None, str]:
    """Find whose the broker's private key is to be.

    Returns:
        The user's and group's numbers, None for this user; and the name of the user that the broker is to run as,
        empty for this one.
    """
    if user is None and os.geteuid() != 0:
        return None, ""
    try:
        entry = pwd.getpwnam(user or _SERVICE_USER)
    except KeyError:
        if user is None:
            return None, ""
        raise click.UsageError(
            f"--user: this machine has no user {user!r}: create it, or leave the option out"
        ) from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise click.UsageError(
            f"--user: only root can give files to {entry.pw_name}: run this as root, or as that user"
        )
    other = entry.pw_uid != os.geteuid()
    return (entry.pw_uid, entry.pw_gid), entry.pw_name if other else ""


def _told(plan: Plan, wish: Wish, runner: str) -> str:
    program = Path(sys.executable).parent / "choria-broker"
    user = ["runuser", "-u", runner, "--"] if runner else []
    server = ["--server", f"tls://127.0.0.1:{wish.port}", "--name", wish.identity]
    login = [sys.executable, "-m", "choria_broker.examples.login", *server]
    lines = [
        f"\nThe broker's configuration is {plan.config}. Three commands prove that it works:\n",
        f"  {shlex.join([*user, str(program), 'check', '--config', str(plan.config)])}",
        f"  {shlex.join([*user, str(program), 'run', '--config', str(plan.config)])}",
        "\nand in another terminal, while that runs:\n",
        f"  {shlex.join([*login, '--ca', str(plan.tls.ca), *plan.login])}",
    ]
    if plan.client:
        lines += [
            "\nThen Choria's own programs, a server and a client:\n",
            f"  choria server run --config {plan.server}",
            f"  choria ping --config {plan.client}",
        ]
    if plan.config.parent == _FOLDER_OF_SERVICE:
        lines.append("\nAs a service: systemctl enable --now choria-network-broker")
    if plan.keep:
        kept, them = " or ".join(map(str, plan.keep)), "it" if len(plan.keep) == 1 else "them"
        lines.append(f"\nWhoever has {kept} can give others access: move {them} to a place that only you can read.")
    return "\n".join((*lines, ""))
