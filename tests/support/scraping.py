"""Metrics as a scraper reads them from the statistics port of a running broker."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable

import aiohttp

from choria_broker.broker import NetworkBroker
from support.topology import DEADLINE, Node

OFTEN = 0.05
"""Seconds between two readings of the engine, where a test waits for them."""

SELDOM = 3600.0
"""The same where no further one is to come."""


@dataclasses.dataclass(frozen=True)
class Scrape:
    """A page of metrics.

    Attributes:
        order: families as they come.
        kinds: type by family.
        samples: value by name and labels.
    """

    order: list[str]
    kinds: dict[str, str]
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, /, **labels: str) -> float | None:
        """Return the value of the sample that has these labels, among others; None without such a sample."""
        found = [value for (each, own), value in self.samples.items() if each == name and labels.items() <= set(own)]
        assert len(found) <= 1, f"{name} {labels} is not one sample"
        return found[0] if found else None

    def labels(self, family: str) -> set[str]:
        """Return the names of the labels of a family, those of its type aside."""
        ends = ("", "_bucket", "_sum", "_count") if self.kinds[family] in {"histogram", "summary"} else ("",)
        own = [set(dict(labels)) for name, labels in self.samples if name in {family + end for end in ends}]
        (names,) = {frozenset(names - {"le"}) for names in own}
        return set(names)

    def network(self) -> set[str]:
        """Return the names of what was read from the engine."""
        return {name for name in self.order if name.startswith("choria_network_")}


def parsed(text: str) -> Scrape:
    order, kinds, samples = [], {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            order.append(name)
            kinds[name] = kind
        elif not line.startswith("#"):
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            assert match, line
            labels = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            assert (match[1], labels) not in samples, f"{line} is there twice"
            samples[match[1], labels] = float(match[3])
    assert len(order) == len(kinds), "a family is there twice"
    return Scrape(order, kinds, samples)


async def scraped(node: Node, path: str = "/choria/prometheus") -> Scrape:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session,
        session.get(f"http://127.0.0.1:{node.statistics}{path}") as answer,
    ):
        assert answer.status == 200
        return parsed(await answer.text())


async def becomes(node: Node, wanted: Callable[[Scrape], bool]) -> Scrape:
    """Scrape until a page is as wanted."""
    last = await scraped(node)
    try:
        async with asyncio.timeout(DEADLINE):
            while not wanted(last):
                await asyncio.sleep(OFTEN)
                last = await scraped(node)
    except TimeoutError:
        raise AssertionError(f"the metrics of {node.identity} do not become what is wanted: {last.samples}") from None
    return last


def polled(made: NetworkBroker, interval: float = OFTEN) -> NetworkBroker:
    """Make a broker anew from the settings of another, with an interval of its own."""
    return NetworkBroker(made.settings, poll_interval=interval)
