"""``choria-broker jwt server``: make the token of a server."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from choria_broker.cli.jwt import files
from choria_broker.cli.jwt.options import PLAIN_FILE, making, save, subjects
from choria_broker.security.issuing import ServerGrant, issue
from choria_broker.security.tokens_claims import ServerPermission


@click.command(short_help="Make the token of a server.")
@click.argument("file", type=PLAIN_FILE)
@click.argument("identity")
@click.argument("public_key", metavar="PUBLIC-KEY")
@click.argument("signing_key", metavar="SIGNING-KEY", type=PLAIN_FILE)
@making(validity="8760h")
@click.option(
    "--collectives",
    metavar="COLLECTIVE",
    multiple=True,
    default=("mcollective",),
    show_default=True,
    help="Sub collective of the server; can be repeated.",
)
@click.option(
    "--subjects",
    "publish",
    metavar="SUBJECT",
    callback=subjects,
    multiple=True,
    help="Additional subject to publish to; can be repeated.",
)
@click.option("--submission", is_flag=True, help="May publish Choria Submission messages.")
@click.option("--stream-user", is_flag=True, help="May use Choria Streams.")
@click.option("--service", is_flag=True, help="May host services.")
@click.option("--governor", is_flag=True, help="May use governors; needs --stream-user.")
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
    submission: bool,
    stream_user: bool,
    service: bool,
    governor: bool,
) -> None:
    """Make the token of the server IDENTITY, signed with SIGNING-KEY, and write it to FILE.

    PUBLIC-KEY is the server's ed25519 public key, as hex or a file that holds it.
    """
    if governor and not stream_user:
        raise files.JwtError(f"{file} was not made: --governor has no effect alone, give --stream-user too")
    chosen = {
        ServerPermission.SUBMISSION: submission,
        ServerPermission.STREAMS: stream_user,
        ServerPermission.SERVICE_HOST: service,
        ServerPermission.GOVERNOR: governor,
    }
    grant = ServerGrant(
        identity=identity,
        public_key=files.holder_key(public_key),
        collectives=collectives,
        organization=org,
        permissions=[permission for permission, wanted in chosen.items() if wanted],
        publish_subjects=publish,
    )
    save(file, signing_key, validity, functools.partial(issue, grant), force=force)
