"""The federation broker as the work of a process."""

from __future__ import annotations

import asyncio
from typing import Any

from choria_broker.background import beside
from choria_broker.companions.metrics import FEDERATION_RECEIVED
from choria_broker.companions.spec import FEDERATION, Key, Share, Spec, packed
from choria_broker.companions.tally import Tally
from choria_broker.federation.work import FederationWork
from choria_broker.settings.companions import Federation, Side
from support.fake_links import FakeLink, FakeLinks
from support.transports import V1_REPLY, V1_REQUEST

INGEST, EGEST = "choria_nats_ingest", "choria_nats_egest"


async def test_both_ways_over_four_connections() -> None:
    settings = Federation(cluster="london", federation=Side(name="federation"), collective=Side(name="collective"))
    spec = Spec(Key(FEDERATION, "london"), "broker1.example.net", packed(settings))
    tally, played = Tally(), FakeLinks()
    links: Any = played
    work = FederationWork(spec, Share(number=1, of=2), tally)
    await work.open(links)
    found: dict[tuple[str, str], FakeLink] = {
        (side, link.name): link for side, links in played.made.items() for link in links
    }
    assert set(found) == {(side, name) for side in ("federation", "collective") for name in (INGEST, EGEST)}
    assert {name: len(link.subscriptions) for (_, name), link in found.items()} == {INGEST: 5, EGEST: 0}
    async with beside(work.run(), "work"):
        found["federation", INGEST].hear(V1_REQUEST)
        found["collective", INGEST].hear(V1_REPLY, V1_REPLY)
        assert work.pending() == 3
        async with asyncio.timeout(60):
            while work.pending():
                await asyncio.sleep(0)
        work.close_ingest()

    assert len(found["collective", EGEST].published) == 2
    assert len(found["federation", EGEST].published) == 2
    assert not any(link.subscriptions for link in found.values())
    assert {labels[1] for labels, _ in tally.told()[FEDERATION_RECEIVED]} == {"1", "3", "5", "7", "9"}
