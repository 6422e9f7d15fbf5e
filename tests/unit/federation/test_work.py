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
from support.played_links import PlayedLinks
from support.transports import V1_REPLY, V1_REQUEST

INGEST, EGEST = "choria_nats_ingest", "choria_nats_egest"


async def test_both_ways_over_four_connections() -> None:
    settings = Federation(cluster="london", federation=Side(name="federation"), collective=Side(name="collective"))
    spec = Spec(Key(FEDERATION, "london"), "broker1.example.net", packed(settings))
    tally, played = Tally(), PlayedLinks()
    links: Any = played
    work = FederationWork(spec, Share(number=1, of=2), tally)
    await work.open(links)
    assert set(played.made) == {(side, name) for side in ("federation", "collective") for name in (INGEST, EGEST)}
    assert {link.members for (_, name), link in played.made.items() if name == INGEST} == {5}
    async with beside(work.run(), "work"):
        played.made["federation", INGEST].hear(V1_REQUEST)
        played.made["collective", INGEST].hear(V1_REPLY, V1_REPLY)
        assert work.pending() == 3
        async with asyncio.timeout(60):
            while work.pending():
                await asyncio.sleep(0)
        work.close_ingest()

    assert len(played.made["collective", EGEST].published) == 2
    assert len(played.made["federation", EGEST].published) == 2
    assert {name for (_, name), link in played.made.items() if link.closed} == {INGEST}
    assert {labels[1] for labels, _ in tally.told()[FEDERATION_RECEIVED]} == {"1", "3", "5", "7", "9"}
