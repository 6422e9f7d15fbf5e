"""A broker that cannot tell at the start which of the peers it is: its cluster is whole when the others are there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.stats.meeting import MOST
from support.tap_relay import tapped
from support.testbed import Authority
from support.topology import DEADLINE, Node, Setting, broker, configure, formed, linked, nodes, peers, running

pytestmark = pytest.mark.slow

QUICK = 0.2
"""Seconds between two polls of the engine."""
POLLS = 8


def polled(folder: Path, authority: Authority, node: Node, **settings: Setting) -> NetworkBroker:
    """Make a broker that looks at its engine often."""
    loaded = load(configure(folder, authority, node, **settings))
    assert loaded.settings is not None, loaded.findings
    return NetworkBroker(loaded.settings, findings=loaded.findings, poll_interval=QUICK)


async def page_of(node: Node) -> dict[str, Any]:
    """Return the status page."""
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://127.0.0.1:{node.statistics}/choria/status") as answer,
    ):
        found: dict[str, Any] = json.loads(await answer.text())
    return found


async def told(one: NetworkBroker, node: Node) -> tuple[str, int, int, int, int]:
    """Return health, and members wanted and connected, as status page and metrics have them."""
    found = await page_of(node)
    metrics = [
        int(one.registry.get_sample_value(f"choria_broker_peers_{what}", {"identity": node.identity}) or 0)
        for what in ("configured", "connected")
    ]
    shown = found["peers"]
    return found["health"]["condition"], len(shown["configured"]), len(shown["connected"]), metrics[0], metrics[1]


async def becomes(one: NetworkBroker, node: Node, condition: str, wanted: int, connected: int) -> None:
    """Wait until everything agrees that the cluster is so."""
    expected, found = (condition, wanted, connected, wanted, connected), ("", 0, 0, 0, 0)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE):
            while found != expected:
                found = await told(one, node)
                await asyncio.sleep(0.02)
    assert found == expected


async def says(node: Node, reason: str) -> None:
    """Wait until the status page has a reason of health; on a busy machine there are others now and then."""
    async with asyncio.timeout(DEADLINE):
        while not any(reason in each for each in (await page_of(node))["health"]["reasons"]):
            await asyncio.sleep(0.02)


async def stays(one: NetworkBroker, node: Node, condition: str, wanted: int, connected: int) -> None:
    """Make sure that everything goes on agreeing, for a few polls."""
    seen: set[float] = set()
    async with asyncio.timeout(DEADLINE):
        while len(seen) < POLLS:
            found = await told(one, node)
            # A machine without time for its engine is another matter.
            assert found == (condition, wanted, connected, wanted, connected) or found[0] == "failing"
            readings = one.statistics.poller.latest
            seen.add(readings.time if readings else 0.0)
            await asyncio.sleep(0.02)


def listed(own: str, others: Sequence[Node]) -> dict[str, Setting]:
    """Return peers in which this broker is under a name of its own choice, or not at all."""
    places = [f"{node.host}:{node.peer}" for node in others]
    return {"network__peers": ", ".join([own, *places] if own else places)}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("host", ["broker1.headless.invalid", "192.0.2.77"])
async def test_a_name_that_leads_elsewhere(tmp_path: Path, authority: Authority, size: int, host: str) -> None:
    one, *others = members = nodes(size)
    first = polled(tmp_path, authority, one, **listed(f"{host}:{one.peer}", others))
    assert len(first.settings.network.cluster.routes) == size
    *rest, last = [broker(tmp_path, authority, node, **peers(*members)) for node in others]
    async with first, running(rest):
        async with last:
            await formed(*members)
            await becomes(first, one, "ok", size - 1, size - 1)
            await stays(first, one, "ok", size - 1, size - 1)
        await linked(one, *others[:-1])
        await becomes(first, one, "degraded", size - 1, size - 2)
        await stays(first, one, "degraded", size - 1, size - 2)


@pytest.mark.parametrize("size", [2, 3])
async def test_a_member_that_was_never_there_is_missing(tmp_path: Path, authority: Authority, size: int) -> None:
    one, *others = members = nodes(size)
    first = polled(tmp_path, authority, one, **listed(f"broker1.headless.invalid:{one.peer}", others))
    rest = [broker(tmp_path, authority, node, **peers(*members)) for node in others[:-1]]
    async with first, running(rest):
        await linked(one, *others[:-1])
        await becomes(first, one, "degraded", size - 1, size - 2)
        await stays(first, one, "degraded", size - 1, size - 2)


@pytest.mark.parametrize("tls", [True, False])
async def test_a_broker_meets_itself_behind_a_relay(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, *, tls: bool
) -> None:
    one, two = nodes(2)
    async with tapped(one.peer) as outside:
        settings = listed(f"localhost:{outside.port}", [two]) | {"network__peer_tls": tls}
        first = polled(tmp_path, authority, one, **settings)
        second = broker(tmp_path, authority, two, **peers(one, two), network__peer_tls=tls)
        async with first:
            async with second:
                await formed(one, two)
                await becomes(first, one, "ok", 1, 1)
            await becomes(first, one, "degraded", 1, 0)
    told = [record.getMessage() for record in caplog.records if "peers is this broker" in record.getMessage()]
    assert told == [f"localhost:{outside.port} in the list of peers is this broker"]


async def test_a_broker_that_is_not_listed_misses_every_other(tmp_path: Path, authority: Authority) -> None:
    one, two, three = members = nodes(3)
    first = polled(tmp_path, authority, one, **listed("", [two, three]))
    second, third = (broker(tmp_path, authority, node, **peers(*members)) for node in (two, three))
    async with first, second:
        await linked(one, two)
        await becomes(first, one, "degraded", 2, 1)
        async with third:
            await formed(*members)
            await becomes(first, one, "ok", 2, 2)
        await becomes(first, one, "degraded", 2, 1)


@pytest.mark.slow
async def test_ports_that_are_translated_as_well(tmp_path: Path, authority: Authority) -> None:
    one, two = nodes(2)
    first = polled(tmp_path, authority, one, **listed(f"192.0.2.77:{one.peer + 300}", [two]))
    second = polled(tmp_path, authority, two, **listed(f"192.0.2.77:{two.peer + 300}", [one]))
    async with first:
        async with second:
            await formed(one, two)
            for each, node in ((first, one), (second, two)):
                await becomes(each, node, "ok", 1, 1)
                await stays(each, node, "ok", 1, 1)
        await becomes(first, one, "degraded", 1, 0)
        await stays(first, one, "degraded", 1, 0)


@pytest.mark.parametrize("place", ["broker1.headless.invalid", "192.0.2.77"])
@pytest.mark.parametrize("shift", [0, 300])
async def test_a_list_with_nobody_else(tmp_path: Path, authority: Authority, place: str, shift: int) -> None:
    one, two = nodes(2)
    first = polled(tmp_path, authority, one, **listed(f"{place}:{one.peer + shift}", []))
    async with first:
        await becomes(first, one, "ok", 0, 0)
        await stays(first, one, "ok", 0, 0)
    # It was another member, and shows that by coming.
    first = polled(
        tmp_path,
        authority,
        one,
        **listed(f"{two.identity}:{two.peer}", []),
        network__peer_user="u",
        network__peer_password="p",
    )
    second = broker(tmp_path, authority, two, **peers(one, two), network__peer_user="u", network__peer_password="p")
    async with first:
        await becomes(first, one, "ok", 0, 0)
        async with second:
            await formed(one, two)
            await becomes(first, one, "ok", 1, 1)
        await becomes(first, one, "degraded", 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("own", [True, False])
async def test_a_member_that_was_left_out_is_missed(tmp_path: Path, authority: Authority, *, own: bool) -> None:
    one, two, three = members = nodes(3)
    place = f"localhost:{one.peer}" if own else "192.0.2.77:5222"
    settings: dict[str, Setting] = {"network__peers": f"{place}, localhost:{two.peer}, localhost:0"}
    first = polled(tmp_path, authority, one, **settings)
    second, third = (broker(tmp_path, authority, node, **peers(*members)) for node in (two, three))
    async with first, second:
        await linked(one, two)
        await becomes(first, one, "degraded", 2, 1)
        # Whether a place where nobody answers is this broker, or the one left out, cannot be told.
        await says(one, f"member {'localhost (unusable entry)' if own else place} is not connected since ")
        async with third:
            await formed(*members)
            # The entry has to be corrected all the same.
            await becomes(first, one, "degraded", 2, 2)
            await stays(first, one, "degraded", 2, 2)
        await becomes(first, one, "degraded", 2, 1)


async def test_a_member_that_is_not_listed_makes_no_absurd_numbers(tmp_path: Path, authority: Authority) -> None:
    one, two, three = members = nodes(3)
    first = polled(tmp_path, authority, one, **peers(one, two))
    second, third = (broker(tmp_path, authority, node, **peers(*members)) for node in (two, three))
    async with first, second:
        async with third:
            await formed(*members)
            await becomes(first, one, "ok", 2, 2)
        await becomes(first, one, "ok", 1, 1)


@pytest.mark.parametrize(
    "listed_as",
    [
        "localhost:{a}, localhost:{b}, 127.0.0.1:{b}",
        "127.0.0.1:{b}, localhost:{b}, localhost:{a}",
        "localhost:{a}, me.headless.invalid:{a}, localhost:{b}",
        "me.headless.invalid:{a}, localhost:{b}, 127.0.0.1:{b}",
        "localhost:{b}, 127.0.0.1:{b}, also.me.invalid:{a}, me.headless.invalid:{a}",
        "localhost:{b}, 127.0.0.1:{b}",
    ],
)
async def test_members_count_and_not_entries(tmp_path: Path, authority: Authority, listed_as: str) -> None:
    one, two = nodes(2)
    first = polled(tmp_path, authority, one, network__peers=listed_as.format(a=one.peer, b=two.peer))
    size = first.settings.network.cluster.size
    second = broker(tmp_path, authority, two, **peers(one, two))
    async with first:
        async with second:
            await linked(one, two)
            await becomes(first, one, "ok", 1, 1)
            await stays(first, one, "ok", 1, 1)
        await becomes(first, one, "degraded", 1, 0)
        await stays(first, one, "degraded", 1, 0)
        assert first.settings.network.cluster.size == size == listed_as.count(",") + 1


async def test_a_repeat_hides_no_missing_member(tmp_path: Path, authority: Authority) -> None:
    one, two, three = nodes(3)
    entries = (
        f"localhost:{one.peer}, localhost:{two.peer}, 127.0.0.1:{two.peer}, localhost:{three.peer}, me.invalid:1234"
    )
    first = polled(tmp_path, authority, one, network__peers=entries)
    async with first, broker(tmp_path, authority, two, **peers(one, two)):
        await linked(one, two)
        await becomes(first, one, "degraded", 3, 1)
        await stays(first, one, "degraded", 3, 1)


async def test_of_many_entries_each_has_its_turn_to_be_asked(tmp_path: Path, authority: Authority) -> None:
    one, two = nodes(2)
    dead = 2 * MOST + 1
    entries = [f"dead{number}.invalid:1" for number in range(dead)]
    entries += [f"localhost:{two.peer}", f"127.0.0.1:{two.peer}", f"localhost:{one.peer}"]
    first = polled(tmp_path, authority, one, network__peers=", ".join(entries))
    async with first, broker(tmp_path, authority, two, **peers(one, two)):
        await linked(one, two)
        await becomes(first, one, "degraded", dead + 1, 1)
