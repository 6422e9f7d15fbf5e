"""Whose pages may open websockets to a running broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from choria_broker.broker import NetworkBroker
from choria_broker.config.surroundings.facts import Overrides
from support.settled import recent
from support.testbed import IDENTITY, Authority
from support.websockets import broker_with_websockets, websocket_wire

ATTEMPTS = 50


async def status(port: int, authority: Authority | None, headers: Mapping[str, str], host: str = "127.0.0.1") -> int:
    """Ask for a websocket as a page would, and return the status of the answer."""
    scheme = "https" if authority else "http"
    tls = authority.context() if authority else True
    async with aiohttp.ClientSession(headers={"Host": f"{host}:{port}", **headers}) as session:
        try:
            async with session.ws_connect(f"{scheme}://127.0.0.1:{port}", ssl=tls):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status


async def test_pages_of_the_broker_and_programs_get_in_and_others_do_not(tmp_path: Path, authority: Authority) -> None:
    broker, port = broker_with_websockets(tmp_path, authority)
    async with broker:
        assert await status(port, authority, {}) == 101
        assert await status(port, authority, {"Origin": f"https://{IDENTITY}:{port}"}, IDENTITY.upper()) == 101
        for host in ("127.0.0.1", "localhost", IDENTITY):
            assert await status(port, authority, {"Origin": f"https://{host}:{port}"}, host) == 101
        for origin in (
            "",
            "null",
            f"https://{IDENTITY.upper()}:{port}",
            "https://elsewhere.example.net",
            f"https://{IDENTITY}",
            f"http://{IDENTITY}:{port}",
            f"https://{IDENTITY}:{port + 1}",
            f"https://{IDENTITY}:{port}/",
            f"https://{IDENTITY}.:{port}",
            f"https://{IDENTITY}.evil.com:{port}",
            f"https://{IDENTITY}:{port}@evil.com",
            f"https://evil.com@{IDENTITY}:{port}",
            f"https://127.0.0.1:{port}",
        ):
            assert await status(port, authority, {"Origin": origin}, IDENTITY) == 403, origin
        assert await status(port, authority, {"Origin": f"https://evil.com:{port}"}, "evil.com") == 403


async def test_a_certificate_in_a_browser_is_not_lent_to_pages_of_others(tmp_path: Path, authority: Authority) -> None:
    bob = authority.context(authority.issue("bob.mcollective"))
    broker, port = broker_with_websockets(tmp_path, authority)
    async with broker:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with websocket_wire(port, bob, Origin="https://elsewhere.example.net"):
                pass
        assert not (await recent(broker))
        async with websocket_wire(port, bob, Origin=f"https://127.0.0.1:{port}") as peer:
            await peer.connect()
            assert (await recent(broker))[-1].rule == "mtls"


async def test_named_sites_get_in_besides(tmp_path: Path, authority: Authority) -> None:
    sites = "https://Console.example.net, http://[2001:DB8:0::1]:8080/"
    broker, port = broker_with_websockets(tmp_path, authority, network__websocket_origins=sites)
    async with broker:
        for origin, expected in (
            ("https://console.example.net", 101),
            ("https://console.example.net:443", 101),
            ("http://[2001:db8::1]:8080", 101),
            (f"https://127.0.0.1:{port}", 101),
            ("https://console.example.net:8443", 403),
            ("http://console.example.net", 403),
            ("https://console.example.net.evil.com", 403),
        ):
            assert await status(port, authority, {"Origin": origin}) == expected, origin


async def test_all_sites_get_in_where_the_operator_wants_it(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    broker, port = broker_with_websockets(tmp_path, authority, network__websocket_origins="any")
    async with broker:
        for origin in ("https://elsewhere.example.net", "null"):
            assert await status(port, authority, {"Origin": origin}) == 101
    assert any("any site" in record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)


async def test_a_strangers_name_that_leads_here_is_no_name_of_the_broker(tmp_path: Path, authority: Authority) -> None:
    """Without TLS nothing but the name tells a page of the broker's from one that was led here."""
    broker, port = broker_with_websockets(tmp_path, authority, Overrides(disable_tls=True))
    async with broker:
        assert await status(port, None, {"Origin": f"http://evil.com:{port}"}, "evil.com") == 403
        assert await status(port, None, {"Origin": f"http://{IDENTITY}:{port}"}, IDENTITY) == 101


def refused(registry: CollectorRegistry) -> float:
    labels = {"identity": IDENTITY, "cause": "websocket-origin"}
    return registry.get_sample_value("choria_broker_engine_refusals_total", labels) or 0.0


async def test_refused_origins_are_counted_and_logged_within_bounds(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    broker, port = broker_with_websockets(tmp_path, authority)
    async with broker:
        await flood(broker, port, authority)
        assert refused(broker.registry) == ATTEMPTS
    told = [record.getMessage() for record in caplog.records if "origin not allowed" in record.getMessage()]
    assert 0 < len(told) < ATTEMPTS
    assert "websocket_origins" in told[0]
    assert max(map(len, told)) < 500


async def flood(broker: NetworkBroker, port: int, authority: Authority) -> None:
    headers: dict[str, Any] = {"Origin": f"https://{'x' * 5000}.example"}
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        for _ in range(ATTEMPTS):
            with contextlib.suppress(aiohttp.WSServerHandshakeError):
                await session.ws_connect(f"https://127.0.0.1:{port}", ssl=authority.context())
    async with asyncio.timeout(60):
        while refused(broker.registry) < ATTEMPTS:
            await asyncio.sleep(0.01)
