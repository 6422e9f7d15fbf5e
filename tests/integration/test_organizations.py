"""Organizations with accounts of their own: real tokens of both, real clients, the same subjects, streams and names."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from choria_broker.cli import check
from choria_broker.config.surroundings.facts import Overrides
from support.minting import HOLDER, ORGANIZATION, OTHER_ORGANIZATION, STRANGER, hex_of, mint, proof
from support.minting import client as client_claims
from support.minting import provisioning as provisioning_claims
from support.minting import server as server_claims
from support.nats_socket import ClosedError, Wire, wire
from support.settled import recent
from support.streaming import ask, kept
from support.testbed import Authority, client, configuration, free_port, settled

DEADLINE = 60.0
NODE = "node1.example.net"
KEYS = {"acme": ORGANIZATION, "globex": OTHER_ORGANIZATION, "choria": STRANGER}
ISSUERS: dict[str, Any] = {
    "plugin__security__issuer__names": "acme, globex, choria",
    **{f"plugin__security__issuer__{name}__public": hex_of(key) for name, key in KEYS.items()},
    "plugin__security__issuer__acme__account": "ACME",
    "plugin__security__issuer__globex__account": "GLOBEX",
}
LIFETIME = {"nbf": None, "jti": None}


def issued(organization: str, claims: dict[str, Any], key: Ed25519PrivateKey | None = None) -> str:
    """Issue a token of an organization, valid now."""
    now = int(time.time())
    return mint({**claims, "ou": organization, "iat": now - 60, "exp": now + 3600}, key or KEYS[organization])


def person(organization: str, **permissions: bool) -> str:
    """Issue a client token with permissions."""
    return issued(organization, client_claims(permissions=permissions, **LIFETIME))


def node(organization: str, **permissions: bool) -> str:
    """Issue a server token for the node that every organization has."""
    claims = server_claims(identity=NODE, collectives=["fleet"], permissions=permissions, **LIFETIME)
    return issued(organization, claims)


def login(token: str) -> dict[str, Any]:
    """Options of a client that presents a token and signs the challenge."""
    return {"token": token, "signature_cb": lambda nonce: proof(HOLDER, nonce).encode()}


@contextlib.asynccontextmanager
async def speaking(broker: NetworkBroker, context: ssl.SSLContext, token: str) -> AsyncIterator[Wire]:
    """Connect with a token, each permission error seen."""
    async with wire(broker.ports.client, context) as peer:
        await peer.connect(auth_token=token, sig=proof(HOLDER, peer.nonce))
        yield peer


async def serve(connection: Client, organization: str) -> None:
    """Answer requests the way a node does."""

    async def answer(message: Msg) -> None:
        await connection.publish(message.reply, f"{NODE} of {organization}".encode())

    for subject in (f"fleet.node.{NODE}", "fleet.broadcast.agent.discovery"):
        await connection.subscribe(subject, cb=answer)


async def test_people_and_nodes_of_two_organizations_with_the_same_names_never_meet(
    tmp_path: Path, authority: Authority
) -> None:
    """Fleet requests reach the nodes of one's own organization, though all names and subjects are equal."""
    context = authority.context()
    async with contextlib.AsyncExitStack() as stack:
        broker = await stack.enter_async_context(NetworkBroker.from_file(configuration(tmp_path, authority, **ISSUERS)))
        people = {}
        for organization in KEYS:
            serving = await stack.enter_async_context(client(broker, context, **login(node(organization))))
            assert (await recent(broker))[-1].rule == "server-token"
            await serve(serving, organization)
            await serving.flush()
            token = person(organization, fleet_management=True)
            people[organization] = await stack.enter_async_context(client(broker, context, **login(token)))
            decision = (await recent(broker))[-1]
            assert decision.account == ("choria" if organization == "choria" else organization.upper())
        for organization, asking in people.items():
            inbox = f"fleet.reply.{md5('up=alice')}.1"
            replies = await asking.subscribe(inbox)
            for subject in (f"fleet.node.{NODE}", "fleet.broadcast.agent.discovery"):
                await asking.publish(subject, b"who are you?", reply=inbox)
                assert (await replies.next_msg(timeout=DEADLINE)).data == f"{NODE} of {organization}".encode()
            assert replies.pending_msgs == 0


def md5(caller: str) -> str:
    """Hash a caller as its own reply subjects have it."""
    return hashlib.md5(caller.encode(), usedforsecurity=False).hexdigest()


def inbox(name: str) -> bytes:
    """Where the holder of a token gets answers."""
    return f"fleet.reply.{md5(name)}".encode()


async def test_each_organization_has_streams_that_its_people_make_and_its_nodes_read(
    tmp_path: Path, authority: Authority
) -> None:
    """Streams, buckets and keys with equal names are apart; servers of an account of their own use ``$JS.API``."""
    context = authority.context()
    path = configuration(tmp_path, authority, **ISSUERS, network__stream__store=tmp_path / "store")
    async with contextlib.AsyncExitStack() as stack:
        broker = await stack.enter_async_context(NetworkBroker.from_file(path))
        people = {}
        for organization in ("acme", "globex"):
            token = person(organization, org_admin=True)
            people[organization] = await stack.enter_async_context(client(broker, context, **login(token)))
            streams = people[organization].jetstream()
            await streams.add_stream(name="EVENTS", subjects=["events.>"])
            bucket = await streams.create_key_value(bucket="CONFIG")
            await bucket.put("color", organization.encode())
        await people["acme"].jetstream().publish("events.one", b"of acme")
        for organization, count in (("acme", 1), ("globex", 0)):
            bucket = await people[organization].jetstream().key_value("CONFIG")
            assert (await bucket.get("color")).value == organization.encode()
            options = login(node(organization, streams=True)) | {"inbox_prefix": inbox(NODE)}
            serving = await stack.enter_async_context(client(broker, context, **options))
            answer = await serving.request("$JS.API.STREAM.INFO.EVENTS", b"", timeout=DEADLINE)
            assert json.loads(answer.data)["state"]["messages"] == count


async def test_what_executors_say_of_their_jobs_is_kept_for_people_with_streams(
    tmp_path: Path, authority: Authority
) -> None:
    """``choria executor`` reads the stream that go-choria v0.30 makes; nodes need the permission of submissions."""
    context, path = (
        authority.context(),
        configuration(tmp_path, authority, **ISSUERS, network__stream__store=tmp_path / "store"),
    )
    claims = server_claims(identity=NODE, collectives=["choria"], permissions={"submission": True}, **LIFETIME)
    async with NetworkBroker.from_file(path) as broker:
        assert (await kept(broker))["CHORIA_EXECUTOR"] == "created"
        async with client(broker, context, **login(issued("choria", claims))) as serving:
            await serving.publish("choria.submission.in.choria.executor.event.job1", b"done")
            await serving.flush()
        reader = login(person("choria", streams_user=True)) | {
            "inbox_prefix": f"fleet.reply.{md5('up=alice')}".encode()
        }
        async with client(broker, context, **reader) as reading, asyncio.timeout(DEADLINE):
            stream = "CHORIA_EXECUTOR"
            events = await reading.jetstream().pull_subscribe_bind(await consumer(reading, stream), stream)
            (event,) = await events.fetch(timeout=DEADLINE)
            assert (event.subject, event.data) == ("choria.executor.event.job1", b"done")
            direct = await reading.request(f"$JS.API.DIRECT.GET.{stream}.{event.subject}", timeout=DEADLINE)
            assert direct.data == b"done"


async def consumer(connection: Client, stream: str) -> str:
    """Make a consumer that reads a stream from its beginning, and return its name."""
    document = {"stream_name": stream, "config": {"ack_policy": "explicit", "inactive_threshold": 60_000_000_000}}
    answer = await ask(connection, f"CONSUMER.CREATE.{stream}", document)
    return str(answer["name"])


async def test_nodes_of_an_organization_in_the_common_account_have_no_way_to_its_streams(
    tmp_path: Path, authority: Authority
) -> None:
    """Without an account of its own an organization that is not ``choria`` asks where nothing answers."""
    settings = {key: text for key, text in ISSUERS.items() if key != "plugin__security__issuer__globex__account"}
    path = configuration(tmp_path, authority, **settings, network__stream__store=tmp_path / "store")
    async with NetworkBroker.from_file(path) as broker:
        for organization, api, denied in (
            ("globex", "choria.streams", "$JS.API"),
            ("acme", "$JS.API", "choria.streams"),
            ("choria", "$JS.API", "choria.streams"),
        ):
            async with speaking(broker, authority.context(), node(organization, streams=True)) as peer:
                subjects = [f"{each}.STREAM.INFO.EVENTS" for each in (api, denied)]
                assert await peer.publish(subjects, "") == {f"{denied}.STREAM.INFO.EVENTS"}


async def test_organizations_that_share_an_account_share_its_streams(tmp_path: Path, authority: Authority) -> None:
    shared = ISSUERS | {f"plugin__security__issuer__{name}__account": "SHARED" for name in ("acme", "globex")}
    path = configuration(tmp_path, authority, **shared, network__stream__store=tmp_path / "store")
    async with (
        NetworkBroker.from_file(path) as broker,
        client(broker, authority.context(), **login(person("acme", org_admin=True))) as acme,
        client(broker, authority.context(), **login(person("globex", org_admin=True))) as globex,
        client(broker, authority.context(), **login(person("choria", org_admin=True))) as other,
    ):
        await acme.jetstream().add_stream(name="EVENTS", subjects=["events.>"])
        await globex.jetstream().publish("events.one", b"x")
        assert (await acme.jetstream().stream_info("EVENTS")).state.messages == 1
        with pytest.raises(nats.js.errors.NotFoundError):
            await other.jetstream().stream_info("EVENTS")


async def test_without_streams_an_organization_has_none_either(tmp_path: Path, authority: Authority) -> None:
    async with (
        NetworkBroker.from_file(configuration(tmp_path, authority, **ISSUERS)) as broker,
        client(broker, authority.context(), **login(person("acme", org_admin=True))) as acme,
    ):
        with pytest.raises((nats.errors.NoRespondersError, nats.js.errors.ServiceUnavailableError)):
            await acme.jetstream().account_info()


async def test_what_has_no_token_stays_in_the_common_account(tmp_path: Path, authority: Authority) -> None:
    """Certificates alone and the broker's own connection meet each other, and nobody of an organization."""
    bob = authority.context(authority.issue("bob.mcollective"))
    settings = ISSUERS | {"plugin__security__choria__ca": authority.ca}
    async with (
        NetworkBroker.from_file(configuration(tmp_path, authority, **settings)) as broker,
        client(broker, bob) as certified,
        client(broker, authority.context(), **login(person("acme", org_admin=True))) as acme,
    ):
        inside = await broker.connect()
        try:
            decisions = [(decision.method, decision.account) for decision in (await recent(broker, own=True))]
            assert sorted(decisions) == [("in_process", "choria"), ("mtls", "choria"), ("token", "ACME")]
            heard = {name: await each.subscribe(">") for name, each in {"bob": certified, "acme": acme}.items()}
            await settled(certified)
            await settled(acme)
            await inside.publish("announcement", b"x")
            subjects = set[str]()
            while "announcement" not in subjects:
                subjects.add((await heard["bob"].next_msg(timeout=DEADLINE)).subject)
            await acme.publish("marker", b"x")
            subjects = set()
            while "marker" not in subjects:
                subjects.add((await heard["acme"].next_msg(timeout=DEADLINE)).subject)
            assert "announcement" not in subjects
        finally:
            await inside.close()


async def test_a_leafnode_stays_in_the_common_account(tmp_path: Path, authority: Authority) -> None:
    site = authority.context(authority.issue("site.example.net"))
    settings = ISSUERS | {"plugin__security__choria__ca": authority.ca, "network__leafnode_port": free_port()}
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **settings)) as broker:
        async with wire(broker.ports.leafnode, site) as peer:
            await peer.connect(name="site", lang="")  # Only clients name their language.
        (decision,) = await recent(broker)
        assert (decision.kind, decision.account) == ("leafnode", "choria")


async def test_organizations_do_not_meet_in_the_accounts_that_all_share(tmp_path: Path, authority: Authority) -> None:
    """Passwords and permissions are worth nothing with a token of an organization that has an account of its own."""
    settings = ISSUERS | {
        "network__provisioning__client_password": "prov",
        "network__system__user": "sys",
        "network__system__password": "sesame",
    }
    context, seen = authority.context(), []
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **settings)) as broker:
        for organization in ("choria", "acme"):
            waiting = issued(organization, provisioning_claims(**LIFETIME))
            for token, user in (
                (waiting, {}),
                (person(organization, provisioner=True), {"user": "provisioner", "pass": "prov"}),
                (person(organization, system_user=True), {"user": "sys", "pass": "sesame"}),
                (person(organization, org_admin=True), {"user": "sys", "pass": "sesame"}),
            ):
                with contextlib.suppress(ClosedError):
                    async with wire(broker.ports.client, context) as peer:
                        await peer.connect(auth_token=token, sig=proof(HOLDER, peer.nonce), **user)
                seen.append(((await recent(broker))[-1].rule, (await recent(broker))[-1].account))
    assert seen == [
        ("provisionee", "provisioning"),
        ("provisioner", "provisioning"),
        ("system-user", "system"),
        ("system-user", "system"),
        *[("organization-apart", "")] * 4,
    ]


def test_every_account_of_an_organization_is_made(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, **ISSUERS, network__stream__store=tmp_path / "store")
    outcome = check.examine(path, Overrides())
    assert outcome.passed
    assert outcome.rendered is not None
    for account in ("ACME", "GLOBEX"):
        assert f'{account}: {{\n    jetstream: "enabled"\n  }}' in outcome.rendered.masked
