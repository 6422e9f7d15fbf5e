"""``choria-broker jwt client``: make the token of a client."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from choria_broker.cli.jwt import files
from choria_broker.cli.jwt.options import PLAIN_FILE, making, save, subjects, subscriptions
from choria_broker.security.issuing import ClientGrant, issue, issue_chain_issuer
from choria_broker.security.tokens_claims import ClientPermission

_NOT_FOR_ISSUERS = {
    ClientPermission.FLEET_MANAGEMENT,
    ClientPermission.SIGNED_FLEET_MANAGEMENT,
    ClientPermission.AUTHENTICATION_DELEGATOR,
}


@click.command(short_help="Make the token of a client.")
@click.argument("file", type=PLAIN_FILE)
@click.argument("identity")
@click.argument("signing_key", metavar="SIGNING-KEY", type=PLAIN_FILE)
@making(validity="1h")
@click.option("--agents", metavar="AGENT", multiple=True, help="Agent the client may use; can be repeated.")
@click.option("--opa-file", type=PLAIN_FILE, help="File with an Open Policy Agent policy; wins over --opa.")
@click.option("--opa", metavar="POLICY", default="", help="Open Policy Agent policy.")
@click.option(
    "--public-key", metavar="KEY", default="", help="Ed25519 public key of the client, as hex or a file that holds it."
)
@click.option("--stream-admin", is_flag=True, help="May administer Choria Streams.")
@click.option("--stream-user", is_flag=True, help="May use Choria Streams.")
@click.option("--event-viewer", is_flag=True, help="May watch lifecycle and autonomous agent events.")
@click.option("--elections-user", is_flag=True, help="May take part in leader elections.")
@click.option("--service", is_flag=True, help="May hold a token of long validity.")
@click.option("--system", is_flag=True, help="May enter the system account of the broker.")
@click.option("--auth-delegation", is_flag=True, help="May sign requests for other users.")
@click.option(
    "--fleet-management/--no-fleet-management", default=True, show_default=True, help="May manage the Choria fleet."
)
@click.option("--signed-fleet-management", is_flag=True, help="May manage the fleet with countersigned requests only.")
@click.option("--server-provisioner", is_flag=True, help="May provision servers.")
@click.option("--governor", is_flag=True, help="May use governors.")
@click.option("--org-admin", is_flag=True, help="May see and publish everything.")
@click.option(
    "--publish",
    metavar="SUBJECT",
    callback=subjects,
    multiple=True,
    help="Additional subject to publish to; can be repeated.",
)
@click.option(
    "--subscribe",
    metavar="SUBJECT",
    callback=subscriptions,
    multiple=True,
    help="Additional subject to subscribe to; can be repeated.",
)
@click.option("--issuer", is_flag=True, help="Make a chain issuer, who can make tokens for others.")
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
    """Make the token of the client IDENTITY, signed with SIGNING-KEY, and write it to FILE."""
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
        click.echo(f"Warning: {file} has no public key, so brokers refuse it: give --public-key", err=True)


def permissions(*, issuer: bool, **flags: bool) -> frozenset[ClientPermission]:
    """Work out the permissions of a client token.

    Args:
        issuer: whether it is the token of a chain issuer, who does not manage the fleet itself.
        flags: the permission options by name.
    """
    chosen = {permission for option, permission in _OPTIONS.items() if flags[option]}
    if ClientPermission.SIGNED_FLEET_MANAGEMENT in chosen:
        chosen.add(ClientPermission.FLEET_MANAGEMENT)
    if issuer:
        chosen -= _NOT_FOR_ISSUERS
    if ClientPermission.PROVISIONER in chosen:
        chosen.add(ClientPermission.FLEET_MANAGEMENT)
    return frozenset(chosen)


_OPTIONS = {
    "stream_admin": ClientPermission.STREAMS_ADMIN,
    "stream_user": ClientPermission.STREAMS_USER,
    "event_viewer": ClientPermission.EVENTS_VIEWER,
    "elections_user": ClientPermission.ELECTION_USER,
    "service": ClientPermission.SERVICE,
    "system": ClientPermission.SYSTEM_USER,
    "auth_delegation": ClientPermission.AUTHENTICATION_DELEGATOR,
    "fleet_management": ClientPermission.FLEET_MANAGEMENT,
    "signed_fleet_management": ClientPermission.SIGNED_FLEET_MANAGEMENT,
    "server_provisioner": ClientPermission.PROVISIONER,
    "governor": ClientPermission.GOVERNOR,
    "org_admin": ClientPermission.ORG_ADMIN,
}
