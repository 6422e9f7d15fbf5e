"""``choria-broker jwt provisioning``: make the token that provisions servers."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import click

from choria_broker.cli.jwt import files
from choria_broker.cli.jwt.options import PLAIN_FILE, making, save
from choria_broker.security.issuing import ProvisioningGrant, issue


@click.command(short_help="Create a token for provisioning servers.")
@click.argument("file", type=PLAIN_FILE)
@click.argument("signing_key", metavar="SIGNING-KEY", type=PLAIN_FILE)
@making(validity="1y")
@click.option("--token", help="Token that unlocks the provisioning agent; the command asks for it if it is not given.")
@click.option("--insecure/--no-insecure", default=True, show_default=True, help="Provision without TLS.")
@click.option("--urls", metavar="URL", multiple=True, help="Broker to use for provisioning; repeatable.")
@click.option("--srv", default="", help="Domain whose SRV records name the brokers to use for provisioning.")
@click.option("--default", "by_default", is_flag=True, help="Provision servers that have no configuration.")
@click.option("--registration", default="", help="File to publish as registration data.")
@click.option("--facts", default="", help="File with facts.")
@click.option("--username", default="", help="User to connect to the broker as.")
@click.option("--password", default="", help="Password of that user.")
@click.option("--extensions", metavar="JSON", default="", help="JSON object with additional settings.")
@click.option("--protocol-v2", is_flag=True, help="Use version 2 of the network protocol.")
@click.option("--upgrade", is_flag=True, help="Let the provisioner upgrade servers in place.")
@click.option("--update", is_flag=True, hidden=True, help="The same as --upgrade.")
def provisioning(  # noqa: PLR0913 - one parameter per option
    *,
    file: Path,
    signing_key: Path,
    org: str,
    validity: int,
    force: bool,
    token: str | None,
    insecure: bool,
    urls: tuple[str, ...],
    srv: str,
    by_default: bool,
    registration: str,
    facts: str,
    username: str,
    password: str,
    extensions: str,
    protocol_v2: bool,
    upgrade: bool,
    update: bool,
) -> None:
    """Create the token with which new servers are provisioned, signed with SIGNING-KEY, and write it to FILE.

    Exit status 0: written. 1: nothing was written.
    """
    if not (urls or srv):
        raise files.JwtError(f"{file} was not created: URLs or an SRV domain are required, use --urls or --srv")
    grant = ProvisioningGrant(
        access_token=_ask(file) if token is None else token,
        secure=not insecure,
        urls=urls,
        srv_domain=srv,
        by_default=by_default,
        registration=registration,
        facts=facts,
        username=username,
        password=password,
        extensions=_object(file, extensions) if extensions else None,
        organization=org,
        protocol_v2=protocol_v2,
        upgradable=upgrade or update,
    )
    save(file, signing_key, validity, functools.partial(issue, grant), force=force)


def _ask(file: Path) -> str:
    try:
        answer: str = click.prompt("Provisioning access token", hide_input=True, err=True)
    except click.Abort:
        click.echo(err=True)
        raise files.JwtError(f"{file} was not created: the provisioning access token is missing, use --token") from None
    return answer


def _object(file: Path, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise files.JwtError(f'{file} was not created: --extensions takes a JSON object such as \'{{"site": "a"}}\'')
    return value
