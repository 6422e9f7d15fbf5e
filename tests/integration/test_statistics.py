"""The statistics port of a running broker."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web

from choria_broker.broker import NetworkBroker
from support.nats_socket import ClosedError, wire
from support.testbed import Authority, client, configuration, engine_pages, free_port


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


async def test_a_page_the_engine_has_nothing_for_says_so_in_its_words(tmp_path: Path, authority: Authority) -> None:
    async with served(tmp_path, authority) as (broker, session):
        async with engine_pages(broker) as engine, engine.get("/raftz") as direct:
            expected = direct.status, await direct.text()
        async with session.get("/raftz") as relayed:
            assert (relayed.status, await relayed.text()) == expected
            assert relayed.headers["Content-Type"] == direct.headers["Content-Type"]


async def test_the_engine_has_no_port_for_its_pages(tmp_path: Path, authority: Authority) -> None:
    """A port of loopback would answer every user of the machine, and web pages in a browser on it."""
    async with served(tmp_path, authority) as (broker, session):
        (engine,) = psutil.Process().children()
        listening = {each.laddr.port for each in engine.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
        assert listening == {broker.ports.client}
        async with session.get("/varz") as answer:
            assert answer.status == 200
            assert "Access-Control-Allow-Origin" not in answer.headers


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


async def test_varz_tells_the_address_it_was_asked_at_and_the_effective_limit_and_nothing_else_is_changed(
    tmp_path: Path, authority: Authority
) -> None:
    async with served(tmp_path, authority) as (broker, session):
        async with session.get("/varz") as answer:
            shown = await answer.text()
        async with engine_pages(broker) as engine, engine.get("/varz") as answer:
            own = await answer.text()
        port = broker.settings.statistics.port
        assert (json.loads(shown)["http_host"], json.loads(shown)["http_port"]) == ("127.0.0.1", port)
        changed = re.sub(r'"http_port": -?[0-9]+', f'"http_port": {port}', own)
        assert changed != own
        # How many connections the open files allow depends on this machine; another test lowers them.
        moving = re.compile(r'"(now|uptime|cpu|mem|/varz|max_connections)":')
        kept = [[line for line in each.splitlines() if not moving.search(line)] for each in (changed, shown)]
        assert len(kept[0]) > 30
        assert kept[0] == kept[1]


@pytest.mark.parametrize(
    "query", ["subs=1&limit=1", "sort=subs&state=any", "limit=1&offset=1", "sort=nonsense", "callback=show"]
)
async def test_query_options_reach_the_engine(tmp_path: Path, authority: Authority, query: str) -> None:
    async with served(tmp_path, authority) as (broker, session):
        async with session.get(f"/connz?{query}") as answer:
            shown = (answer.status, answer.headers["Content-Type"], await answer.text())
        async with engine_pages(broker) as engine, engine.get(f"/connz?{query}") as answer:
            own = (answer.status, answer.headers["Content-Type"], await answer.text())
        assert shown[:2] == own[:2]
        if shown[0] == 200:
            documents = [{**json.loads(text), "now": ""} for text in (shown[2], own[2])]
            assert documents[0] == documents[1]
        else:
            assert shown[2] == own[2]


async def test_stacks_are_those_of_the_engine(tmp_path: Path, authority: Authority) -> None:
    async with served(tmp_path, authority) as (_, session), session.get("/stacksz") as answer:
        assert (await answer.text()).startswith("goroutine")


@pytest.mark.parametrize(
    ("asked", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("127.0.0.1", {"Host": "localhost"}, 200),
        ("[::ffff:127.0.0.1]", {}, 200),
        ("127.0.0.1", {"Host": "broker.example.net"}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 403),
        ("elsewhere", {}, 403),
        ("elsewhere", {"Host": "127.0.0.1"}, 403),
        ("elsewhere", {"Host": "localhost", "X-Real-IP": "127.0.0.1"}, 403),
    ],
)
async def test_stacks_are_for_this_machine(
    tmp_path: Path, authority: Authority, asked: str, headers: dict[str, str], status: int
) -> None:
    """Whatever address the port has, and whatever a request says of itself."""
    if asked == "elsewhere":
        asked = own_address()
    port = free_port()
    config = configuration(tmp_path, authority, plugin__choria__stats_port=port, plugin__choria__stats_address="::")
    async with NetworkBroker.from_file(config), aiohttp.ClientSession(f"http://{asked}:{port}") as session:
        for path in ("/stacksz", "/stacksz?debug=2"):
            async with session.get(path, headers=headers) as answer:
                assert answer.status == status
                assert ("goroutine" in await answer.text()) is (status == 200)
        async with session.get("/varz", headers=headers) as answer:
            assert answer.status == 200


def own_address() -> str:
    """Find an address of this machine that is no loopback address: who asks there comes from there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # Nothing is sent.
        except OSError:
            pytest.skip("this machine has loopback addresses only")
        return str(probe.getsockname()[0])


async def test_pages_show_nobodys_token(tmp_path: Path, authority: Authority) -> None:
    """Not of those who were refused, and not where a token stands in the place of a name."""
    token = "eyJhbGciOiJFZERTQSJ9.eyJjYWxsZXJpZCI6InVwPWFsaWNlIn0.c2lnbmF0dXJl"
    seed = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"
    bob = authority.context(authority.issue("bob.mcollective"))
    async with served(tmp_path, authority) as (broker, session):
        for context in (authority.context(), bob):
            for fields in (
                {"user": token},
                {"user": f"x {token}"},
                {"user": seed},
                {"user": "hunter2" if context is not bob else "bob", "pass": "hunter3"},
                {"name": token, "lang": token, "version": token},
                {"auth_token": token, "user": token, "name": "x"},
                {"user": "hunter2", "protocol": "x"},
            ):
                with contextlib.suppress(ClosedError):
                    async with wire(broker.ports.client, context) as peer:
                        await peer.connect(**fields)
        for page in (
            "connz?auth=1&state=closed&subs=1",
            "connz?auth=true&state=all&subs=detail",
            "accountz?acc=choria",
            "varz",
        ):
            async with session.get(f"/{page}") as answer:
                text = await answer.text()
            shown = [secret for secret in (token[:30], token[-12:], seed, "hunter3") if secret in text]
            assert not shown, page
            if "closed" in page:
                refused = [each for each in json.loads(text)["connections"] if each["reason"] != "Client Closed"]
                assert len(refused) >= 8
                assert not any("hunter2" in json.dumps(each) for each in refused)


@pytest.mark.parametrize("path", ["/", "/varz", "/connz", "/choria/", "/choria/prometheus", "/metrics"])
async def test_head_gives_the_headers_only(tmp_path: Path, authority: Authority, path: str) -> None:
    async with served(tmp_path, authority) as (_, session):
        async with session.get(path) as answer:
            expected = (answer.status, answer.headers["Content-Type"])
        async with session.head(path) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == expected
            assert await answer.read() == b""


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("deflate, gzip;q=0.5, br", "gzip"),
        ("GZIP", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0, deflate", None),
        ("x-gzip-not", None),
    ],
)
async def test_metrics_are_compressed_when_the_reader_takes_it(
    tmp_path: Path, authority: Authority, accepted: str, encoding: str | None
) -> None:
    async with (
        served(tmp_path, authority) as (_, session),
        session.get("/choria/prometheus", headers={"Accept-Encoding": accepted}) as answer,
    ):
        assert answer.headers.get("Content-Encoding") == encoding
        assert "choria_build_info" in await answer.text()


async def test_all_paths_of_metrics_show_the_same(tmp_path: Path, authority: Authority) -> None:
    async with served(tmp_path, authority) as (_, session):
        pages = []
        for path in ("/choria/prometheus", "/choria/metrics", "/metrics"):
            async with session.get(path) as answer:
                lines = (await answer.text()).splitlines()
            pages.append([line if line.startswith("#") else line.rpartition(" ")[0] for line in lines])
        assert len(pages[0]) > 100
        assert pages[0] == pages[1] == pages[2]


@pytest.mark.parametrize("path", ["/metrics", "/choria/prometheus", "/choria/metrics"])
async def test_metrics_are_plain_text(tmp_path: Path, authority: Authority, path: str) -> None:
    async with served(tmp_path, authority) as (_, session), session.get(path) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'choria_broker_config_errors{identity="broker.example.net"} 0' in await answer.text()


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
