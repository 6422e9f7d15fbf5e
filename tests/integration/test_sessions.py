"""Sessions of a running broker: who is connected, on whose word, and how that ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from nats.aio.client import Client

from choria_broker.access.session import Session
from choria_broker.broker import NetworkBroker
from choria_broker.cli.connections import connections
from choria_broker.cli.find import find
from choria_broker.cli.kick import kick
from choria_broker.status.settings_now import differences
from support.leaflinks import hub, remote, spoke
from support.minting import HOLDER, ORGANIZATION, hex_of, mint, proof
from support.minting import client as client_claims
from support.settled import eventually
from support.testbed import Authority, client, configuration, free_port, gets_nowhere, settled
from support.topology import broker as make
from support.topology import formed, nodes, peers
from support.topology import running as together
from support.websockets import websocket_client

pytestmark = pytest.mark.filterwarnings(
    "ignore:parameter 'timeout' of type 'float':DeprecationWarning"  # nats-py asks aiohttp in the old way.
)

DEADLINE = 60.0


def by_token(**claims: Any) -> dict[str, Any]:
    """Log in as a client with a token of the organization."""
    now = int(time.time())
    claims = client_claims(permissions={"org_admin": True}, nbf=None, jti="the-token", **claims)
    return {
        "token": mint({**claims, "iat": now - 60, "exp": now + 3600}),
        "signature_cb": lambda nonce: proof(HOLDER, nonce).encode(),
    }


@pytest.fixture
def config(tmp_path: Path, authority: Authority) -> Path:
    """Write a configuration that lets clients with certificates and with tokens in."""
    return configuration(
        tmp_path, authority, network__client_signer_cert=hex_of(ORGANIZATION), network__websocket_port=free_port()
    )


@contextlib.asynccontextmanager
async def running(config: Path) -> AsyncIterator[NetworkBroker]:
    async with NetworkBroker.from_file(config) as broker:
        yield broker


def number_of(connection: Client) -> int:
    return int(connection.client_id or 0)


async def test_whose_a_session_is(config: Path, authority: Authority) -> None:
    web1 = authority.context(authority.issue("web1.example.net"))
    async with (
        running(config) as broker,
        client(broker, authority.context(), **by_token()) as with_token,
        client(broker, web1, name="web1") as with_certificate,
        websocket_client(broker.ports.websocket, web1) as websocket,
    ):
        sessions = {each.connection: each for each in await broker.sessions()}
        assert set(sessions) == {number_of(each) for each in (with_token, with_certificate, websocket)}
        token, certificate, third = (sessions[number_of(each)] for each in (with_token, with_certificate, websocket))
        assert (token.kind, token.tls, token.username, token.account) == ("client", "anon", "up=alice", "choria")
        assert (token.holder.caller, token.holder.method, token.holder.token_id) == ("up=alice", "token", "the-token")
        assert token.holder.key == hex_of(HOLDER)
        assert (token.holder.expires or 0) > time.time()
        assert (certificate.tls, certificate.holder.identity) == ("mtls", "web1.example.net")
        held = certificate.holder.certificate
        assert held is not None
        assert held.authority is not None
        assert held.authority.subject == held.issuer
        assert certificate.holder.expires == held.not_after
        assert (third.kind, third.holder) == ("websocket", certificate.holder)
        assert abs(third.since - time.time()) < 60
    with pytest.raises(Exception, match="not running"):
        await broker.sessions()


async def test_ended_sessions_are_closed_and_remembered_and_may_come_again(config: Path, authority: Authority) -> None:
    def of(session: Session) -> tuple[str, str]:
        return session.username, session.address

    async with running(config) as broker:
        async with (
            client(broker, authority.context(), **by_token()) as hit,
            client(broker, authority.context(), **by_token()) as spared,
        ):
            assert await broker.end_sessions([number_of(hit), 4711], "kicked by a test") == 1
            async with asyncio.timeout(DEADLINE):
                while not hit.is_closed:
                    await asyncio.sleep(0.01)
            assert [each.connection for each in await broker.sessions()] == [number_of(spared)]
            assert [(of(each), each.reason) for each in await broker.departed()] == [
                (("up=alice", "127.0.0.1"), "kicked by a test")
            ]
        async with client(broker, authority.context(), **by_token()):
            pass

        async def all_gone() -> bool:
            return not await broker.sessions()

        await eventually(all_gone)
        assert [each.reason for each in await broker.departed()][1:] == ["Client Closed"] * 2


async def run(command: click.Command, *arguments: str | Path) -> Result:
    """Run a command as an operator would, while the broker goes on."""
    return await asyncio.to_thread(CliRunner().invoke, command, [str(each) for each in arguments])


async def test_connections_are_listed_with_what_goes_over_them(config: Path, authority: Authority) -> None:
    web1 = authority.context(authority.issue("web1.example.net"))
    async with (
        running(config) as broker,
        client(broker, authority.context(), **by_token()) as busy,
        client(broker, web1),
    ):
        for _ in range(5):
            await busy.publish("mcollective.test", b"12345")
        await settled(busy)
        told = json.loads((await run(connections, "--config", config, "--sort", "rate", "--json")).output)
        assert told["total"] == 2
        first, second = told["connections"]
        assert (first["username"], second["holder"]["identity"]) == ("up=alice", "web1.example.net")
        assert first["traffic"]["in_msgs"] >= 5
        assert first["rates"]["in_msgs"] > 0 == second["rates"]["in_msgs"]
        text = (await run(connections, "--config", config, "--identity", "web?.*")).output
        assert "web1.example.net" in text
        assert "1 of 1 connections shown" in text
        assert "alice" not in text
        limited = await run(connections, "--config", config, "--limit", "1", "--over", "0.05")
        assert "1 of 2 connections shown" in limited.output
        wrong = await run(connections, "--config", config, "--address", "web1")
        assert (wrong.exit_code, "IP address or a network" in wrong.output) == (1, True)
    assert (await run(connections, "--config", config)).exit_code == 1


async def test_why_somebody_went_has_a_line_and_an_answer(
    config: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    web1 = authority.context(authority.issue("web1.example.net"))

    def ends() -> list[dict[str, Any]]:
        return [each.__dict__ for each in caplog.records if each.getMessage() == "Connection ended"]

    async def told() -> bool:
        return len(ends()) == 2

    async with running(config) as broker:
        broker.departures._pace = 0.05
        async with client(broker, web1) as leaving, client(broker, authority.context(), **by_token()) as kicked:
            await leaving.publish("mcollective.test", b"12345")
            await settled(leaving)
            number, other = number_of(leaving), number_of(kicked)
            await leaving.close()
            await broker.end_sessions([other], "kicked by a test")
            await eventually(told)
        went = {each["cid"]: each for each in ends()}
        assert went[number]["reason"] == "Client Closed"
        assert (went[number]["identity"], went[number]["remote"]) == ("web1.example.net", "127.0.0.1")
        assert went[number]["in_bytes"] >= 5
        assert went[number]["after"].endswith("s")
        assert (went[other]["identity"], went[other]["reason"]) == ("up=alice", "kicked by a test")
        answer = (await run(find, "--config", config, "web1")).output
        token = (await run(find, "--config", config, "the-token")).output
    accepted = next(each.__dict__ for each in caplog.records if each.__dict__.get("jti"))
    assert (accepted["jti"], accepted["issuer"].endswith(hex_of(ORGANIZATION)[-4:])) == ("the-token", True)
    assert accepted["expires"].startswith("20")
    assert re.search(r"kicked by a test, after .* client-token, token the-token by \S+, ends 20\d\d-", token)
    assert re.search(r": left \d{4}-.* UTC, Client Closed, after \d+s, \d+ bytes from it and \d+ to it: client", answer)


async def test_a_kick_ends_whom_it_names_and_is_written_down(
    config: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    web1 = authority.context(authority.issue("web1.example.net"))
    async with (
        running(config) as broker,
        client(broker, authority.context(), **by_token()) as spared,
        client(broker, web1) as hit,
    ):
        nobody = await run(kick, "--config", config)
        assert (nobody.exit_code, "give an option that says whose sessions" in nobody.output) == (1, True)
        dry = await run(kick, "--config", config, "--identity", "web*", "--dry-run")
        assert "Dry run: 1 session would end" in dry.output
        assert "web1.example.net from 127.0.0.1" in dry.output
        assert "An operator acted" not in caplog.text
        number = number_of(hit)
        done = json.loads((await run(kick, "--config", config, "--identity", "web*", "--json")).output)
        assert (done["matched"], done["ended"]) == (1, 1)
        assert [each["connection"] for each in done["sessions"]] == [number]
        async with asyncio.timeout(DEADLINE):
            while not hit.is_closed:
                await asyncio.sleep(0.01)
        await settled(spared)
        (gone,) = await broker.departed()
        assert gone.reason.startswith("kicked by ")
        assert caplog.text.count("An operator acted") == 1
        async with client(broker, web1):
            pass


async def test_somebody_is_found_wherever_he_went(config: Path, authority: Authority) -> None:
    async with running(config) as broker:
        nobody = await run(find, "alice", "--config", config)
        assert (nobody.exit_code, "alice was not seen since" in nobody.output) == (3, True)
        assert "Only broker.example.net was asked: it has no peers and no gateways" in nobody.output
        async with client(broker, authority.context(), **by_token()):
            here = await run(find, "ALICE", "--config", config)
            assert (here.exit_code, "connected, client cid" in here.output) == (0, True)

        async def gone() -> bool:
            return not await broker.sessions()

        await eventually(gone)
        assert "left 20" in (await run(find, "alice", "--config", config)).output
        await gets_nowhere(broker, authority, by_token(exp=5) | {"signature_cb": lambda _nonce: b"c2ln"})
        refused = json.loads((await run(find, "alice", "--config", config, "--json")).output)
        (told,) = refused["brokers"][0]["refused"]
        assert told["rule"] == "token-nonce"
        assert told["remedy"]


async def test_members_of_a_cluster_tell_of_each_other(tmp_path: Path, authority: Authority) -> None:
    members = nodes(2, host="127.0.0.1")
    system = {"network__system__user": "root", "network__system__password": "secret"}
    brokers = [make(tmp_path, authority, member, **peers(*members), **system) for member in members]
    web1 = authority.context(authority.issue("web1.example.net"))
    async with together(brokers):
        await formed(*members)
        configs = [broker.settings.source for broker in brokers]
        brokers[0]._parts.neighbours._patience = 1.5
        async with client(brokers[1], web1):

            async def all_answer() -> bool:
                result = await brokers[0]._parts.neighbours.find("web1")
                return result.whole and len(result.brokers) == 2 and not result.brokers[1].partly

            await eventually(all_answer)
            there = await run(find, "web1.example.net", "--config", configs[0])
            assert there.exit_code == 0
            assert "broker1.example.net: web1.example.net was not seen since" in there.output
            assert "broker2.example.net: connected, client cid" in there.output
            assert "Answered: broker1.example.net, broker2.example.net." in there.output

            # One that does not answer for itself is asked for its page.
            answering = brokers[1]._parts.neighbours._client
            assert answering is not None
            brokers[1]._parts.neighbours._pause = 60.0
            await answering.close()
            partly = await brokers[0]._parts.neighbours.find("127.0.0.1")
            assert [(each.broker, each.partly, len(each.connected)) for each in partly.brokers] == [
                ("broker1.example.net", False, 0),
                ("broker2.example.net", True, 1),
            ]


async def test_members_tell_each_other_in_what_they_differ(tmp_path: Path, authority: Authority) -> None:
    members = nodes(2, host="127.0.0.1")
    system = {"network__system__user": "root", "network__system__password": "secret"}
    most = ({"network__max_connections": 2000}, {"network__max_connections": 3000})
    brokers = [
        make(tmp_path, authority, member, **peers(*members), **system, **more)
        for member, more in zip(members, most, strict=True)
    ]
    here, there = (broker._parts.neighbours for broker in brokers)
    assert here.members().limit == "this broker is not connected to its system account at the moment"
    here._patience = there._patience = 0.3
    async with together(brokers):
        await formed(*members)

        async def told() -> bool:
            return bool(here.members().reports)

        await eventually(told)
        (report,) = here.members().reports
        own = brokers[0]._parts._about()
    assert (report.broker, report.version, report.nats) == ("broker2.example.net", own.version, own.nats)
    assert "secret" not in repr(report)
    found = {each.what: (each.here, each.elsewhere) for each in differences(own, (report,))}
    key = "plugin.choria.network.max_connections"
    assert found[key] == ("2000", {"broker2.example.net": "3000"})
    assert "version" not in found
    assert "plugin.choria.network.peers" not in found


async def test_after_a_reload_those_are_ended_who_would_get_something_else(
    config: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    web1 = authority.context(authority.issue("web1.example.net"))
    text = config.read_text()
    apart = "plugin.choria.network.client_hosts = 203.0.113.0/24\n"
    ending = "plugin.choria.network.reload_sessions = end\n"
    async with (
        running(config) as broker,
        client(broker, authority.context(), **by_token()) as with_token,
        client(broker, web1) as with_certificate,
    ):
        broker._parts.followup._spread = 0.2
        config.write_text(text + apart)
        await broker.reload()
        await settled(with_certificate)
        assert len(await broker.sessions()) == 2

        config.write_text(text + ending)
        await broker.reload()
        await settled(with_certificate)
        assert len(await broker.sessions()) == 2

        # No signer: whoever has a token is out, and certificates count as before.
        config.write_text(text.replace("plugin.choria.network.client_signer_cert", "#") + ending)
        await broker.reload()
        async with asyncio.timeout(DEADLINE):
            while not with_token.is_closed:
                await asyncio.sleep(0.01)
        await settled(with_certificate)
        assert [each.connection for each in await broker.sessions()] == [number_of(with_certificate)]
        assert [each.reason for each in await broker.departed()] == [
            "the policy after a reload decides about it differently"
        ]
        assert "Ending sessions that the new policy would decide differently" in caplog.text


async def test_a_leafnode_is_a_session_that_comes_again(tmp_path: Path, authority: Authority) -> None:
    one, other = nodes(2, host="127.0.0.1")
    here, there = hub(tmp_path, authority, one), spoke(tmp_path, authority, other, **remote("hub", one.leafnode))
    async with together([here, there]):

        async def joined() -> bool:
            return [each.kind for each in await here.sessions()] == ["leafnode"]

        await eventually(joined)
        (leafnode,) = await here.sessions()
        assert (leafnode.account, leafnode.tls, leafnode.holder.method) == ("choria", "mtls", "mtls")
        assert leafnode.holder.identity == "broker2.example.net"
        assert await there.sessions() == ()
        result = await run(kick, "--config", here.settings.source, "--kind", "leafnode")
        assert "Ended 1 of 1 session;" in result.output

        async def again() -> bool:
            return [each.connection > leafnode.connection for each in await here.sessions()] == [True]

        await eventually(again)
        (gone,) = await here.departed()
        assert gone.reason.startswith("kicked by ")
