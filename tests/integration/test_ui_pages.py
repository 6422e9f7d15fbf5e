"""Pages of the dashboard about a running broker: what they show is what it has, escaped and without a secret."""

from __future__ import annotations

import asyncio
import html.parser
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from choria_broker.audit.acts import ActReport
from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.ui.site import PAGES
from support.dashboard import HOSTILE
from support.leaks import leaks
from support.minting import ORGANIZATION, hex_of
from support.settled import eventually
from support.streaming import ask, kept
from support.testbed import Authority, configuration, free_port

DEADLINE = 60.0
ELSEWHERE = {"connection", "connections", "explain", "find", "health", "refusals"}
MINE = tuple(each.name for each in PAGES if each.name not in ELSEWHERE)
"""Pages that need nothing but their name; ``test_ui`` looks at the others."""


class Text(html.parser.HTMLParser):
    """The words of a page, and its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words = ""
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attributes)

    def handle_data(self, data: str) -> None:
        self.words += f"{data} "


class Reader:
    """Reads the dashboard of a broker."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._port = port
        self.seen = ""

    async def get(self, path: str) -> str:
        async with self._session.get(f"http://127.0.0.1:{self._port}/ui/{path}") as answer:
            text = (await answer.text()).replace("<wbr>", "")
            assert answer.status == 200, text
            self.seen += text
            return text

    async def words(self, path: str) -> str:
        text = Text(await self.get(path))
        assert "img" not in text.tags
        return " ".join(text.words.split())

    async def told(self, path: str) -> Any:
        return json.loads(await self.get(f"{path}.json"))


def broker(folder: Path, authority: Authority, port: int, **more: str | int | bool | Path) -> NetworkBroker:
    settings: dict[str, Any] = {
        "plugin__choria__stats_port": port,
        "plugin__security__issuer__names": "choria",
        "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
        "network__stream__store": folder / "store",
        "network__provisioning__client_password": "provpass",
        "network__system__user": "system",
        "network__system__password": "syspass",
        "network__no__such__key": f"hunter2 {HOSTILE}",
        **more,
    }
    loaded = load(configuration(folder, authority, **settings), Overrides())
    assert loaded.settings
    return NetworkBroker(loaded.settings, findings=loaded.findings, loaded=loaded, poll_interval=0.2)


async def test_pages_show_what_a_broker_has_escaped_and_without_secrets(tmp_path: Path, authority: Authority) -> None:
    port = free_port()
    async with (
        asyncio.timeout(DEADLINE),
        broker(tmp_path, authority, port) as one,
        aiohttp.ClientSession() as session,
    ):
        reader = Reader(session, port)
        await kept(one)
        connection = await one.connect()
        await ask(
            connection, "STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["orders"], "description": HOSTILE}
        )
        one.acts.record("reload", f"somebody {HOSTILE}", "done")

        async def listed() -> bool:
            return any(each["stream"] == "ORDERS" for each in (await reader.told("streams"))["others"])

        await eventually(listed)
        assert HOSTILE[:20] in await reader.words("streams")
        words = await reader.words("streams")
        assert "CHORIA_EVENTS choria keeps lifecycle events for 1 day, one copy ✓ created ✓ writable" in words
        settings = await reader.words("settings")
        assert "plugin.choria.network.system.password *****" in settings
        assert "plugin.choria.network.no.such.key (not shown)" in settings
        assert HOSTILE in await reader.words("acts")
        assert "No node waits; no provisioner is connected." in await reader.words("provisioning")
        assert "CN=" in await reader.words("certificates")
        assert "it has no peers and no gateways" in await reader.words("links")

        async def drawn() -> bool:
            told = await reader.told("history")
            latest = {each["name"]: each["values"][-1] for each in told["series"]}
            return len(told["times"]) > 3 and all(
                latest[name] is not None
                for name in ("connections", "messages_in", "broker_cpu", "engine_memory", "store")
            )

        await eventually(drawn)
        assert "In figures" in await reader.words("history")
        for each in PAGES:
            if each.name in MINE:
                await reader.get(each.name)
                await reader.told(each.name)
    assert not leaks(reader.seen)
    assert "provpass" not in reader.seen


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("history?after=yesterday", 400, "after must be a time in Unix seconds."),
        ("history.json?after=%3Cimg%3E", 400, "Unix seconds"),
        ("settings?text=%3Cimg%20src=x%20onerror=x%3E", 200, "No setting matches."),
        ("settings?all=2&text=" + "x" * 4000, 200, "No setting matches."),
        ("assets/vendor/uPlot.iife.min.js", 200, "uPlot"),
        ("assets/vendor/vendor.lock.json", 404, "no such file"),
        ("assets/vendor/..%2flive.js", 404, "no such file"),
        ("bundle.zip", 404, "There is no such page."),
    ],
)
async def test_what_makes_no_sense(tmp_path: Path, authority: Authority, path: str, status: int, says: str) -> None:
    port = free_port()
    async with (
        asyncio.timeout(DEADLINE),
        broker(tmp_path, authority, port) as _,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/ui/{path}") as answer,
    ):
        text = await answer.text()
    assert answer.status == status
    assert says in text
    assert "<img" not in text


async def test_a_process_without_a_network_broker_has_all_pages(tmp_path: Path, authority: Authority) -> None:
    port = free_port()
    adapter: dict[str, Any] = {
        "plugin__choria__broker_network": False,
        "plugin__choria__adapters": "inventory",
        "plugin__choria__adapter__inventory__type": "choria_streams",
        "plugin__choria__adapter__inventory__ingest__topic": "inventory.in",
        "plugin__choria__adapter__inventory__stream__topic": "inventory.out",
        "plugin__choria__adapter__inventory__stream__servers": "127.0.0.1:1",
        "plugin__choria__middleware_hosts": "127.0.0.1:1",
        "plugin__choria__stats_port": port,
    }
    one = NetworkBroker.from_file(configuration(tmp_path, authority, **adapter))
    async with asyncio.timeout(DEADLINE), one, aiohttp.ClientSession() as session:
        reader = Reader(session, port)
        for name in MINE:
            await reader.get(name)
            await reader.told(name)
        assert "inventory adapter" in await reader.words("companions")
        assert "Choria Streams are off on this broker." in await reader.words("streams")


async def test_a_page_is_made_in_a_moment(tmp_path: Path, authority: Authority) -> None:
    port = free_port()
    async with (
        asyncio.timeout(DEADLINE),
        broker(tmp_path, authority, port) as one,
        aiohttp.ClientSession() as session,
    ):
        reader = Reader(session, port)
        for _ in range(200):
            one.acts._latest.append(ActReport(time.time(), "reload", "somebody", "done"))
        for name in MINE:
            await reader.get(name)
            times = []
            for _ in range(5):
                begun = time.perf_counter()
                await reader.get(name)
                times.append(time.perf_counter() - begun)
            assert sorted(times)[1] < 0.1, (name, times)
