"""The page about provisioning: its commands lead from nothing to a node of the fleet, as the broker shows."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.status.health import Condition
from support.nats_socket import ClosedError, Wire, signature, wire
from support.pages import ROOT, blocks
from support.testbed import Authority, client

PAGE = ROOT / "docs/how-to/provisioning.md"
TEXT = PAGE.read_text(encoding="utf-8")
DEADLINE = 30.0
NODE = "web1.example.net"


def commands(folder: Path) -> list[list[str]]:
    """The commands of the page that change something, in their order."""
    text = "\n".join(block.text for block in blocks(PAGE) if block.language == "sh").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("choria-broker ")]
    return [shlex.split(line.replace("/etc/choria", str(folder)))[1:] for line in lines]


def typed(arguments: list[str], given: str = "") -> str:
    done = CliRunner().invoke(main, arguments, input=given)
    assert done.exit_code == 0, done.output
    return str(done.output)


async def shown(config: Path, *arguments: str) -> str:
    return await asyncio.to_thread(typed, [*arguments, "--config", str(config)])


async def waits_for(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not happened():
            await asyncio.sleep(0.01)


def answer(name: str, nonce: str) -> str:
    """Prove who holds a seed that a command of the page has made."""
    return signature(Path(f"{name}.seed").read_text(encoding="utf-8").strip(), nonce.encode())


def lines_about(text: str, begin: str) -> list[str]:
    """Lines that begin so, with what differs each time replaced as the page has it."""
    found = [line for line in text.splitlines() if line.startswith(begin)]
    return [re.sub(r"since \d{4}-.* UTC", "since ...", line) for line in found]


def settings(authority: Authority, key: str) -> str:
    """The configuration of the page, with this organization's key, on a free port."""
    (text,) = [block.text for block in blocks(PAGE) if block.language == "ini"]
    own = authority.issue("broker.example.net", "127.0.0.1", "localhost")
    for written, here in (
        ("/etc/choria/ssl/broker.example.net.pem", own.certificate),
        ("/etc/choria/ssl/broker.example.net.key", own.key),
        ("/etc/choria/ssl/ca.pem", authority.ca),
    ):
        text = text.replace(written, str(here))
    free = "plugin.choria.network.listen_address = 127.0.0.1\nplugin.choria.network.client_port = 0\n"
    return re.sub(r"[0-9a-f]{64}", key, text) + free


def laid_out(folder: Path, authority: Authority, before: list[list[str]]) -> Path:
    """Type the commands that come before the start, and write the configuration."""
    for command in before:
        typed(command, "s3cret\ns3cret\n")
    config = folder / "broker.conf"
    config.write_text(settings(authority, Path("issuer.public").read_text(encoding="utf-8").strip()), encoding="utf-8")
    assert typed(["check", "--config", str(config)]).endswith("The broker would start.\n")
    return config


async def is_told_that_nobody_provisions(broker: NetworkBroker) -> None:
    await waits_for(lambda: broker._reporter.health().condition is Condition.DEGRADED)
    (reason,) = broker._reporter.health().reasons
    assert reason in " ".join(TEXT.split())
    assert "choria_broker_provisioning_stalled" in broker.statistics.page().decode()


@contextlib.asynccontextmanager
async def provisioning(broker: NetworkBroker, authority: Authority, token: str) -> AsyncIterator[Wire]:
    """Log in as the provisioner; then nobody waits in vain."""
    async with wire(broker.ports.client, authority.context()) as provisioner:
        login: dict[str, Any] = {"user": "provisioner", "pass": "a-long-password"}
        await provisioner.connect(auth_token=token, sig=answer("provisioner", provisioner.nonce), **login)
        await waits_for(lambda: broker._reporter.health().condition is Condition.OK)
        yield provisioner


async def test_from_nothing_to_a_provisioned_node(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    *before, server = commands(tmp_path)
    config = laid_out(tmp_path, authority, before)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ahead = [0.0]
    made = NetworkBroker.from_file(config)
    made.census._interval, made.census._clock = 0.05, lambda: time.time() + ahead[0]
    token, password = (
        Path(f"{name}.jwt").read_text(encoding="utf-8").strip() for name in ("provisioning", "provisioner")
    )
    async with made as broker, wire(broker.ports.client, authority.context()) as node:
        assert lines_about(await shown(config, "status"), "Provisioning:") == [
            "Provisioning: no node waits; no provisioner is connected"
        ]
        await node.connect(auth_token=token, name=NODE)
        await waits_for(lambda: broker.census.waiting.nodes == 1)
        assert lines_about(await shown(config, "status"), "Provisioning:")[0] in TEXT
        assert NODE not in await shown(config, "connections", "--account", "choria")
        assert "provisioning" in await shown(config, "connections", "--account", "provisioning")
        ahead[0] = 200.0
        await broker.census.count()
        assert broker._reporter.health().condition is Condition.OK
        ahead[0] = 301.0
        await is_told_that_nobody_provisions(broker)
        assert await node.subscribe(["provisioning.node.web1"]) == frozenset()
        async with provisioning(broker, authority, password) as provisioner:
            await provisioner.publish(["provisioning.node.web1"], "your configuration")
            await node.flush()
            assert node.received("your configuration") == {"provisioning.node.web1"}
            node.drop()
            typed(["jwt", "keys", "web1.seed", "web1.public"])
            typed(server)
            own = Path("web1.jwt").read_text(encoding="utf-8").strip()
            async with client(
                broker,
                authority.context(),
                token=own,
                signature_cb=lambda nonce: answer("web1", nonce).encode(),
            ):
                await waits_for(lambda: not broker.census.waiting.nodes)
                assert lines_about(await shown(config, "status"), "Provisioning:")[0] in TEXT
                found = await shown(config, "find", "web1")
        with pytest.raises(ClosedError):
            async with wire(broker.ports.client, authority.context()) as stranger:
                await stranger.connect(auth_token="no.such.token")
    assert re.search(r"connected, client cid \d+ web1\.example\.net from .* in account choria, server-token", found)
    assert Path("issuer.seed").stat().st_mode & 0o077 == 0
