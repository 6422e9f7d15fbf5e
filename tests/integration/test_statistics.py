"""The statistics port of a running broker."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from choria_broker.broker import NetworkBroker
from testbed import Authority, client, configuration, free_port


@contextlib.asynccontextmanager
async def served(tmp_path: Path, authority: Authority) -> AsyncIterator[tuple[NetworkBroker, aiohttp.ClientSession]]:
    port = free_port()
    config = configuration(tmp_path, authority, plugin__choria__stats_port=port)
    async with (
        NetworkBroker.from_file(config) as broker,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield broker, session


async def test_the_instance_document_stands_at_choria_and_below(tmp_path: Path, authority: Authority) -> None:
    async with served(tmp_path, authority) as (broker, session):
        for path in ("/choria/", "/choria/anything/at/all"):
            async with session.get(path) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
                document = json.loads(await answer.text())
            assert list(document) == ["build", "system", "config_file", "identity"]
            assert list(document["build"])[:8] == [
                "version", "sha", "build_date", "license", "tls", "secure", "go", "max_broker_clients",
            ]  # fmt: skip
            assert document["build"]["nats"].startswith("2.")
            assert document["identity"] == "broker.example.net"
            assert document["config_file"] == str(broker.settings.source)
            assert document["system"]["rss"] > 10_000_000
        async with session.get("/choria", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, "/choria/")


@pytest.mark.parametrize(
    "path", ["/varz", "/connz?subs=1&limit=1", "/jsz", "/routez", "/accountz", "/leafz", "/gatewayz"]
)
async def test_engine_pages_are_relayed(tmp_path: Path, authority: Authority, path: str) -> None:
    async with served(tmp_path, authority) as (broker, session), session.get(path) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        document = await answer.json()
        assert document["server_id"]
        if path == "/varz":
            assert document["port"] == broker.ports.client
        if path.startswith("/connz"):
            assert document["limit"] == 1


async def test_connections_show_their_account_and_no_secret(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        served(tmp_path, authority) as (broker, session),
        client(broker, context, user="bob", password="hunter2"),
        session.get("/connz?auth=1") as answer,
    ):
        text = await answer.text()
        (connection,) = json.loads(text)["connections"]
        assert connection["account"] == "choria"
        assert connection["authorized_user"] == "bob"
        assert "hunter2" not in text


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/healthz", 200), ("/stacksz", 200), ("/nothing", 404), ("/debug/vars", 404)]
)
async def test_only_the_known_pages_exist(tmp_path: Path, authority: Authority, path: str, status: int) -> None:
    async with served(tmp_path, authority) as (_, session), session.get(path) as answer:
        assert answer.status == status


async def test_engine_pages_cannot_be_written_to(tmp_path: Path, authority: Authority) -> None:
    async with served(tmp_path, authority) as (_, session), session.post("/varz") as answer:
        assert answer.status == 405


@pytest.mark.parametrize("path", ["/metrics", "/choria/prometheus", "/choria/metrics"])
async def test_metrics_are_plain_text(tmp_path: Path, authority: Authority, path: str) -> None:
    async with served(tmp_path, authority) as (_, session), session.get(path) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'choria_broker_config_errors{identity="broker.example.net"} 0.0' in await answer.text()


async def test_the_application_can_be_mounted_in_another(tmp_path: Path, authority: Authority) -> None:
    broker = NetworkBroker.from_file(configuration(tmp_path, authority))
    outer = web.Application()
    outer.add_subapp("/broker", broker.http_app())
    runner = web.AppRunner(outer)
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/broker/varz") as answer:
                assert answer.status == 503
            async with broker:
                async with session.get("/broker/varz") as answer:
                    assert (await answer.json())["port"] == broker.ports.client
                async with session.get("/broker/choria", allow_redirects=False) as answer:
                    assert answer.headers["Location"] == "/broker/choria/"
                async with session.get("/broker/choria/") as answer:
                    assert json.loads(await answer.text())["identity"] == "broker.example.net"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 403), ("evil.example:8222", 403), ("localhost", 200), ("127.0.0.1", 200), ("[::1]:1", 200)],
)
async def test_a_loopback_port_does_not_answer_under_a_strangers_name(
    tmp_path: Path, authority: Authority, host: str, status: int
) -> None:
    async with served(tmp_path, authority) as (_, session), session.get("/varz", headers={"Host": host}) as answer:
        assert answer.status == status
