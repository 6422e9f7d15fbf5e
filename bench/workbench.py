"""What every measurement is given: the site, the tools there are, and how much to measure."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from bench import ROOT
from bench.servers import Site


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure.

    Attributes:
        turns: samples of each party.
        connections: connections in one sample of their cost.
        small_messages: messages of 128 bytes that each subscriber gets in one sample.
        large_messages: the same with 1 KiB.
        held: connections held open while memory is read, and while metrics are scraped.
        memory_turns: samples of memory; each starts its servers anew.
        decisions: decisions in one sample.
        storm_seconds: length of one sample of connections at a fixed rate.
        storms: clients that come at once, in two sizes.
        long_key_storm: the same with an RSA key of 4096 bits.
        storm_turns: storms of each size; each starts its server anew.
        crossing_small: messages of 128 bytes that cross a link between servers in one sample.
        crossing_large: the same with 1 KiB; less than the 64 MiB after which a server gives up a slow reader.
        published: messages published to a stream in one sample, 500 in flight; fewer where it takes longer.
        sustained_seconds: how long decisions go on at a fixed rate.
        scrapes: scrapes of the metrics in one sample.
        watched_seconds: how long an idle engine is watched in one sample.
        steady_minutes: how long an adapter and a federation broker are watched under a steady flow.
    """

    turns: int
    connections: int
    small_messages: int
    large_messages: int
    held: int
    memory_turns: int
    decisions: int
    storm_seconds: float
    storms: tuple[int, int]
    long_key_storm: int
    storm_turns: int
    crossing_small: int
    crossing_large: int
    published: int
    sustained_seconds: float
    scrapes: int
    watched_seconds: float
    steady_minutes: int


FULL = Scale(
    turns=5,
    connections=1000,
    small_messages=400_000,
    large_messages=200_000,
    held=2000,
    memory_turns=3,
    decisions=1000,
    storm_seconds=4.0,
    storms=(4000, 10_000),
    long_key_storm=1500,
    storm_turns=5,
    crossing_small=150_000,
    crossing_large=60_000,
    published=50_000,
    sustained_seconds=60.0,
    scrapes=200,
    watched_seconds=10.0,
    steady_minutes=10,
)
QUICK = Scale(
    turns=2,
    connections=300,
    small_messages=50_000,
    large_messages=25_000,
    held=500,
    memory_turns=1,
    decisions=200,
    storm_seconds=1.0,
    storms=(1000, 2000),
    long_key_storm=300,
    storm_turns=1,
    crossing_small=30_000,
    crossing_large=15_000,
    published=10_000,
    sustained_seconds=15.0,
    scrapes=30,
    watched_seconds=2.0,
    steady_minutes=2,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Workbench:
    """What every measurement is given.

    Attributes:
        site: certificates and configuration files.
        scale: how much to measure.
        connector: the program that makes connections.
        nats: the nats command line, None when there is none.
        choria: go-choria, None when there is none.
    """

    site: Site
    scale: Scale
    connector: Path
    nats: Path | None
    choria: Path | None


def optional_tool(variable: str, name: str) -> Path | None:
    """Find a program: by an environment variable with its path, on PATH, or where ``make interop`` puts it."""
    places = (os.environ.get(variable), name, ROOT / ".tools" / name)
    found = next((path for place in places if place and (path := shutil.which(place))), None)
    return Path(found).absolute() if found else None
