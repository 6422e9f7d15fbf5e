"""``choria-broker jwt server``: make the token of a server."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from choria_broker.cli.jwt import files
from choria_broker.cli.jwt.options import PLAIN_FILE, making, names, permission_options, save, subjects
from choria_broker.security.issuing import ServerGrant, issue
from choria_broker.security.token_permissions import ServerPermission


@click.command(short_help="Create a server token.")
@click.argument("file", type=PLAIN_FILE)
@click.argument("identity", callback=names)
@click.argument("public_key", metavar="PUBLIC-KEY")
@click.argument("signing_key", metavar="SIGNING-KEY", type=PLAIN_FILE)
@making(validity="8760h")
@click.option(
    "--collectives",
    metavar="COLLECTIVE",
    multiple=True,
    default=("mcollective",),
    callback=names,
    show_default=True,
    help="Sub collective of the server; repeatable.",
)
@click.option(
    "--subjects",
    "publish",
    metavar="SUBJECT",
    callback=subjects,
    multiple=True,
    help="Additional subject to publish to; repeatable.",
)
@permission_options(ServerPermission)
def server(  # noqa: PLR0913 - one parameter per option
    *,
    file: Path,
    identity: str,
    public_key: str,
    signing_key: Path,
    org: str,
    validity: int,
    force: bool,
    collectives: tuple[str, ...],
    publish: tuple[str, ...],
    **flags: bool,
) -> None:
    """Create the token of the server IDENTITY, signed with SIGNING-KEY, and write it to FILE.

    PUBLIC-KEY is the server's ed25519 public key, as hex or a file that holds it.

    Exit status 0: written. 1: nothing was written.
    """
    chosen = [permission for permission in ServerPermission if flags[permission.parameter]]
    if ServerPermission.GOVERNOR in chosen and ServerPermission.STREAMS not in chosen:
        raise files.JwtError(f"{file} was not created: --governor has no effect without --stream-user, set that too")
    grant = ServerGrant(
        identity=identity,
        public_key=files.holder_key(public_key),
        collectives=collectives,
        organization=org,
        permissions=chosen,
        publish_subjects=publish,
    )
    save(file, signing_key, validity, functools.partial(issue, grant), force=force)
