"""What a measurement found: pairs of samples, rows made of them, and the table of all rows."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

_S = TypeVar("_S")

_HEADINGS = ("Measured", "Broker", "Peer", "Broker / peer", "Aim")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        measured: what, in a few words with the load.
        ours: the broker's median with its unit, for context.
        peer: the peer's name and median, for context.
        ratio: ours divided by the peer's, with its spread.
        aim: what was hoped for, empty for nothing.
    """

    measured: str
    ours: str
    peer: str
    ratio: str
    aim: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it."""
        return (self.measured, self.ours, self.peer, self.ratio, self.aim)


@dataclasses.dataclass(frozen=True, slots=True)
class LeftOut:
    """A line of the table that could not be measured here.

    Attributes:
        measured: what.
        why: what is missing.
    """

    measured: str
    why: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it."""
        return (self.measured, "left out", self.why, "", "")


Line = Row | LeftOut


@dataclasses.dataclass(frozen=True, slots=True)
class Pairs:
    """Samples of the broker and of its peer, taken in turns.

    Attributes:
        ours: the broker's.
        peers: the peer's, in the same order.
    """

    ours: Sequence[float]
    peers: Sequence[float]

    def row(self, measured: str, peer: str, write: Callable[[float], str], aim: str = "") -> Row:
        """Make a row: each sample is divided by the peer's of its turn, and the ratios have a median and a spread.

        Args:
            measured: what was measured.
            peer: the peer's name.
            write: puts a number into words, with its unit.
            aim: what was hoped for.
        """
        return Row(
            measured,
            write(statistics.median(self.ours)),
            f"{peer}: {write(statistics.median(self.peers))}",
            self._ratio(),
            aim,
        )

    def _ratio(self) -> str:
        if not all(self.peers):
            return "none: the peer has a 0"
        ratios = [one / other for one, other in zip(self.ours, self.peers, strict=True)]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def in_turns(turns: int, *parties: Callable[[], _S]) -> list[list[_S]]:
    """Take samples of several parties in turns, A B A B, so that what else the machine does falls on all alike.

    One of each beforehand does not count: it warms everything up.

    Args:
        turns: samples of each.
        parties: each takes one sample.

    Returns:
        The samples of each party.
    """
    for sample in parties:
        sample()
    rounds = [[sample() for sample in parties] for _ in range(turns)]
    return [list(samples) for samples in zip(*rounds, strict=True)]


def alternate(turns: int, ours: Callable[[], float], peers: Callable[[], float]) -> Pairs:
    """Take samples of the broker and of one peer in turns, after a warm-up."""
    return Pairs(*in_turns(turns, ours, peers))


def plain_table(lines: Sequence[Line]) -> str:
    """Write the table for a terminal."""
    rows = [_HEADINGS, *(line.cells for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown_table(lines: Sequence[Line]) -> str:
    """Write the table for a page of the manual."""
    rows = [_HEADINGS, tuple("---" for _ in _HEADINGS), *(line.cells for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
