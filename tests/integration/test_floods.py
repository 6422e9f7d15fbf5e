"""Strangers that flood a broker: what they send is neither kept nor costly, and others are served as before."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from choria_broker.broker import NetworkBroker
from support import flooding
from support.command import started
from support.flooding import flood, line, median_login, stranger
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, configuration, free_port

SECONDS = float(os.environ.get("FLOOD_SECONDS", "0.5"))
"""Of each flood; ``make soak`` has longer ones."""

MOST_MEGABYTES = 95
MOST_GROWTH = 12
MOST_GROWTH_OF_ENGINE = 40
PATIENT = 60.0
MOST_TIMES, MOST_MORE = 5, 0.02 if SECONDS >= 5 else 0.5
"""How much longer a login may take in a flood: so many times, and so many seconds; a short one is no measurement."""
TRIES = 3 if SECONDS < 5 else 1
"""A short flood is repeated: other tests may have taken the processor meanwhile."""


async def trouble_in_flood(kind: str, port: int, client: int, good: ssl.SSLContext, ca: Path) -> str:
    """Flood, and have others log in meanwhile; what did not go as it should, in words; empty when all did."""
    quiet, _ = await median_login(client, good, 15)
    async with flood(kind, port, ca) as strangers:
        async with asyncio.timeout(PATIENT + SECONDS):
            median, lost = await median_login(client, good, 15, pause=SECONDS / 15)
            if not kind.endswith("begun"):  # Who does not end his line waits for the end of his time.
                await strangers.ran()
    ends = f"{strangers.refused} refused, {strangers.others} not"
    told = f"{kind}: {median:.4f} s in place of {quiet:.4f}, {lost} lost, of the strangers {ends}"
    flooded = SECONDS < 5 or strangers.refused > 8 * SECONDS or kind.endswith("begun")
    served = lost == 0 and median < MOST_TIMES * quiet + MOST_MORE
    return "" if flooded and served and strangers.others == 0 else told


@pytest.mark.slow
@pytest.mark.timeout(200 + 40 * SECONDS)
@pytest.mark.parametrize("listener", ["leafnode", "client", "websocket"])
async def test_strangers_fill_no_memory_and_keep_nobody_out(
    tmp_path: Path, authority: Authority, listener: str
) -> None:
    ports = {name: free_port() for name in ("client", "leafnode", "websocket")}
    log = tmp_path / "broker.log"
    config = configuration(
        tmp_path,
        authority,
        logfile=log,
        network__client_port=ports["client"],
        network__leafnode_port=ports["leafnode"],
        network__websocket_port=ports["websocket"],
        network__provisioning__client_password="hunter2",
    )
    good = authority.context(authority.issue("bob.mcollective"))
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        broker = psutil.Process(program.pid)
        (engine,) = broker.children()
        await median_login(ports["client"], good, 5)
        before, engine_before = broker.memory_info().rss / 1e6, engine.memory_info().rss / 1e6
        for kind, (place, _) in flooding.KINDS.items():
            if place.startswith(listener):
                told = [await trouble_in_flood(kind, ports[listener], ports["client"], good, authority.ca)]
                while told[-1] and len(told) < TRIES:
                    told.append(await trouble_in_flood(kind, ports[listener], ports["client"], good, authority.ca))
                assert "" in told, told
        after, engine_after = broker.memory_info().rss / 1e6, engine.memory_info().rss / 1e6
    assert after < MOST_MEGABYTES
    assert after - before < MOST_GROWTH
    assert engine_after - engine_before < MOST_GROWTH_OF_ENGINE
    assert log.stat().st_size < 400_000


async def test_a_connect_that_is_too_large_is_refused_by_the_engine_and_told(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    config = configuration(tmp_path, authority, network__leafnode_port=port)
    async with NetworkBroker.from_file(config) as broker:
        for number in range(20):
            assert await stranger(port, authority.context(), line(flooding.leafnode_token)(number))
        counted = 0.0
        async with asyncio.timeout(PATIENT):
            while counted < 20:
                labels = {"identity": broker.settings.identity, "cause": "too_large"}
                counted = broker.registry.get_sample_value("choria_broker_engine_refusals_total", labels) or 0.0
                await asyncio.sleep(0.01)
        assert not [each for each in (await recent(broker)) if each.kind == "leafnode"]
    told = [each for each in caplog.records if each.getMessage() == "Connection refused by the engine"]
    assert [each.__dict__["cause"] for each in told] == ["too_large"] * 5
    assert not [each for each in caplog.records if len(str(each.__dict__)) > 20_000]


@pytest.mark.parametrize(
    "fields", [lambda: {"auth_token": "["}, lambda: {"auth_token": "x.y.z", "user": "provisioner", "pass": "x"}]
)
async def test_the_token_of_a_leafnode_is_not_read(
    tmp_path: Path, authority: Authority, fields: Callable[[], dict[str, str]]
) -> None:
    port = free_port()
    config = configuration(tmp_path, authority, network__leafnode_port=port)
    context = authority.context(authority.issue("site.example.net"))
    async with NetworkBroker.from_file(config) as broker:
        async with wire(port, context) as connection:
            with pytest.raises(ClosedError, match="Authorization Violation"):
                await connection.connect(**fields())
        (decision,) = [each for each in (await recent(broker)) if each.kind == "leafnode"]
    assert decision.rule in ("token-kind", "provisioner-disabled")
