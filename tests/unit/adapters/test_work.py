"""An adapter at work: what comes in goes out, is counted, and waits within its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.adapters import flight, work
from choria_broker.adapters.work import AdapterWork
from choria_broker.background import beside
from choria_broker.companions import metrics
from choria_broker.companions.links import Links
from choria_broker.companions.spec import ADAPTER, Key, Share, Spec, packed
from choria_broker.companions.tally import Tally
from choria_broker.settings.companions import Adapter, Side
from choria_broker.values import replace
from support.fake_links import FakeLink, FakeLinks
from support.registrations import message

PLAIN = Adapter(
    name="reg",
    topic="in.>",
    request=True,
    ingest_workers=2,
    output_workers=3,
    queue=5,
    target="out.%s",
    ingest=Side(name="ingest"),
    output=Side(name="output"),
)
STORED = b'{"stream":"S","seq":1}'


@dataclasses.dataclass
class Running:
    work: AdapterWork
    tally: Tally
    ingest: FakeLink
    output: FakeLink

    def counted(self, family: str, role: str = "") -> float:
        return sum(value for labels, value in self.tally.told().get(family, []) if not role or role in labels)

    def answer(self, data: bytes = STORED, headers: bytes = b"") -> None:
        """Answer everything that asks for an answer."""
        for _, _, reply in self.output.published:
            if reply:
                self.output.hear(data, subject=reply, headers=headers)


@contextlib.asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Running]:
    adapter = replace(PLAIN, **settings)
    spec, tally, links = Spec(Key(ADAPTER, adapter.name), "b", packed(adapter)), Tally(), FakeLinks()
    work = AdapterWork(spec, Share(), tally)
    await work.open(cast("Links", links))
    async with beside(work.run(), "work"):
        yield Running(work, tally, links.made["ingest"][0], links.made["output"][0])


async def done(at: Running) -> None:
    async with asyncio.timeout(60):
        while at.work.pending():
            await asyncio.sleep(0.001)


async def test_each_worker_is_a_member_of_the_queue_group() -> None:
    async with running() as at:
        assert [(subject, queue) for subject, queue, _ in at.ingest.subscriptions] == [("in.>", "nats_ingest_reg")] * 2
        assert at.ingest.name == "choria adapter reg.0"
        assert at.output.name.startswith("reg_0-")
        assert len(at.output.name) == len("reg_0-") + 32
        names = {labels for labels, _ in at.tally.told()[metrics.RECEIVED]}
        assert names == {("reg.0", "input"), ("reg.1", "input"), *((f"reg.{n}", "output") for n in range(3))}
        assert at.tally.told()[metrics.QUEUE_CAPACITY] == [(("reg",), 5)]
        at.work.close_ingest()
        assert at.ingest.subscriptions == []


async def test_documents_are_published_and_counted() -> None:
    async with running() as at:
        data = message(sender="web1")
        at.ingest.hear(data, message(sender="web2", version=2, body=b"x"))
        published = await at.output.until(2)
        assert [subject for subject, _, _ in published] == [b"out.web1", b"out.web2"]
        assert json.loads(published[1][1])["data"] == "x"
        assert at.counted(metrics.PUBLISHED) == 0
        at.answer()
        assert at.work.pending() == 0
        assert at.counted(metrics.PUBLISHED, "output") == at.counted(metrics.RECEIVED, "output") == 2
        assert at.counted(metrics.RECEIVED, "input") == 2
        assert at.counted(metrics.BYTES, "output") == sum(len(each) for _, each, _ in published)
        assert at.counted(f"{metrics.TIME}_count", "input") == 2


async def test_what_is_malformed_is_counted_and_dropped_and_the_next_passes(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as at:
        bad = b'{"protocol":"choria:transport:1","data":"","headers":null}'
        for _ in range(20):
            at.ingest.hear(bad, b"\x1b[31m\r\nPUB x 0")
        at.ingest.hear(message(), message(sender="a b"), message(sender="a\r\nPUB x 0"), message(sender="web2"))
        published = await at.output.until(2)
        at.answer()
        assert [subject for subject, _, _ in published] == [b"out.web1.example.net", b"out.web2"]
        assert (at.counted(metrics.ERRORS, "input"), at.counted(metrics.ERRORS, "output")) == (40, 2)
        assert at.counted(metrics.BYTES, "input") > 40
    lines = [record.getMessage() for record in caplog.records if record.name == "choria_broker.adapter"]
    assert len(lines) == 5
    assert "\x1b" not in caplog.text


async def test_a_full_queue_drops_and_counts() -> None:
    async with running() as at:
        at.output.up = False
        at.ingest.hear(*(message(sender=f"web{number}") for number in range(8)))
        assert (at.counted(metrics.RECEIVED, "input"), at.counted(metrics.ERRORS, "input")) == (5, 3)
        assert at.tally.told()[metrics.QUEUE_LENGTH] == [(("reg",), 5)]
        assert at.work.pending() == 5
        at.output.up = True
        published = await at.output.until(5)
        at.answer()
        assert [subject for subject, _, _ in published] == [b"out.web%d" % number for number in range(5)]
        assert at.tally.told()[metrics.QUEUE_LENGTH] == [(("reg",), 0)]


async def test_after_a_disconnection_what_was_on_its_way_is_sent_again() -> None:
    async with running() as at:
        at.ingest.hear(message(sender="web1"), message(sender="web2"))
        await at.output.until(2)
        at.output.lost += 1
        at.ingest.hear(message(sender="web3"))
        published = await at.output.until(5)
        assert [subject for subject, _, _ in published[2:]] == [b"out.web1", b"out.web2", b"out.web3"]
        at.answer()
        await done(at)
        assert at.counted(metrics.PUBLISHED) == 3


async def test_where_nobody_listens_it_counts_as_published(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flight, "AGAIN", 0.0)
    async with running() as at:
        at.ingest.hear(message(), message())
        async with asyncio.timeout(60):
            while at.work.pending():
                await at.output.until(1)
                at.answer(b"", b"NATS/1.0 503\r\n\r\n")
                at.output.published.clear()
        assert (at.counted(metrics.PUBLISHED), at.counted(metrics.ERRORS)) == (2, 0)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["Nobody subscribes to the subject of an adapter; its documents are published anyway"]


async def test_what_may_not_be_published_is_lost_and_counted() -> None:
    async with running() as at:
        at.ingest.hear(message(sender="web1"), message(sender="web2"))
        await at.output.until(2)
        at.output.on_denied(b"out.web2", 'Permissions Violation for Publish to "out.web2"')
        at.output.on_denied(b"out.web2", 'Permissions Violation for Publish to "out.web2"')
        at.answer()
        assert (at.work.pending(), at.counted(metrics.PUBLISHED), at.counted(metrics.ERRORS, "output")) == (0, 1, 1)


async def test_the_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = message(body="x" * 1000)
    monkeypatch.setattr(work, "_MOST_BYTES", 3 * len(data))
    monkeypatch.setattr(work, "_BYTES_EACH", 1)
    async with running(queue=1000) as at:
        at.output.up = False
        at.ingest.hear(*[data] * 5)
        assert (at.counted(metrics.RECEIVED, "input"), at.counted(metrics.ERRORS, "input")) == (3, 2)
        at.output.up = True
        await at.output.until(3)
        at.answer()
        await done(at)
        at.ingest.hear(*[data] * 3)
        assert at.counted(metrics.RECEIVED, "input") == 6


async def test_what_is_too_large_is_counted() -> None:
    async with running() as at:
        at.output.most = 300
        at.ingest.hear(message(body="x" * 300), message())
        await at.output.until(1)
        at.answer()
        assert (at.counted(metrics.PUBLISHED), at.counted(metrics.ERRORS, "output"), at.work.pending()) == (1, 1, 0)


async def test_a_connection_that_ends_while_it_publishes() -> None:
    async with running() as at:
        at.ingest.hear(message())
        link, publish = at.output, at.output.publish

        def ends(*_: object) -> None:
            link.up = False
            cast("Any", link).publish = publish
            publish(b"x", b"")

        cast("Any", link).publish = ends
        async with asyncio.timeout(60):
            while link.up:
                await asyncio.sleep(0.001)
        assert at.work.pending() == 1
        link.up = True
        await link.until(1)
        at.answer()
        await done(at)
        assert at.counted(metrics.PUBLISHED) == 1


@given(st.lists(st.binary(max_size=60) | st.sampled_from([message(), message(version=2), message(request=False)])))
def test_whatever_comes_everything_is_counted_once(data: list[bytes]) -> None:
    async def check() -> None:
        async with running(queue=1000) as at:
            at.ingest.hear(*data)
            taken = int(at.counted(metrics.RECEIVED, "input"))
            assert taken + at.counted(metrics.ERRORS, "input") == len(data)
            await at.output.until(taken)
            at.answer()
            assert at.counted(metrics.PUBLISHED) == taken
            at.ingest.hear(message())
            await at.output.until(taken + 1)

    asyncio.run(check())


def test_it_is_opened_before_it_runs() -> None:
    work = AdapterWork(Spec(Key(ADAPTER, "reg"), "b", packed(PLAIN)), Share(), Tally())
    work.close_ingest()
    with pytest.raises(RuntimeError):
        asyncio.run(work.run())
