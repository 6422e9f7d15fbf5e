"""``choria-broker jwt client``: make the token of a client."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from choria_broker.cli.jwt import files
from choria_broker.cli.jwt.options import PLAIN_FILE, making, permission_options, save, subjects, subscriptions
from choria_broker.security.issuing import ClientGrant, issue, issue_chain_issuer
from choria_broker.security.token_permissions import ClientPermission

_NOT_FOR_ISSUERS = {
    ClientPermission.FLEET_MANAGEMENT,
    ClientPermission.SIGNED_FLEET_MANAGEMENT,
    ClientPermission.AUTHENTICATION_DELEGATOR,
}


@click.command(short_help="Create a client token.")
@click.argument("file", type=PLAIN_FILE)
@click.argument("identity")
@click.argument("signing_key", metavar="SIGNING-KEY", type=PLAIN_FILE)
@making(validity="1h")
@click.option("--agents", metavar="AGENT", multiple=True, help="Agent that the client may use; repeatable.")
@click.option("--opa-file", type=PLAIN_FILE, help="File with an Open Policy Agent policy; used instead of --opa.")
@click.option("--opa", metavar="POLICY", default="", help="Open Policy Agent policy.")
@click.option(
    "--public-key", metavar="KEY", default="", help="Ed25519 public key of the client, as hex or a file that holds it."
)
@permission_options(ClientPermission, usual=ClientPermission.FLEET_MANAGEMENT)
@click.option(
    "--publish",
    metavar="SUBJECT",
    callback=subjects,
    multiple=True,
    help="Additional subject to publish to; repeatable.",
)
@click.option(
    "--subscribe",
    metavar="SUBJECT",
    callback=subscriptions,
    multiple=True,
    help="Additional subject to subscribe to; repeatable.",
)
@click.option("--issuer", is_flag=True, help="Create a chain issuer, which can issue tokens for others.")
def client(  # noqa: PLR0913 - one parameter per option
    *,
    file: Path,
    identity: str,
    signing_key: Path,
    org: str,
    validity: int,
    force: bool,
    agents: tuple[str, ...],
    opa_file: Path | None,
    opa: str,
    public_key: str,
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    issuer: bool,
    **flags: bool,
) -> None:
    """Create the token of the client IDENTITY, signed with SIGNING-KEY, and write it to FILE.

    Exit status 0: written. 1: nothing was written.
    """
    policy = opa
    if opa_file:
        policy = files.read(opa_file, "the policy").decode("utf-8", errors="surrogateescape")
    grant = ClientGrant(
        caller=identity,
        public_key=files.holder_key(public_key),
        organization=org,
        permissions=permissions(issuer=issuer, **flags),
        agents=agents,
        opa_policy=policy,
        publish_subjects=publish,
        subscribe_subjects=subscribe,
    )
    make = issue_chain_issuer if issuer else issue
    save(file, signing_key, validity, functools.partial(make, grant), force=force)
    if not grant.public_key:
        click.echo(f"Warning: {file} has no public key, so brokers refuse it: set --public-key", err=True)


def permissions(*, issuer: bool, **flags: bool) -> frozenset[ClientPermission]:
    """Work out the permissions of a client token.

    Args:
        issuer: whether it is the token of a chain issuer, who does not manage the fleet itself.
        flags: the permission options by name.
    """
    chosen = {permission for permission in ClientPermission if flags[permission.parameter]}
    if ClientPermission.SIGNED_FLEET_MANAGEMENT in chosen:
        chosen.add(ClientPermission.FLEET_MANAGEMENT)
    if issuer:
        chosen -= _NOT_FOR_ISSUERS
    if ClientPermission.PROVISIONER in chosen:
        chosen.add(ClientPermission.FLEET_MANAGEMENT)
    return frozenset(chosen)
