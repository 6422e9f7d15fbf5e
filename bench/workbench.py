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
        held: connections held open while memory is read.
        memory_turns: samples of memory; each starts its servers anew.
        decisions: decisions in one sample.
        storm_seconds: length of one sample of connections at a fixed rate.
    """

    turns: int
    connections: int
    small_messages: int
    large_messages: int
    held: int
    memory_turns: int
    decisions: int
    storm_seconds: float


FULL = Scale(
    turns=5,
    connections=1000,
    small_messages=400_000,
    large_messages=200_000,
    held=2000,
    memory_turns=3,
    decisions=1000,
    storm_seconds=4.0,
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
