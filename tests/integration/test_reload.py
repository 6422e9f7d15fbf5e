"""Reload of a running broker: what changes, what stays, and who is dropped, which is nobody."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import nats.errors
import psutil
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from choria_broker.errors import BrokerError
from choria_broker.host import listening
from choria_broker.reload.plan import pending
from choria_broker.reload.watcher import Pace
from choria_broker.settings.finding_codes import Severity
from support.minting import ORGANIZATION, STRANGER, by_token, hex_of
from support.settled import recent
from support.testbed import IDENTITY, Authority, change, client, configuration, free_port, settled
from support.topology import Node, configure, gateways

DEADLINE = 60.0
BUSY = int(os.environ.get("BUSY", "6"))
"""Connections that every kind of reload has to leave alone, half of them with certificates; ``make soak`` has 500."""
NET = "plugin.choria.network."


class Flow:
    """Messages from one connection to another while something happens.

    Attributes:
        connections: those that must live on.
    """

    def __init__(self, connections: tuple[Client, ...]) -> None:
        """Use ``flowing``."""
        self.connections = connections
        self.sent = 0
        self.got = [0] * len(connections)

    async def listen(self) -> None:
        """Subscribe each connection to what the one before publishes."""
        for number, connection in enumerate(self.connections):
            await connection.subscribe(f"flow.{number}", cb=self._taker(number))
            await settled(connection)

    def _taker(self, number: int) -> Callable[[Msg], Any]:
        async def take(message: Msg) -> None:
            if int(message.data) == self.got[number] + 1:
                self.got[number] += 1

        return take

    async def publish(self) -> None:
        """Publish until cancelled."""
        while True:
            self.sent += 1
            for number, connection in enumerate(self.connections):
                await connection.publish(f"flow.{(number + 1) % len(self.connections)}", b"%d" % self.sent)
            await asyncio.sleep(0.01 + 0.001 * len(self.connections))

    async def whole(self) -> None:
        """Make sure that every message came once and in order, over the connections there were."""
        for connection in self.connections:
            await settled(connection)
        async with asyncio.timeout(DEADLINE + len(self.connections) / 10):
            while set(self.got) != {self.sent}:
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def flowing(broker: NetworkBroker, authority: Authority, count: int) -> AsyncIterator[Flow]:
    """Keep connections with certificates and with tokens busy; nothing may be lost between them."""
    known = authority.context(authority.issue("bob.mcollective"))
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for number in range(count):
            if number % 2:
                options = by_token()
                opened.append(await stack.enter_async_context(client(broker, authority.context(), **options)))
            else:
                opened.append(await stack.enter_async_context(client(broker, known)))
        flow = Flow(tuple(opened))
        await flow.listen()
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(flow.publish())
            yield flow
            publishing.cancel()
        await flow.whole()


@pytest.fixture
def config(tmp_path: Path, authority: Authority) -> Path:
    """Write a configuration that lets clients with certificates and with tokens in."""
    return configuration(tmp_path, authority, network__client_signer_cert=hex_of(ORGANIZATION))


async def refused(broker: NetworkBroker, authority: Authority, **options: Any) -> None:
    with pytest.raises((nats.errors.Error, OSError)):
        async with client(broker, authority.context(), **options):
            pass


@pytest.mark.slow
@pytest.mark.timeout(60 + BUSY // 2)
async def test_nobody_is_dropped_and_nothing_is_lost(config: Path, tmp_path: Path, authority: Authority) -> None:
    further = Authority(tmp_path, "further")
    port, peer = free_port(), free_port()
    change(config, peers=f"{IDENTITY}:{peer}, 127.0.0.1:1", peer_port=peer)

    def nothing() -> None:
        pass

    def certificate() -> None:
        authority.issue("broker.example.net", "127.0.0.1", "::1", "localhost")

    def authorities() -> None:
        authority.ca.write_bytes(authority.ca.read_bytes() + further.ca.read_bytes())

    def remote() -> None:
        change(config, leafnode_remotes="hub", leafnode_remote__hub__url=f"127.0.0.1:{port}")

    changes: list[Callable[[], None]] = [
        nothing,
        certificate,
        authorities,
        lambda: change(config, client_signer_cert=f"{hex_of(ORGANIZATION)}, {hex_of(STRANGER)}"),
        lambda: change(config, client_hosts="10.0.0.0/8"),
        lambda: change(config, peers=f"{IDENTITY}:{peer}, 127.0.0.1:1, 127.0.0.1:2"),
        lambda: change(config, peers=f"{IDENTITY}:{peer}, 127.0.0.1:1"),
        lambda: change(config, mapping__names="one", mapping__one__source="old.*", mapping__one__destination="new"),
        lambda: change(config, write_deadline="9s", tls_timeout="3s", auth_timeout="3s"),
        lambda: change(config, max_connections=60 + BUSY, max_subscriptions=500, max_unauthenticated=40),
        remote,
        lambda: change(config, leafnode_remotes="", leafnode_remote__hub__url=""),
        lambda: change(config, accounts="further", public_url="broker.example.net:4222"),
        lambda: change(config, provisioning__client_password="secret", deny_server_connections="true"),
        lambda: change(config, client_signer_cert=""),
        lambda: change(config, client_signer_cert=hex_of(ORGANIZATION), client_hosts="", accounts=""),
    ]
    async with NetworkBroker.from_file(config) as broker:
        async with flowing(broker, authority, BUSY) as flow:
            for each in changes:
                each()
                await broker.reload()
                await settled(flow.connections[0])
        assert broker.settings.network.write_deadline == 9
        async with client(broker, authority.context(further.issue("eve.mcollective"))):
            pass


async def test_new_connections_are_decided_by_the_new_policy_at_once(config: Path, authority: Authority) -> None:
    async with NetworkBroker.from_file(config) as broker, client(broker, authority.context(), **by_token()) as before:
        change(config, client_signer_cert=hex_of(STRANGER), system__user="root", system__password="first")
        await broker.reload()
        await refused(broker, authority, **by_token())
        login: dict[str, Any] = {"user": "root", "password": "first"}
        known = authority.context(authority.issue("bob.mcollective"))
        async with client(broker, known, **login):
            pass
        change(config, system__password="second")
        await broker.reload()
        with pytest.raises((nats.errors.Error, OSError)):
            async with client(broker, known, **login):
                pass
        await settled(before)


@pytest.mark.parametrize("later", [("127.0.0.2",), ()])
async def test_a_listen_address_that_leads_elsewhere_by_now_holds_nothing_up(
    config: Path, monkeypatch: pytest.MonkeyPatch, authority: Authority, later: tuple[str, ...]
) -> None:
    names: dict[str, tuple[str, ...]] = {"one.example.net": ("127.0.0.1",)}

    def look_up(host: str) -> tuple[str, ...]:
        if found := names.get(host, (host,)):
            return found
        raise OSError("not known")

    monkeypatch.setattr(listening, "_addresses", look_up)
    change(config, listen_address="one.example.net")
    async with NetworkBroker.from_file(config) as broker:
        names["one.example.net"] = later
        change(config, max_connections=60)
        told = [each for each in await broker.reload() if each.key == f"{NET}listen_address"]
        assert [(each.code, each.severity) for each in told] == [("address-unavailable", Severity.WARN)]
        assert broker.settings.network.max_connections == 60
        async with client(broker, authority.context(), **by_token()):
            pass


CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "every deadline": (("write_deadline", "12s"), ("tls_timeout", "3s"), ("auth_timeout", "4s")),
    "every limit": (("max_connections", "900"), ("max_unauthenticated", "90"), ("max_subscriptions", "900")),
    "fewer connections": (("max_connections", "1"),),
    "what is told to others": (("public_url", "public.example.net:4222"),),
    "an account": (("accounts", "further, more"),),
    "a peer more": (("peers", "broker.example.net:{peer}, 127.0.0.1:1, 127.0.0.1:2"),),
    "a peer less": (("peers", "broker.example.net:{peer}, 127.0.0.1:2"),),
    "mappings": (("mapping.names", "one"), ("mapping.one.source", "a.*"), ("mapping.one.destination", "b")),
    "a remote less": (("leafnode_remotes", ""),),
    "a remote elsewhere": (("leafnode_remotes", "hub"), ("leafnode_remote.hub.url", "127.0.0.1:2")),
    "a remote in clear text": (("leafnode_remote.hub.tls.disable", "yes"),),
    "a remote whose certificate is not looked at": (
        ("leafnode_remote.hub.tls.disable", "no"),
        ("leafnode_remote.hub.tls.verify", "no"),
    ),
    "ciphers": (("plugin.security.cipher_suites", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),),
    "the log": (("loglevel", "debug"),),
    "provisioning": (("provisioning.client_password", "secret"),),
    "no certificates": (("client_anon_tls", "true"),),
    "certificates again": (("client_anon_tls", "false"),),
}
"""Settings by their keys in the configuration; those without a dot at the front are of the network broker."""


async def test_a_broker_with_every_listener_and_link_takes_each_change(tmp_path: Path, authority: Authority) -> None:
    node = Node("broker.example.net")
    config = configure(
        tmp_path,
        authority,
        node,
        **gateways(node, "HERE", FAR=[Node("far.example.net")]),
        network__client_signer_cert=hex_of(ORGANIZATION),
        network__peers=f"broker.example.net:{node.peer}, 127.0.0.1:1",
        network__peer_port=node.peer,
        network__leafnode_port=node.leafnode,
        network__leafnode_remotes="hub",
        network__leafnode_remote__hub__url="127.0.0.1:1",
        network__websocket_port=free_port(),
        network__max_connections=800,
    )
    async with NetworkBroker.from_file(config) as broker, flowing(broker, authority, 4) as flow:
        for name, keys in CHANGES.items():
            lines = config.read_text(encoding="utf-8").splitlines()
            for short, value in keys:
                key = short if short.startswith("plugin.") or short == "loglevel" else NET + short
                lines = [line for line in lines if not line.startswith(f"{key} =")]
                lines += [f"{key} = {value.format(peer=node.peer)}"] if value else []
            config.write_text("\n".join(lines) + "\n", encoding="utf-8")
            try:
                await broker.reload()
            except BrokerError as error:
                raise AssertionError(name) from error
            assert pending(broker._in_force.state) == (), name
            await settled(flow.connections[0])


RELOADS = int(os.environ.get("RELOADS", "20"))
"""``make soak`` has more."""
_MEGABYTE = 2**20


def named_tasks() -> list[str]:
    """List the tasks that the broker has named."""
    return sorted(task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-"))


@pytest.mark.slow
@pytest.mark.timeout(150 + 2 * RELOADS)
async def test_many_reloads_leave_nothing_behind_and_refuse_nobody(config: Path, authority: Authority) -> None:
    broker = NetworkBroker.from_file(config)
    broker.watcher.pace = Pace(look=0.05)
    async with broker, flowing(broker, authority, 4):
        processes = [psutil.Process(), psutil.Process(broker._engine.pid)]

        async def come_and_go() -> None:
            while not over.is_set():
                async with client(broker, authority.context(), **by_token()):
                    came.append(1)

        came: list[int] = []
        descriptors: list[tuple[int, ...]] = []
        memory: list[tuple[int, ...]] = []
        before = named_tasks()
        for _ in range(2):
            over = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    tasks.create_task(come_and_go())
                for number in range(RELOADS // 2):
                    change(config, max_connections=60 + number, deny_server_connections="true" if number % 2 else "")
                    if number % 5 == 4:
                        authority.issue(IDENTITY, "127.0.0.1", "::1", "localhost")
                    await broker.reload()
                over.set()
            gc.collect()
            descriptors.append(tuple(each.num_fds() for each in processes))
            memory.append(tuple(each.memory_info().rss for each in processes))
        assert all(after <= early + 8 for early, after in zip(*descriptors, strict=True)), descriptors
        assert all(after <= early + 24 * _MEGABYTE for early, after in zip(*memory, strict=True)), memory
        assert named_tasks() == before
        assert broker.reloads.outcomes["refused"] == 0
        assert broker.reloads.outcomes["applied"] >= RELOADS // 2 * 2
        assert len(came) > RELOADS
        assert not [each for each in (await recent(broker)) if not each.allowed]
        if RELOADS >= 200:
            print(f"{RELOADS} reloads, {len(came)} logins: descriptors {descriptors}, memory {memory}")  # noqa: T201
