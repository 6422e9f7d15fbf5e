"""The pages /choria/status and /choria/healthz of a running broker, and what the status command makes of the same."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import web
from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.config.load import load
from choria_broker.errors import EngineDiedError
from choria_broker.stats.poller import INTERVAL
from support.leaks import leaks
from support.minting import HOLDER, ORGANIZATION, encoded, hex_of, mint
from support.minting import client as client_claims
from support.nats_socket import ClosedError, wire
from support.testbed import IDENTITY, Authority, client, configuration, free_port
from support.topology import DEADLINE, Node, broker, formed, gateways, joined, leafnodes, peers, running

STATUS, HEALTH = "/choria/status", "/choria/healthz"
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d"
QUICK = 0.2
"""Seconds between two polls of the engine, in place of ten; three times that late, it counts as silent."""


async def asked(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session,
        session.request(method, f"http://{address}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def document(port: int) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session,
        session.get(f"http://127.0.0.1:{port}{STATUS}") as answer,
    ):
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        found: dict[str, Any] = await answer.json()
        return found


async def becomes(port: int, status: int) -> str:
    """Wait until the health page answers with a status, and return its text."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found, text = await asked(f"127.0.0.1:{port}", HEALTH)
            if found == status:
                return text
            await asyncio.sleep(0.02)


async def shows(port: int, key: str, wanted: object) -> dict[str, Any]:
    """Wait until a field of the status is what is wanted, and return the status."""
    found: dict[str, Any] = {}
    try:
        async with asyncio.timeout(DEADLINE):
            while found.get(key) != wanted:
                found = await document(port)
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{key} does not become {wanted}: {found}") from None
    return found


async def shown(port: int, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the status is as wanted, and return it."""
    found = await document(port)
    try:
        async with asyncio.timeout(DEADLINE):
            while not wanted(found):
                await asyncio.sleep(0.02)
                found = await document(port)
    except TimeoutError:
        raise AssertionError(f"the status does not become as wanted: {found}") from None
    return found


def matched(texts: list[str], patterns: list[str]) -> bool:
    return len(texts) == len(patterns) and all(map(re.fullmatch, patterns, texts))


@contextlib.asynccontextmanager
async def served(
    tmp_path: Path, authority: Authority, interval: float = INTERVAL, /, **settings: str | int | bool | Path
) -> AsyncIterator[tuple[NetworkBroker, int]]:
    port = free_port()
    loaded = load(configuration(tmp_path, authority, plugin__choria__stats_port=port, **settings))
    assert loaded.settings is not None, loaded.findings
    async with NetworkBroker(loaded.settings, findings=loaded.findings, poll_interval=interval) as one:
        yield one, port


async def test_a_broker_that_is_alone_and_well(tmp_path: Path, authority: Authority) -> None:
    async with served(tmp_path, authority) as (one, port):
        async with client(one, authority.context(authority.issue("bob.mcollective"))):
            pass
        async with wire(one.ports.client, authority.context()) as stranger:
            with pytest.raises(ClosedError):
                await stranger.connect()
        found = await document(port)

        assert found["health"] == {"condition": "ok", "sentence": "All is well.", "reasons": [], "kinds": []}
        assert (found["identity"], found["source"]) == (IDENTITY, str(one.settings.source))
        assert (found["accepted"], found["refused"]) == ({"mtls": 1}, {"certificate-required": 1})
        assert found["nats"].startswith("2.")
        engine = psutil.Process(found["engine"]["pid"])
        assert engine.ppid() == os.getpid() == found["pid"]
        assert 0 <= found["engine"]["uptime"] < DEADLINE
        assert found["engine"]["answers"] is True
        assert found["peers"] == {"configured": [], "connected": []}
        assert found["streams"] == found["links"] == found["pending_restart"] == found["left_out"] == []
        assert found["unverified_account"] == ""
        files = one.settings.tls.files
        assert files is not None
        assert [(each["role"], each["file"]) for each in found["certificates"]] == [
            ("broker", str(files.certificate)),
            ("ca", str(files.ca)),
        ]
        assert all(each["days_left"] > 14 for each in found["certificates"])
        assert await asked(f"127.0.0.1:{port}", HEALTH) == (200, "ok\n")


async def test_who_was_at_the_door_is_for_the_control_socket_only(tmp_path: Path, authority: Authority) -> None:
    async with served(tmp_path, authority) as (one, port):
        async with wire(one.ports.client, authority.context(), source="127.0.3.4") as stranger:
            with pytest.raises(ClosedError):
                await stranger.connect()
        status, text = await asked(f"127.0.0.1:{port}", STATUS)
        told = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--config", str(one.settings.source)])

    assert (status, told.exit_code) == (200, 0)
    assert "127.0.3.4" in told.stdout
    assert "127.0.3.4" not in text


@pytest.mark.parametrize("path", [STATUS, HEALTH])
async def test_the_pages_are_read_and_nothing_else(tmp_path: Path, authority: Authority, path: str) -> None:
    async with served(tmp_path, authority) as (_, port):
        assert await asked(f"127.0.0.1:{port}", path, "HEAD") == (200, "")
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, _ = await asked(f"127.0.0.1:{port}", path, method)
            assert status == 405


@pytest.mark.parametrize(
    ("host", "status", "health"),
    [
        ("evil.example", 403, 200),
        ("evil.example:8222", 403, 200),
        (IDENTITY, 200, 200),
        ("localhost", 200, 200),
        ("192.0.2.1:8222", 200, 200),
    ],
)
async def test_a_web_page_of_elsewhere_cannot_have_the_status_read(
    tmp_path: Path, authority: Authority, host: str, status: int, health: int
) -> None:
    """On a port for every address too: there the other pages answer under any name, which may be a proxy's."""
    async with served(tmp_path, authority, plugin__choria__stats_address="0.0.0.0") as (_, port):  # noqa: S104 - the case
        assert (await asked(f"127.0.0.1:{port}", STATUS, Host=host))[0] == status
        assert (await asked(f"127.0.0.1:{port}", HEALTH, Host=host))[0] == health


@pytest.fixture
def outside() -> str:
    """An IPv4 address of this machine that other machines can reach."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            with contextlib.suppress(ValueError):
                if not ipaddress.IPv4Address(each.address).is_loopback:
                    return each.address
    pytest.skip("this machine has no address besides loopback")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "outside"])  # noqa: S104 - the case
async def test_other_machines_see_the_health_and_the_status_only_when_told(
    tmp_path: Path, authority: Authority, outside: str, address: str
) -> None:
    """A request to an address of this machine counts as one from another: it comes to where others come."""
    bound = outside if address == "outside" else address
    async with served(tmp_path, authority, plugin__choria__stats_address=bound) as (_, port):
        status, text = await asked(f"{outside}:{port}", STATUS)
        assert status == 403
        assert "plugin.choria.stats_ui = true" in text
        assert await asked(f"{outside}:{port}", HEALTH) == (200, "ok\n")
        if bound != outside:
            assert (await asked(f"127.0.0.1:{port}", STATUS))[0] == 200
    async with served(tmp_path, authority, plugin__choria__stats_address=bound, plugin__choria__stats_ui=True) as (
        _,
        port,
    ):
        assert (await asked(f"{outside}:{port}", STATUS))[0] == 200
        assert (await asked(f"{outside}:{port}", STATUS, Host="evil.example"))[0] == 403


async def test_an_engine_that_hangs_is_told_of(tmp_path: Path, authority: Authority) -> None:
    async with served(tmp_path, authority, QUICK) as (_, port):
        pid = (await document(port))["engine"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            assert await becomes(port, 503) == "the engine does not answer\n"
            found = await document(port)
            assert found["engine"]["answers"] is False
            assert found["health"]["condition"] == "failing"
        finally:
            os.kill(pid, signal.SIGCONT)
        assert await becomes(port, 200) == "ok\n"


def is_told_of(link: Mapping[str, Any], version: str) -> None:
    """Look whether all is told of a link that stands to a broker of this version, and why one to nobody does not."""
    assert link["since"] > 0
    if link["connected"]:
        assert (link["version"], link["cause"]) == (version, "")
        assert link["answered"] >= 0
        assert link["address"].startswith("127.0.0.1")
    else:
        assert (link["rtt_ms"], link["cause"], link["version"]) == (None, "refused", "")
        assert "connection refused" in link["why"]


async def test_links_that_stand_and_links_that_do_not(tmp_path: Path, authority: Authority) -> None:
    """Three of a cluster, one of them down; a gateway and a leafnode to brokers that run, and one each to nobody."""
    hub, other, third, london, far, nobody = (
        Node(f"{name}.example.net") for name in ("broker1", "broker2", "broker3", "london", "far", "nobody")
    )
    cluster = peers(hub, other, third)
    settings = cluster | gateways(hub, "TOKYO", TOKYO=(hub, other, third), LONDON=(london,), PARIS=(nobody,))
    remotes = {
        f"network__leafnode_remote__{name}__url": f"localhost:{node.leafnode}"
        for name, node in (("FAR", far), ("GONE", nobody))
    }
    one = broker(tmp_path, authority, hub, **settings, network__leafnode_remotes="FAR, GONE", **remotes)
    settings |= gateways(other, "TOKYO", TOKYO=(hub, other, third), LONDON=(london,), PARIS=(nobody,))
    two = broker(tmp_path, authority, other, **settings)
    there = broker(tmp_path, authority, london, **gateways(london, "LONDON", TOKYO=(hub, other)))
    leaf_hub = broker(tmp_path, authority, far, network__gateway_name="FAR", network__leafnode_port=far.leafnode)
    one.statistics.poller._interval = QUICK
    async with running((there, leaf_hub, two, one)):
        await formed(hub, other)
        await joined(hub, "LONDON")
        await leafnodes(hub, 1)
        wanted = [
            rf"member localhost:{third.peer} is not connected since {MOMENT} UTC: connection refused",
            rf"gateway PARIS is not connected since {MOMENT} UTC: connection refused",
            rf"leafnode GONE is not connected since {MOMENT} UTC: connection refused",
        ]
        found = await shown(hub.statistics, lambda found: matched(found["health"]["reasons"], wanted))
        told = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--config", str(one.settings.source)])
        assert await becomes(hub.statistics, 200) == "ok\n"

    assert (found["peers"]["connected"], len(found["peers"]["configured"])) == ([other.identity], 2)
    assert matched([found["health"]["sentence"]], [f"The broker works but needs attention: {wanted[0]}, and 2 more\\."])
    links = {(each["kind"], each["name"]): each for each in found["links"]}
    assert {name: each["server"] for name, each in links.items() if each["connected"]} == {
        ("member", other.identity): other.identity,
        ("gateway", "LONDON"): london.identity,
        ("leafnode", "FAR"): far.identity,
    }
    down = {name for (_, name), each in links.items() if not each["connected"]}
    assert down == {f"localhost:{third.peer}", "PARIS", "GONE"}
    for each in links.values():
        is_told_of(each, found["nats"])
    assert f"Peers: 1 of 2 connected: {other.identity}" in told.stdout
    for line in (
        rf"Member {other.identity}: at 127\.0\.0\.1.*, connected since .*, last answer \d+ s ago, nats-server 2\..*",
        rf"Gateway PARIS: at localhost:{nobody.gateway}, not connected since .* UTC, refused: .*: connection refused",
        rf"Leafnode FAR: at 127\.0\.0\.1:{far.leafnode}, connected since .* UTC, to {far.identity}, .*",
        rf"  {wanted[2]}",
    ):
        assert re.search(f"^{line}$", told.stdout, re.MULTILINE), told.stdout


async def test_links_and_streams_are_known_without_a_statistics_port(tmp_path: Path, authority: Authority) -> None:
    node, gone = Node("broker1.example.net"), Node("broker2.example.net")
    settings: dict[str, str | int | bool | Path] = {"network__stream__store": tmp_path / "store"}
    settings |= {"plugin__choria__stats_port": 0, **peers(node, gone)}
    one = broker(tmp_path, authority, node, **settings)
    one.statistics.poller._interval = QUICK
    async with one, asyncio.timeout(DEADLINE):
        text = ""
        while "Streams of the cluster: no member leads" not in text or "refused" not in text:
            told = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--config", str(one.settings.source)])
            text = told.stdout

    assert re.search(
        rf"^Health: .*member localhost:{gone.peer} is not connected since {MOMENT} UTC", text, re.MULTILINE
    )
    assert f"Peers: 0 of 1 connected\nMember localhost:{gone.peer}: not connected since " in text


async def test_streams_and_features_left_out_are_told(tmp_path: Path, authority: Authority) -> None:
    settings: dict[str, str | int | bool | Path] = {
        "network__stream__store": tmp_path / "store",
        "network__stream__event_retention": "0",
        "plugin__choria__adapters": "discovery",
        "plugin__choria__adapter__discovery__type": "kafka",
        "plugin__choria__adapter__discovery__ingest__topic": "mcollective.broadcast.agent.discovery",
    }
    async with served(tmp_path, authority, **settings) as (one, port):
        found = await shows(port, "health", {
            "condition": "degraded",
            "sentence": "The broker works but needs attention: 1 feature is not in use because of the configuration.",
            "reasons": ["1 feature is not in use because of the configuration"],
            "kinds": ["features-left-out"],
        })  # fmt: skip

    assert {each["stream"]: each["state"] for each in found["streams"]}["CHORIA_EVENTS"] == "not-managed"
    assert found["store"]["enabled"] is True
    assert found["store"]["bytes_most"] > 0
    (left_out,) = found["left_out"]
    assert (left_out["code"], left_out["key"]) == ("adapter-type", "plugin.choria.adapter.discovery.type")
    assert left_out["place"].startswith(f"{one.settings.source}:")


async def test_no_secret_is_on_them(tmp_path: Path, authority: Authority) -> None:
    settings: dict[str, str | int | bool | Path] = {
        "plugin__security__issuer__names": "choria",
        "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
        "network__peers": f"localhost:{free_port()}",
        "network__peer_port": free_port(),
        "network__peer_user": "cluster",
        "network__peer_password": "s3cret",
        "network__provisioning__client_password": "provpass",
        "network__system__user": "system",
        "network__system__password": "syspass",
        "network__leafnode_port": free_port(),
        "network__unverified_account": "GUESTS",
        "network__accounts": "GUESTS",
    }
    token = mint(client_claims(iat=1_700_000_000, nbf=1_700_000_000, exp=4_102_444_800))
    async with served(tmp_path, authority, **settings) as (one, port):
        for fields in ({"auth_token": token}, {"auth_token": token, "user": "bob", "pass": "hunter2"}):
            async with wire(one.ports.client, authority.context()) as holder:
                await holder.connect(sig=encoded(HOLDER.sign(holder.nonce.encode())), **fields)
        _, text = await asked(f"127.0.0.1:{port}", STATUS)
        _, health = await asked(f"127.0.0.1:{port}", HEALTH)
        secret = one._engine.bridge_secret

    assert '"unverified_account":"GUESTS"' in text
    assert not leaks(text + health, token, secret)


async def test_mounted_in_another_application_they_tell_of_a_broker_that_is_not_there(
    tmp_path: Path, authority: Authority
) -> None:
    """Before its start, while it runs, once its engine has died, and after its end."""
    one = NetworkBroker.from_file(configuration(tmp_path, authority))
    outer = web.Application()
    outer.add_subapp("/broker", one.http_app())
    runner = web.AppRunner(outer)
    await runner.setup()
    port = free_port()
    gone = (503, "the engine does not answer\n")

    async def health() -> tuple[int, str]:
        return await asked(f"127.0.0.1:{port}", f"/broker{HEALTH}")

    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        assert await health() == gone
        with pytest.raises(EngineDiedError):
            async with one:
                assert await health() == (200, "ok\n")
                assert (await asked(f"127.0.0.1:{port}", f"/broker{STATUS}"))[0] == 200
                os.kill(one._engine.pid, signal.SIGKILL)
                await asyncio.sleep(DEADLINE)
        assert await health() == gone
    finally:
        await runner.cleanup()
