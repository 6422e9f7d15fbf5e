"""Real Choria programs without certificates: servers, clients and provisioning by tokens, in both modes of trust."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from support.testbed import Authority, configuration, free_port
from support.token_fleet import TokenFleet, decided

pytestmark = pytest.mark.usefixtures("a_user")

NODES = ("node1.example.net", "node2.example.net")
DEADLINE = 55.0
PASSWORD = "provpass"


def issuer_mode(fleet: TokenFleet, public: str) -> tuple[str, dict[str, str | Path]]:
    """Write what programs and broker need to know on a network with an organization issuer."""
    del fleet
    lines = f"plugin.security.issuer.names = choria\nplugin.security.issuer.choria.public = {public}"
    return lines, {"plugin.security.issuer.names": "choria", "plugin.security.issuer.choria.public": public}


def signer_mode(fleet: TokenFleet, public: str) -> tuple[str, dict[str, str | Path]]:
    """Write the same for a network with trusted signers, once as a key and once as a file."""
    return f"plugin.security.choria.trusted_signers = {public}", {
        "network.client_signer_cert": public,
        "network.server_signer_cert": fleet.folder / "org.pub",
    }


@pytest.mark.parametrize("mode", [issuer_mode, signer_mode], ids=["issuer", "trusted-signers"])
async def test_servers_answer_clients_that_hold_tokens(
    tmp_path: Path, authority: Authority, choria: Path, mode: object
) -> None:
    fleet = TokenFleet(choria, tmp_path, authority.ca)
    trust, settings = (issuer_mode if mode is issuer_mode else signer_mode)(fleet, await fleet.keys("org"))
    fleet = TokenFleet(choria, tmp_path, authority.ca, trust)
    for node in NODES:
        await fleet.server_token(node, "org")
    await fleet.client_token("bob", "up=bob", "org", "--fleet-management")
    await fleet.client_token("eve", "up=eve", "org", "--no-fleet-management")
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(configuration(tmp_path, authority, **settings)) as broker,
        contextlib.AsyncExitStack() as servers,
    ):
        port = broker.ports.client
        for node in NODES:
            config = fleet.holder(node, port, *fleet.server_lines())
            await servers.enter_async_context(fleet.server(config))
            decision = await decided(broker, lambda each, node=node: each.username == node)  # type: ignore[misc] # mypy cannot infer a lambda with a default
            assert (decision.rule, decision.account, decision.tls) == ("server-token", "choria", "anon")

        bob = fleet.holder("bob", port)
        await fleet.choria_until("ping", "--config", bob, wanted=NODES)
        await fleet.choria_until("req", "rpcutil", "ping", "--config", bob, wanted=["2 / 2 hosts"])
        assert (await decided(broker, lambda each: each.username == "up=bob")).rule == "client-token"

        nobody = await fleet.choria("ping", "--timeout", "2", "--config", fleet.holder("eve", port))
        assert (await decided(broker, lambda each: each.username == "up=eve")).allowed
        assert not any(node in nobody.output for node in NODES)


async def test_a_server_with_a_strangers_token_stays_out(tmp_path: Path, authority: Authority, choria: Path) -> None:
    fleet = TokenFleet(choria, tmp_path, authority.ca)
    trust, settings = issuer_mode(fleet, await fleet.keys("org"))
    await fleet.keys("stranger")
    fleet = TokenFleet(choria, tmp_path, authority.ca, trust)
    await fleet.server_token(NODES[0], "stranger")
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(configuration(tmp_path, authority, **settings)) as broker,
        fleet.server(fleet.holder(NODES[0], broker.ports.client, *fleet.server_lines())),
    ):
        decision = await decided(broker, lambda each: not each.allowed)
        assert decision.rule == "token-signature"
        assert NODES[0] in decision.reason


@pytest.fixture
def provisioning_token(choria: Path) -> Iterator[Path]:
    """The place where this choria program looks for its provisioning token; a file that is there is put back."""
    told = subprocess.run([choria, "buildinfo"], capture_output=True, check=False, text=True).stdout  # noqa: S603 - the program under test
    found = re.search(r"Provisioning JWT file: (/\S+)", told)
    if not found:
        pytest.skip("this choria program has no place for a provisioning token")
    path = Path(found[1])
    before = path.read_bytes() if path.exists() else None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        pytest.skip(f"cannot write the provisioning token to {path}")
    yield path
    path.unlink(missing_ok=True)
    if before is not None:
        path.write_bytes(before)


async def test_a_new_server_waits_for_the_provisioner_which_reaches_it(
    tmp_path: Path, authority: Authority, choria: Path, provisioning_token: Path
) -> None:
    fleet = TokenFleet(choria, tmp_path, authority.ca)
    trust, settings = issuer_mode(fleet, await fleet.keys("org"))
    fleet = TokenFleet(choria, tmp_path, authority.ca, trust)
    await fleet.client_token("provisioner", "provisioner=one", "org", "--server-provisioner")
    await fleet.client_token("bob", "up=bob", "org", "--fleet-management")
    port = free_port()
    await fleet.jwt(
        *("provisioning", provisioning_token, tmp_path / "org.seed", "--urls", f"nats://127.0.0.1:{port}"),
        *("--token", "unused", "--default", "--protocol-v2", "--no-insecure"),
    )
    settings |= {"network.client_port": str(port), "network.provisioning.client_password": PASSWORD}
    node = fleet.configuration("new.example.net", "plugin.choria.server.provision = true")
    login = ("plugin.nats.user = provisioner", f"plugin.nats.pass = {PASSWORD}")
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(configuration(tmp_path, authority, **settings)) as broker,
        fleet.server(node),
    ):
        waiting = await decided(broker, lambda each: each.rule == "provisionee")
        assert (waiting.allowed, waiting.account, waiting.tls) == (True, "provisioning", "anon")

        config = fleet.holder("provisioner", port, *login, collective="provisioning")
        await fleet.choria_until("ping", "--config", config, wanted=["1 replies"])
        await fleet.choria_until("req", "rpcutil", "ping", "--config", config, wanted=["1 / 1 hosts"])
        arrived = await decided(broker, lambda each: each.method == "provisioner")
        assert (arrived.allowed, arrived.account) == (True, "provisioning")

        outsider = await fleet.choria(
            "ping", "--timeout", "2", "--config", fleet.holder("bob", port, collective="provisioning")
        )
        assert "1 replies" not in outsider.output
