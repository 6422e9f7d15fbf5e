"""The metrics of running brokers where an engine is dead, hangs, or shows pages that cannot be read."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from choria_broker.broker import NetworkBroker
from choria_broker.errors import EngineDiedError
from choria_broker.stats.poller import Poller
from choria_broker.values import replace
from choria_broker.web.serving import serve
from support.scraping import SELDOM, becomes, polled, scraped
from support.testbed import IDENTITY, Authority, configuration, free_port
from support.topology import DEADLINE, Node


async def test_a_dead_engine_leaves_no_samples(tmp_path: Path, authority: Authority) -> None:
    """The application is mounted elsewhere, so that it outlives the broker."""
    made = polled(NetworkBroker.from_file(configuration(tmp_path, authority)), SELDOM)
    app = made.http_app()
    node = replace(Node(IDENTITY), statistics=free_port())

    async def run() -> None:
        with pytest.raises(EngineDiedError):
            await made.run()

    async with serve(app, "127.0.0.1", node.statistics), asyncio.TaskGroup() as tasks:
        assert (await scraped(node)).network() == set()
        tasks.create_task(run(), name="broker")
        await made.wait_ready(DEADLINE)
        assert "choria_network_connections" in (await scraped(node)).network()
        (engine,) = psutil.Process().children()
        engine.kill()
        stale = False
        async with asyncio.timeout(DEADLINE):
            while made.ports.listening:
                stale |= not made._engine.alive and made.statistics.poller.latest is not None
                await asyncio.sleep(0)
        assert not stale, "readings of a dead engine while the broker takes leave"
        seen = await becomes(node, lambda now: not now.network())
        assert seen.value("choria_build_info") == 1
        assert seen.value("choria_broker_peers_connected") is None
        assert seen.value("choria_broker_peers_configured") == 0


@dataclasses.dataclass
class FalseEngine:
    """Serves pages like an engine, or fails to."""

    pages: dict[str, Any]
    address: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        found = self.pages.get(request.path)
        if isinstance(found, dict):
            return web.json_response(found)
        return web.Response(status=500) if found is None else web.Response(body=found)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/{page}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        with tempfile.TemporaryDirectory() as folder:
            self.address = f"{folder}/pages"
            await web.UnixSite(runner, self.address).start()
            try:
                yield
            finally:
                await runner.cleanup()


async def newer(poller: Poller, than: float) -> None:
    async with asyncio.timeout(DEADLINE):
        while poller.latest is None or poller.latest.time <= than:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("failure", [None, b"no JSON", b"[" * 100_000])
async def test_a_page_that_fails_keeps_what_was_read_before(
    caplog: pytest.LogCaptureFixture, failure: bytes | None
) -> None:
    good = {"/varz": {"connections": 7}, "/leafz": {"leafs": [{"ip": "::1"}]}, "/jsz": {"streams": 3}}
    engine = FalseEngine(dict(good))
    async with engine.running():
        assert Poller(lambda: engine.address).latest is None
        poller = Poller(lambda: engine.address, interval=0.01)
        async with poller.polling():
            first = poller.latest
            assert first is not None
            assert first.leafnodes is not None
            assert first.streams is not None
            assert (first.server.connections, first.leafnodes[0].host, first.streams.streams) == (7, "::1", 3)
            engine.pages |= {"/varz": {"connections": 8}, "/leafz": failure, "/jsz": failure}
            await newer(poller, poller.latest.time if poller.latest else 0)
            await newer(poller, poller.latest.time if poller.latest else 0)
            kept = poller.latest
            assert kept is not None
            assert kept.server.connections == 8
            assert (kept.leafnodes, kept.streams) == (first.leafnodes, first.streams)
            assert not caplog.records, "only a failing /varz is worth a line"

            engine.pages |= {"/varz": failure, "/leafz": {"leafs": []}}
            async with asyncio.timeout(DEADLINE):
                while not caplog.records:
                    await asyncio.sleep(0.01)
            last = poller.latest
            assert last is not None
            assert last.server.connections == 8
            assert {(record.levelno, record.getMessage()) for record in caplog.records} == {
                (logging.ERROR, "Could not read the engine's statistics")
            }
        assert poller.latest is None


async def test_an_engine_that_hangs_holds_back_no_more_than_a_deadline() -> None:
    never = asyncio.Event()

    class Hanging(FalseEngine):
        async def answer(self, request: web.Request) -> web.Response:
            if request.path == "/leafz":
                await never.wait()
            return await super().answer(request)

    engine = Hanging({"/varz": {"connections": 7}, "/jsz": {}})
    async with engine.running():
        poller = Poller(lambda: engine.address, interval=SELDOM, deadline=1)
        async with asyncio.timeout(DEADLINE), poller.polling():
            assert poller.latest is not None
            assert poller.latest.leafnodes is None
            assert poller.latest.streams is not None
        never.set()
