"""Who lands in which account of a running broker: organizations, unverified clients, clients with tokens only."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.audit.decided import Decision
from choria_broker.broker import NetworkBroker
from choria_broker.config.surroundings.facts import Overrides
from support.minting import (
    HOLDER,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    STRANGER,
    client,
    hex_of,
    mint,
    proof,
    provisioning,
    server,
)
from support.nats_socket import ClosedError, Wire, signature, wire
from support.settled import recent
from support.testbed import Authority, configuration, free_port

VECTORS = Path(__file__).parents[1] / "vectors"
SEED = json.loads((VECTORS / "keys.json").read_text())["keys"]["client"]["seed_hex"]
DEADLINE = 60.0
NOW = int(time.time())
LIVE = {"iat": NOW - 60, "exp": NOW + 3600, "nbf": None, "jti": None}
"""Claims of a token that is valid while the tests run."""

EDGE: dict[str, Any] = {"network__accounts": "EDGE", "network__unverified_account": "EDGE"}
CLEAR = Overrides(disable_tls=True)


def token(claims: dict[str, Any], key: Ed25519PrivateKey = ORGANIZATION) -> str:
    """Issue a token that is valid now."""
    return mint({name: value for name, value in {**claims, **LIVE}.items() if value is not None}, key)


def presenting(text: str, nonce: str, holder: Ed25519PrivateKey = HOLDER) -> dict[str, str]:
    """Fields of CONNECT that present a token and prove that it is held."""
    return {"auth_token": text, "jwt": text, "sig": proof(holder, nonce)}


@contextlib.asynccontextmanager
async def joined(
    broker: NetworkBroker, context: ssl.SSLContext | None, text: str = "", **fields: str
) -> AsyncIterator[Wire]:
    """Connect to the client port, with a token if one is given, and be let in."""
    async with wire(broker.ports.client, context) as peer:
        await peer.connect(**(presenting(text, peer.nonce) if text else {}), **fields)
        yield peer


async def refused(
    broker: NetworkBroker, context: ssl.SSLContext | None, text: str = "", *, port: int = 0, **fields: str
) -> Decision:
    """Try to connect, expect the one answer strangers get, and return what was decided."""
    async with wire(port or broker.ports.client, context) as peer:
        with pytest.raises(ClosedError, match="Authorization Violation"):
            await peer.connect(**(presenting(text, peer.nonce) if text else {}), **fields)
    decision = (await recent(broker))[-1]
    assert not decision.allowed
    return decision


async def reach(sender: Wire, receiver: Wire, payload: str) -> frozenset[str]:
    """Publish into every corner and return what the receiver, who must subscribe to everything, got of it."""
    subjects = ("probe", "mcollective.node.n1", "choria.lifecycle.event.x", "choria.reply.x.1", "$KV.BUCKET.key")
    await sender.publish(subjects, payload)
    await receiver.flush()
    return receiver.received(payload)


async def test_unverified_clients_meet_each_other_and_nobody_else(tmp_path: Path, authority: Authority) -> None:
    certified = authority.context(authority.issue("bob.mcollective"))
    async with contextlib.AsyncExitStack() as stack:
        broker = await stack.enter_async_context(NetworkBroker.from_file(configuration(tmp_path, authority, **EDGE)))
        secured = await stack.enter_async_context(joined(broker, authority.context()))
        clear = await stack.enter_async_context(joined(broker, None))
        fleet = await stack.enter_async_context(joined(broker, certified))
        decisions = list(await recent(broker))
        for peer in (secured, clear, fleet):
            assert not await peer.subscribe([">"])
        assert [(each.account, each.method) for each in decisions] == [
            ("EDGE", "unverified"),
            ("EDGE", "unverified"),
            ("choria", "mtls"),
        ]
        assert len(await reach(secured, clear, "from secured")) == 5
        assert len(await reach(clear, secured, "from clear")) == 5
        assert not fleet.messages
        assert not await reach(fleet, secured, "from the fleet")
        assert not clear.received("from the fleet")


async def test_bad_credentials_are_never_taken_for_none(tmp_path: Path, authority: Authority) -> None:
    settings = EDGE | {"network__client_signer_cert": hex_of(ORGANIZATION), "network__leafnode_port": free_port()}
    path = configuration(tmp_path, authority, **settings)
    secured, good = authority.context(), token(client())
    foreign = authority.context(Authority(tmp_path, "foreign").issue("mallory.mcollective"))
    async with NetworkBroker.from_file(path) as broker:
        assert (await refused(broker, secured, token(client(), STRANGER))).rule == "token-signature"
        assert (await refused(broker, secured, auth_token="nonsense")).rule == "token-malformed"
        assert (await refused(broker, secured, user="bob")).rule == "certificate-required"
        assert (await refused(broker, secured, sig=signature(SEED, b"any"))).rule == "certificate-required"
        # On clear text even a good token is refused: ignoring it would hide that it was shown to the whole network.
        assert (await refused(broker, None, good)).rule == "tls-required"
        assert (await refused(broker, None, user="bob")).rule == "tls-required"
        decided = len(await recent(broker))
        with pytest.raises((ClosedError, OSError)):
            async with joined(broker, foreign):
                pass
        assert len(await recent(broker)) == decided
        leafnode = await refused(broker, secured, port=broker.ports.leafnode)
        assert (leafnode.kind, leafnode.rule) == ("leafnode", "certificate-required")
        async with joined(broker, secured, good):
            assert (await recent(broker))[-1].account == "choria"


async def test_clear_text_is_for_unverified_clients_only_where_that_is_set(
    tmp_path: Path, authority: Authority
) -> None:
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        value = broker.registry.get_sample_value("choria_broker_unverified_account", {"identity": "broker.example.net"})
        assert value == 0
        async with wire(broker.ports.client) as peer:
            assert peer.info["tls_required"]
            with pytest.raises(ClosedError):
                await peer.connect()
        assert (await refused(broker, authority.context())).rule == "certificate-required"


async def test_a_broker_in_clear_text_for_development(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    path = configuration(tmp_path, authority, network__unverified_account="choria")
    async with NetworkBroker.from_file(path, CLEAR) as broker:
        labels = {"identity": "broker.example.net"}
        assert broker.registry.get_sample_value("choria_broker_unverified_account", labels) == 1
        async with joined(broker, None) as one, joined(broker, None) as two:
            assert not await two.subscribe([">"])
            assert len(await reach(one, two, "hello")) == 5
            assert (await recent(broker))[-1].account == "choria"
        assert (await refused(broker, None, token(client()))).rule == "certificate-required"
    assert any("unverified_account" in record.getMessage() for record in caplog.records)


NOT_SEEN = {"unverified-21-jwt": "the engine's library empties this field, which the broker therefore never sees"}
"""Vectors whose connection looks like one that presents nothing, and why."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Vectors about unverified clients that share their settings."""

    broker: dict[str, Any]
    vectors: list[dict[str, Any]]


def groups() -> list[Group]:
    """Gather the vectors that a socket can produce."""
    found: dict[str, Group] = {}
    for path in sorted((VECTORS / "unverified").glob("*.json")):
        raw = json.loads(path.read_text())
        connection = raw["connection"]
        # The engine's TLS never lets a certificate through unverified, and the rest has tests of its own.
        if connection["tls"] == "inprocess" or "kind" in connection or "certificate" in connection:
            continue
        key = json.dumps(raw["broker"], sort_keys=True)
        found.setdefault(key, Group(raw["broker"], [])).vectors.append(raw)
    return list(found.values())


def settings_of(broker: dict[str, Any]) -> dict[str, str | bool]:
    """Write the settings of a group as lines of a configuration."""
    values: dict[str, str | bool] = {}
    names = {
        "unverified_account": "network__unverified_account",
        "deny_server_connections": "network__deny_server_connections",
        "provisioning_client_password": "network__provisioning__client_password",
        "system_user": "network__system__user",
        "system_password": "network__system__password",
    }
    values |= {key: broker[name] for name, key in names.items() if name in broker}
    if issuers := broker.get("issuers"):
        values["plugin__security__issuer__names"] = ", ".join(issuers)
        values |= {f"plugin__security__issuer__{name}__public": key for name, key in issuers.items()}
    if "accounts" in broker:
        values["network__accounts"] = ", ".join(broker["accounts"])
    if "client_hosts" in broker:
        values["network__client_hosts"] = ", ".join(broker["client_hosts"]).replace("192.0.2.0", "127.0.0.0")
    return values


@pytest.mark.parametrize("group", groups(), ids=lambda group: group.vectors[0]["id"])
async def test_vectors_of_unverified_clients(tmp_path: Path, authority: Authority, group: Group) -> None:
    contexts = {
        "plain": None,
        "anonymous": authority.context(),
        "mtls": authority.context(authority.issue("bob.mcollective")),
    }
    path = configuration(tmp_path, authority, **settings_of(group.broker))
    async with NetworkBroker.from_file(path, Overrides(disable_tls=not group.broker["tls"])) as broker:
        for vector in group.vectors:
            context, connect = contexts[vector["connection"]["tls"]], dict(vector["connection"]["connect"])
            # A broker with TLS that lets nobody in on clear text ends such a connection before the policy is asked.
            asked = context is not None or not group.broker["tls"] or "unverified_account" in group.broker
            async with wire(broker.ports.client, context) as peer:
                if "auth_token" in connect and "sig" in connect:
                    connect["sig"] = signature(SEED, peer.nonce.encode())
                try:
                    await peer.connect(**connect)
                except ClosedError:
                    allowed = False
                else:
                    allowed = True
            expected = vector["expect"].get("account", "EDGE" if vector["id"] in NOT_SEEN else "")
            assert allowed is bool(expected), vector["id"]
            if asked:
                assert (await recent(broker))[-1].account == expected


ORGANIZATIONS: dict[str, str] = {
    "plugin__security__issuer__names": "acme, globex, choria",
    "plugin__security__issuer__acme__public": hex_of(ORGANIZATION),
    "plugin__security__issuer__acme__account": "ACME",
    "plugin__security__issuer__globex__public": hex_of(OTHER_ORGANIZATION),
    "plugin__security__issuer__globex__account": "GLOBEX",
    "plugin__security__issuer__choria__public": hex_of(STRANGER),
}
ADMIN = {"org_admin": True}
TOKENS = {
    "acme": token(client(ou="acme", permissions=ADMIN)),
    "globex": token(client(ou="globex", permissions=ADMIN), OTHER_ORGANIZATION),
    "choria": token(client(ou="choria", permissions=ADMIN), STRANGER),
}


async def test_organizations_with_equal_subjects_never_see_each_other(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, **ORGANIZATIONS)
    context = authority.context()
    async with contextlib.AsyncExitStack() as stack:
        broker = await stack.enter_async_context(NetworkBroker.from_file(path))
        peers = {}
        for name, text in TOKENS.items():
            peers[name] = [await stack.enter_async_context(joined(broker, context, text)) for _ in range(2)]
            assert (await recent(broker))[-1].account == ("choria" if name == "choria" else name.upper())
            assert not await peers[name][1].subscribe([">"])
        for name, (sender, receiver) in peers.items():
            assert len(await reach(sender, receiver, f"of {name}")) == 5
        for name, (_, receiver) in peers.items():
            await receiver.flush()
            assert {message.payload for message in receiver.messages} == {f"of {name}"}


async def test_servers_and_clients_of_an_organization_meet(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, **ORGANIZATIONS)
    node = token(server(ou="globex", collectives=["c"]), OTHER_ORGANIZATION)
    async with (
        NetworkBroker.from_file(path) as broker,
        joined(broker, authority.context(), node) as serving,
        joined(broker, authority.context(), TOKENS["globex"]) as friend,
        joined(broker, authority.context(), TOKENS["acme"]) as stranger,
    ):
        assert not await serving.subscribe(["c.node.node1.example.net"])
        assert not await friend.publish(["c.node.node1.example.net"], "request of a friend")
        assert not await stranger.publish(["c.node.node1.example.net"], "request of a stranger")
        await serving.flush()
        assert [message.payload for message in serving.messages] == ["request of a friend"]


async def test_two_issuers_may_share_an_account(tmp_path: Path, authority: Authority) -> None:
    shared = {"plugin__security__issuer__globex__account": "ACME"}
    async with (
        NetworkBroker.from_file(configuration(tmp_path, authority, **(ORGANIZATIONS | shared))) as broker,
        joined(broker, authority.context(), TOKENS["acme"]) as one,
        joined(broker, authority.context(), TOKENS["globex"]) as other,
    ):
        assert not await other.subscribe([">"])
        assert len(await reach(one, other, "shared")) == 5


async def test_a_token_of_one_organization_does_not_open_the_account_of_another(
    tmp_path: Path, authority: Authority
) -> None:
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **ORGANIZATIONS)) as broker:
        forged = token(client(ou="globex", permissions=ADMIN), ORGANIZATION)
        assert (await refused(broker, authority.context(), forged)).rule == "token-signature"


async def ask_streams(peer: Wire, subject: str, payload: str = "") -> dict[str, Any]:
    """Make a request of JetStream and return the answer."""
    inbox = f"answers.{subject}"
    assert not await peer.subscribe([inbox])
    peer._writer.write(f"PUB {subject} {inbox} {len(payload)}\r\n{payload}\r\n".encode())
    async with asyncio.timeout(DEADLINE):
        while not (found := [message for message in peer.messages if message.subject == inbox]):
            await peer.flush()
    return dict(json.loads(found[0].payload))


async def test_every_organization_has_streams_of_its_own(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, **ORGANIZATIONS, network__stream__store=tmp_path / "store")
    definition = json.dumps({"name": "EVENTS", "subjects": ["events.>"], "storage": "memory"})
    context = authority.context()
    async with contextlib.AsyncExitStack() as stack:
        broker = await stack.enter_async_context(NetworkBroker.from_file(path))
        acme, globex, choria = [
            await stack.enter_async_context(joined(broker, context, TOKENS[name]))
            for name in ("acme", "globex", "choria")
        ]
        for peer in (acme, globex):
            assert "error" not in await ask_streams(peer, "$JS.API.STREAM.CREATE.EVENTS", definition)
        assert not await acme.publish(["events.one"], "kept")
        states = [await ask_streams(peer, "$JS.API.STREAM.INFO.EVENTS") for peer in (acme, globex, choria)]
        assert [state.get("state", {}).get("messages") for state in states] == [1, 0, None]


TOKENS_ONLY: dict[str, Any] = {"network__client_anon_tls": True, "network__client_signer_cert": hex_of(ORGANIZATION)}


async def test_where_only_clients_with_tokens_get_in(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    path = configuration(tmp_path, authority, **TOKENS_ONLY, network__server_signer_cert=hex_of(ORGANIZATION))
    bare, certified = authority.context(), authority.context(authority.issue("bob.mcollective"))
    foreign = authority.context(Authority(tmp_path, "foreign").issue("mallory.mcollective"))
    async with NetworkBroker.from_file(path) as broker:
        assert broker.is_tls
        assert not broker.is_verified_tls
        for context in (bare, certified, foreign):
            async with joined(broker, context, token(client())) as peer:
                assert (await recent(broker))[-1].rule == "client-token"
                assert await peer.publish(["mcollective.node.n1"], "not in the token") == {"mcollective.node.n1"}
            decision = await refused(broker, context)
            # Nobody was asked for a certificate, so none was seen.
            assert (decision.rule, decision.common_name) == ("client-token-required", "")
            assert (await refused(broker, context, token(server()))).rule == "servers-refused"
        assert (await refused(broker, bare, token(client(), STRANGER))).rule == "token-signature"
        stolen = token(client(public_key=hex_of(STRANGER)))
        assert (await refused(broker, bare, stolen)).rule == "token-nonce"
        inside = await broker.connect()
        await inside.close()
    assert any("client_anon_tls" in record.getMessage() for record in caplog.records)


async def test_provisioning_stays_as_configured_where_only_tokens_count(tmp_path: Path, authority: Authority) -> None:
    issuers: dict[str, Any] = {
        "plugin__security__issuer__names": "choria",
        "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
        "network__client_anon_tls": True,
        "network__provisioning__client_password": "s3cret",
    }
    permitted = token(client(permissions={"provisioner": True}, ou="choria"))
    login = {"user": "provisioner", "pass": "s3cret"}
    async with (
        NetworkBroker.from_file(configuration(tmp_path, authority, **issuers)) as broker,
        wire(broker.ports.client, authority.context()) as node,
        joined(broker, authority.context(), permitted, **login) as provisioner,
    ):
        assert (await recent(broker))[-1].account == "provisioning"
        await node.connect(auth_token=token(provisioning(ou="choria")))
        assert (await recent(broker))[-1].account == "provisioning"
        assert not await provisioner.subscribe(["provisioning.registration.>"])
        assert not await node.publish(["provisioning.registration.x"], "here I am")
        await provisioner.flush()
        assert provisioner.received("here I am") == {"provisioning.registration.x"}
        decision = await refused(broker, authority.context(), permitted, user="provisioner")
        assert decision.rule == "provisioner-password"
