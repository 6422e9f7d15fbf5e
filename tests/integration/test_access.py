"""Who gets in and what they may do, observed on the wire of a running broker."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.audit.decided import Decision
from choria_broker.broker import NetworkBroker
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, bridge, client, configuration, settled

DEADLINE = 60.0


async def delivered(publisher: Client, subscriber: Client, subject: str) -> bool:
    """Whether a message gets from one connection to another; a later message on an open subject bounds the wait."""
    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def take(message: Msg) -> None:
        await arrived.put(message.subject)

    subscriptions = [await subscriber.subscribe(each, cb=take) for each in (subject, "test.marker")]
    await settled(subscriber)
    await publisher.publish(subject, b"x")
    await publisher.publish("test.marker", b"x")
    first = await asyncio.wait_for(arrived.get(), DEADLINE)
    for subscription in subscriptions:
        await subscription.unsubscribe()
    return first == subject


async def refused(broker: NetworkBroker, context: ssl.SSLContext | None, **options: Any) -> Decision:
    """Try to connect, expect the one answer strangers get, and return what was decided."""
    errors: list[Exception] = []

    async def take(error: Exception) -> None:
        errors.append(error)

    with pytest.raises((nats.errors.Error, OSError)) as caught:
        async with client(broker, context, error_cb=take, **options):
            pass
    told = " ".join(str(error) for error in [*errors, caught.value])
    assert "Authorization Violation" in told
    decision = (await recent(broker))[-1]
    assert not decision.allowed
    assert decision.rule not in told
    return decision


async def test_a_client_with_a_certificate_of_the_ca_works_without_limits(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        NetworkBroker.from_file(configuration(tmp_path, authority)) as broker,
        client(broker, context) as one,
        client(broker, context) as two,
    ):
        assert await delivered(one, two, "mcollective.node.node1.example.net")
        decision = (await recent(broker))[-1]
    assert (decision.allowed, decision.account, decision.method) == (True, "choria", "mtls")
    assert decision.common_name == "bob.mcollective"
    assert decision.address == "127.0.0.1"


async def test_a_client_without_a_certificate_is_refused_with_a_logged_reason(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        decision = await refused(broker, authority.context())
    assert decision.common_name == ""
    line = next(record for record in caplog.records if record.getMessage() == "Connection refused")
    assert line.__dict__["rule"] == decision.rule
    assert line.__dict__["reason"]
    assert line.__dict__["remote"] == "127.0.0.1"


async def test_a_certificate_of_a_foreign_ca_ends_the_handshake_with_a_logged_reason(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = Authority(tmp_path, "foreign")
    context = authority.context(foreign.issue("mallory.mcollective"))
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        with pytest.raises((nats.errors.Error, OSError)):
            async with client(broker, context):
                pass
        assert not (await recent(broker))
    labels = {"identity": "broker.example.net", "cause": "tls-handshake"}
    assert broker.registry.get_sample_value("choria_broker_engine_refusals_total", labels) == 1
    assert any(
        record.name == "choria_broker.engine" and "failed to verify certificate" in record.getMessage()
        for record in caplog.records
    )


async def test_clear_text_is_refused(tmp_path: Path, authority: Authority) -> None:
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.ports.client)
        with contextlib.closing(writer):
            info = await asyncio.wait_for(reader.readline(), DEADLINE)
            assert b'"tls_required":true' in info
            assert b'"nonce":"' in info
            writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
            answer = await asyncio.wait_for(reader.read(), DEADLINE)
        assert b"PONG" not in answer


async def test_without_tls_nobody_gets_in(tmp_path: Path, authority: Authority) -> None:
    from choria_broker.config.surroundings.facts import Overrides

    path = configuration(tmp_path, authority)
    async with NetworkBroker.from_file(path, Overrides(disable_tls=True)) as broker:
        assert not broker.is_tls
        await refused(broker, None, user="bob", password="x")


SYSTEM = {"network__system__user": "system", "network__system__password": "s3cret"}


async def test_the_system_user_sees_server_events_over_mtls(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("admin.mcollective"))
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **SYSTEM)) as broker:
        async with client(broker, context, user="system", password="s3cret") as admin:
            answer = await admin.request("$SYS.REQ.SERVER.PING", b"", timeout=DEADLINE)
            assert b'"name":"broker.example.net"' in answer.data
        assert (await recent(broker))[-1].account == "system"


@pytest.mark.parametrize("password", ["", "hunter2", "s3cret-not"])
async def test_the_system_user_needs_the_password(tmp_path: Path, authority: Authority, password: str) -> None:
    context = authority.context(authority.issue("admin.mcollective"))
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **SYSTEM)) as broker:
        decision = await refused(broker, context, user="system", password=password)
        assert "hunter2" not in repr(decision)


async def test_the_system_account_is_not_the_fleets(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        NetworkBroker.from_file(configuration(tmp_path, authority, **SYSTEM)) as broker,
        client(broker, context) as bob,
    ):
        with pytest.raises((nats.errors.NoRespondersError, nats.errors.TimeoutError)):
            await bob.request("$SYS.REQ.SERVER.PING", b"", timeout=1)


async def test_hosts_outside_client_hosts_are_servers(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("node1.example.net"))
    path = configuration(tmp_path, authority, network__client_hosts="192.0.2.0/24")
    async with NetworkBroker.from_file(path) as broker, client(broker, context) as node:
        inside = await broker.connect()
        try:
            assert not await delivered(node, inside, "mcollective.node.node2.example.net")
            assert await delivered(inside, node, "mcollective.node.node1.example.net")
            assert await delivered(node, inside, "mcollective.reply.abc.1")
            assert not await delivered(node, inside, "mcollective.broadcast.agent.discovery")
        finally:
            await inside.close()


async def test_hosts_inside_client_hosts_are_clients(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("bob.mcollective"))
    path = configuration(tmp_path, authority, network__client_hosts="192.0.2.0/24, 127.0.0.0/8")
    async with (
        NetworkBroker.from_file(path) as broker,
        client(broker, context) as one,
        client(broker, context) as two,
    ):
        assert await delivered(one, two, "mcollective.node.node2.example.net")


async def test_denied_servers_stay_connected_and_may_do_nothing(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("node1.example.net"))
    path = configuration(tmp_path, authority, network__client_hosts="192.0.2.1", network__deny_server_connections=True)
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    async with NetworkBroker.from_file(path) as broker, client(broker, context, error_cb=errors.put) as node:
        inside = await broker.connect()
        try:
            everything = await inside.subscribe(">")
            await settled(inside)
            await node.publish("anything.at.all", b"x")
            assert "permissions violation for publish" in str(await asyncio.wait_for(errors.get(), DEADLINE)).lower()
            await inside.publish("test.marker", b"x")
            subjects = [(await everything.next_msg(DEADLINE)).subject]
            while subjects[-1] != "test.marker":
                subjects.append((await everything.next_msg(DEADLINE)).subject)
            assert "anything.at.all" not in subjects
            assert node.is_connected
        finally:
            await inside.close()


async def test_the_brokers_own_connection_meets_the_fleet(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker, client(broker, context) as bob:
        inside = await broker.connect()
        try:
            assert (await recent(broker, own=True))[-1].method == "in_process"
            assert await delivered(inside, bob, "mcollective.broadcast.agent.discovery")
        finally:
            await inside.close()


@pytest.mark.parametrize("secret", [None, "", "wrong"])
async def test_the_bridge_opens_only_with_its_secret(tmp_path: Path, authority: Authority, secret: str | None) -> None:
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        fields = {} if secret is None else {"auth_token": secret}
        async with wire(bridge(broker)) as stranger:
            with pytest.raises(ClosedError):
                await stranger.connect(**fields)
        assert not (await recent(broker))


async def test_decisions_are_counted_by_result_and_rule(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        async with client(broker, context):
            pass
        accepted = (await recent(broker))[-1]
        decision = await refused(broker, authority.context())
        for result, rule in (("accepted", accepted.rule), ("refused", decision.rule)):
            labels = {"identity": "broker.example.net", "result": result, "rule": rule}
            assert broker.registry.get_sample_value("choria_broker_decisions_total", labels) == 1
