"""The lines a starting broker logs about its settings; operators' log filters know their texts."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec

from choria_broker.settings.accounts import CHORIA_ACCOUNT
from choria_broker.settings.broker import Settings
from choria_broker.settings.hostnames import authority
from choria_broker.settings.links import DEFAULT_PEER_PORT
from choria_broker.settings.network import NETWORK
from choria_broker.settings.operator import Operator
from choria_broker.settings.security import Provider


class Announcement(msgspec.Struct, frozen=True):
    """One line: a level of the standard ``logging`` module and its text."""

    level: int
    text: str


def announcements(settings: Settings) -> tuple[Announcement, ...]:
    """List what to log before the network broker starts, in the order its parts are set up."""
    return (
        *_tls(settings),
        *_cluster(settings),
        *_gateways(settings),
        *_services(settings),
        *(_operator(settings.network.operator) if settings.network.operator else _access(settings)),
    )


def _info(text: str) -> Announcement:
    return Announcement(logging.INFO, text)


def _warn(text: str) -> Announcement:
    return Announcement(logging.WARNING, text)


def _tls(settings: Settings) -> Iterator[Announcement]:
    if not settings.tls.enabled:
        yield _warn("Skipping broker TLS set up")
        if not (settings.network.unverified_account or settings.network.operator):
            yield _warn("Nobody can log in to this broker: clear text connections are always refused and TLS is off")
    elif not settings.tls.verify_clients and settings.security.provider is not Provider.CHORIA:
        yield _warn("Disabling client certificate verification due to configuration or CLI override")


def _cluster(settings: Settings) -> Iterator[Announcement]:
    cluster = settings.network.cluster
    if not cluster.joined:
        yield _info("Skipping clustering configuration without any peers")
        return
    if not settings.origin("plugin.choria.network.peer_port").line:
        yield _info(f"Defaulting Choria Broker Peer port to {DEFAULT_PEER_PORT}")
    for route in cluster.routes:
        yield _info(f"Adding {route} as network peer")
    if settings.tls.everywhere and not cluster.tls:
        yield _warn(
            "Cluster traffic is not encrypted because plugin.choria.network.peer_tls is false; set it to true "
            "on every peer once all of them run this broker"
        )


def _gateways(settings: Settings) -> Iterator[Announcement]:
    gateway = settings.network.gateway
    listener = settings.listener(f"{NETWORK}gateway_port")
    if not listener:
        return
    yield _info(f"Starting Broker Gateway {gateway.name} listening on {listener.place}")
    for remote in gateway.remotes:
        yield _info(f"Adding gateway {remote.name}")
        if remote.tls.disabled:
            yield _warn(f"Disabling TLS for remote Gateway {remote.name}")
        elif remote.tls.custom:
            yield _info(f"Using custom TLS config for remote Gateway {remote.name}")
        yield _info(f"Added remote Gateway {remote.name} with servers {', '.join(map(str, remote.urls))}")
    if settings.tls.everywhere and not gateway.tls:
        yield _warn("Gateway traffic is not encrypted because plugin.choria.network.gateway_tls is false")


def _services(settings: Settings) -> Iterator[Announcement]:
    network = settings.network
    if network.streams.store:
        yield _info(f"Configuring Choria Streams in {network.streams.store}")
    if listener := settings.listener(f"{NETWORK}websocket_port"):
        yield _info(f"Starting Broker WebSocket support on port {listener.port}")
        if "any" in network.websocket.origins:
            yield _warn(
                "Allowing web pages of any site to open websockets because "
                "plugin.choria.network.websocket_origins is any"
            )
    if listener := settings.listener(f"{NETWORK}leafnode_port"):
        yield _info(f"Starting Broker Leafnode support listening on {listener.place}")
    elif network.leafnodes.remotes:
        yield _info(f"Starting Broker Leafnode support with {len(network.leafnodes.remotes)} remote connection(s)")
    for remote in network.leafnodes.remotes:
        # The engine uses TLS for wss:// in any case.
        if remote.tls.disabled and any(url.scheme != "wss" for url in remote.urls):
            yield _warn(f"Disabling TLS for leafnode remote {remote.name}")
        yield _info(f"Added remote Leafnode {remote.name} with remote [{', '.join(map(str, remote.urls))}]")


def _operator(operator: Operator) -> Iterator[Announcement]:
    yield _info(
        f"Serving the accounts of operator {operator.name} ({len(operator.accounts)} accounts); nats-server decides on "
        "connections by the users' tokens"
    )


def _access(settings: Settings) -> Iterator[Announcement]:
    network, issuers = settings.network, settings.security.issuers
    for issuer in issuers:
        yield _info(f"Loaded Organization Issuer {issuer.name} with public key {issuer.public_key}")
        if issuer.account != CHORIA_ACCOUNT:
            yield _info(f"Placing connections of Organization Issuer {issuer.name} in account {issuer.account}")
    if network.unverified_account:
        yield _warn(
            f"Allowing clients without certificate and token into account {network.unverified_account}, even "
            "in clear text, because plugin.choria.network.unverified_account is set"
        )
    if not settings.tls.enabled:
        return
    if network.client_anon_tls:
        yield _warn(
            "Requesting no client certificates and refusing servers because "
            "plugin.choria.network.client_anon_tls is true; with signers and without this setting the broker "
            "serves connections with certificates and with tokens"
        )
    if network.provisioning.enabled and (network.provisioning.signer or issuers):
        yield _warn("Allowing unverified TLS connections for provisioning purposes")
    if issuers:
        yield _warn("Allowing unverified TLS connections for Organization Issuer issued connections")
    if network.client_signers:
        yield _warn("Allowing unverified TLS connections for AAA signed clients")
    if network.server_signers and not network.client_anon_tls:
        yield _warn("Allowing unverified TLS connections for Provisioner signed servers")
    if network.provisioning.enabled:
        yield _warn(_provisioner(settings))
    if issuers and settings.security.choria_ca:
        yield _warn(
            "Allowing standard fully verified mTLS NATS clients to perform Pub-Sub and Stream operations without tokens"
        )


def _provisioner(settings: Settings) -> str:
    if not settings.security.issuers:
        return "Allowing Provisioner connections"
    if settings.network.provisioning.provisioner_without_token:
        return "Allowing Provisioner connections without JWT claims for version 1 provisioning"
    return "Allowing Provisioner connections subject to JWT claims"


def greeting(settings: Settings, nats: str) -> str:
    """Say which engine starts, and where; ``nats`` is the version of its nats-server library."""
    network = settings.network
    place = authority(network.listen_address, network.client_port)
    return f"Starting new Network Broker with NATS version {nats} on {place} using config file {settings.source}"
