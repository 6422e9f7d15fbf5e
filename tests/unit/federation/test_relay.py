"""The relay: messages of one route, from one network to the other, over links that are played."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

from choria_broker.background import beside
from choria_broker.companions.complaints import Complaints
from choria_broker.companions.metrics import FEDERATION_ERRORS, FEDERATION_PUBLISHED
from choria_broker.companions.tally import Tally
from choria_broker.federation.relay import Relay
from choria_broker.federation.stages import WORKERS, Stages, routes
from support import transports as samples
from support.fake_links import FakeLink
from support.transports import message

REQUESTS, _ = routes("london")
WEB = tuple(f"mcollective.node.web{number}.example.net" for number in range(200))


class Bench:
    def __init__(self, bounds: tuple[int, int] = (100, 10_000_000)) -> None:
        self.tally = Tally()
        stages = Stages(REQUESTS, "london", "b", range(WORKERS), self.tally, float)
        self.ingest, self.egest = FakeLink("in", url="nats://f:1"), FakeLink("out", url="nats://c:2")
        self.log = mock.Mock()
        ingest: Any = self.ingest
        egest: Any = self.egest
        self.relay = Relay(REQUESTS, stages, ingest, egest, Complaints(self.log), bounds=bounds, clock=float)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with beside(self.relay.run(), "relay"):
            yield

    async def done(self) -> None:
        async with asyncio.timeout(60):
            while self.relay.pending:
                await asyncio.sleep(0)

    def total(self, family: str) -> float:
        return sum(value for _, value in self.tally.told()[family])

    @property
    def targets(self) -> list[str]:
        return [target.decode() for target, *_ in self.egest.published]


def request(*targets: str, size: int = 4) -> bytes:
    return message({"reply-to": "a.b", "federation": {"req": "1", "target": list(targets)}}, data="a" * size)


async def test_requests_arrive_at_their_targets() -> None:
    bench = Bench()
    assert bench.ingest.subscriptions[0][:2] == ("choria.federation.london.federation", "london_federation")
    async with bench.running():
        bench.ingest.hear(samples.V1_REQUEST, samples.V2_REQUEST)
        await bench.done()

    web1, web2 = "mcollective.node.web1.example.net", "mcollective.node.web2.example.net"
    assert bench.targets == [web1, web2, web1]
    bodies = [data for _, data, _ in bench.egest.published]
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0])["headers"]["seen-by"][-1][::2] == ["nats://f:1", "nats://c:2"]
    assert bench.total(FEDERATION_PUBLISHED) == 3
    assert bench.total(FEDERATION_ERRORS) == 0


async def test_the_next_message_passes_after_any_bad_one() -> None:
    bench = Bench()
    bad = (b"", b"\xff" * 1000, message(None), message({}), request("$JS.API.INFO"), request("a\r\nPUB b 0\r\n\r\n"))
    async with bench.running():
        for each in bad:
            bench.ingest.hear(each, request("a.node.web1"))
        await bench.done()

    assert bench.targets == ["a.node.web1"] * len(bad)
    assert bench.total(FEDERATION_ERRORS) == len(bad)
    assert 0 < len(bench.log.method_calls) <= len(bad)


async def test_messages_wait_for_the_other_side_and_are_dropped_when_too_many_wait() -> None:
    bench = Bench(bounds=(3, 10_000_000))
    bench.egest.up = False
    async with bench.running():
        bench.ingest.hear(*(request(f"a.node.web{number}") for number in range(5)))
        await asyncio.sleep(0)
        assert bench.relay.pending == 3
        assert bench.total(FEDERATION_ERRORS) == 2
        assert not bench.egest.published
        bench.egest.up = True
        await bench.done()

    assert bench.targets == ["a.node.web0", "a.node.web1", "a.node.web2"]


async def test_bytes_that_wait_are_bounded_too() -> None:
    bench = Bench(bounds=(100, 3000))
    bench.egest.up = False
    async with bench.running():
        bench.ingest.hear(*(request("a.b", size=1000) for _ in range(4)))
        assert bench.relay.pending == 2
        bench.egest.up = True
        await bench.done()
        bench.ingest.hear(request("a.b", size=1000))
        await bench.done()

    assert len(bench.targets) == 3


async def test_many_targets_of_a_large_message_are_taken_a_part_at_a_time() -> None:
    bench = Bench()
    async with bench.running():
        bench.ingest.hear(request(*WEB, size=40_000))
        await bench.done()

    assert bench.targets == list(WEB)
    assert len(bench.egest.calls) > 10
    assert bench.egest.rooms > 5


async def test_what_the_broker_would_not_take_is_not_sent() -> None:
    bench = Bench()
    bench.egest.most = 500
    async with bench.running():
        bench.ingest.hear(request("a.b", "a.c", size=400), request("a.d"))
        await bench.done()

    assert bench.targets == ["a.d"]
    assert bench.total(FEDERATION_ERRORS) == 2


async def test_publications_that_fail_are_counted_and_the_rest_goes_on() -> None:
    bench = Bench()
    bench.egest.full = True
    async with bench.running():
        bench.ingest.hear(request("a.b", "a.c"))
        await bench.done()
        bench.egest.full = False
        bench.ingest.hear(request("a.d"))
        await bench.done()

    assert bench.targets == ["a.d"]
    assert bench.total(FEDERATION_ERRORS) == 2
    assert bench.total(FEDERATION_PUBLISHED) == 1


async def test_what_the_broker_does_not_permit_is_counted() -> None:
    bench = Bench()
    async with bench.running():
        bench.ingest.hear(request("a.b"))
        await bench.done()
        bench.egest.on_denied(b"a.b", 'Permissions Violation for Publish to "a.b"')

    assert bench.total(FEDERATION_ERRORS) == 1


async def test_a_message_that_was_begun_is_in_hand() -> None:
    bench = Bench()
    async with bench.running():
        bench.egest.up = False
        bench.ingest.hear(request(*WEB, size=40_000))
        await asyncio.sleep(0)
        assert bench.relay.pending == 1
        bench.egest.up = True
        await bench.done()


async def test_workers_are_shown_when_their_connection_is_there() -> None:
    bench = Bench()
    bench.ingest.up = False
    async with bench.running():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stages = {labels[0] for labels, _ in bench.tally.told()[FEDERATION_ERRORS]}
        assert stages == {"choria_request_transformer", "nats_egest"}
