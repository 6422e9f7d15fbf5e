"""The last hour in steps, for graphs: what was read and counted anyway is kept, and nothing is asked for it.

What counts up is kept as it was read, and made into rates when somebody looks. So a step that was missed costs nothing,
and a count that begins anew, as after a restart of the engine, leaves a gap and no wrong number.
"""

from __future__ import annotations

import array
import enum
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

STEPS = 360
"""Steps that are kept: an hour at ten seconds each."""

_BRIDGED = 3
"""Steps that may lie between two looks which belong together: looks are never quite a step apart."""

_UNKNOWN = math.nan
_DOUBLE = "d"


class Kept(enum.StrEnum):
    """What is kept of each step."""

    READ_AT = enum.auto()
    """When the engine's pages were read, Unix seconds."""
    CONNECTIONS = enum.auto()
    MESSAGES_IN = enum.auto()
    MESSAGES_OUT = enum.auto()
    BYTES_IN = enum.auto()
    BYTES_OUT = enum.auto()
    SLOW_CONSUMERS = enum.auto()
    STORE = enum.auto()
    """Bytes of the store of streams that are used."""
    COUNTED_AT = enum.auto()
    """When the broker counted its own, Unix seconds."""
    LOGINS = enum.auto()
    REFUSALS = enum.auto()
    DECISIONS = enum.auto()
    DECIDING = enum.auto()
    """Seconds that all decisions took together."""
    BROKER_CPU = enum.auto()
    """Seconds of a core."""
    ENGINE_CPU = enum.auto()
    BROKER_MEMORY = enum.auto()
    ENGINE_MEMORY = enum.auto()
    NODES = enum.auto()
    """Nodes that wait for provisioning."""
    NODE_LOGINS = enum.auto()


class Unit(enum.StrEnum):
    """Units of what is drawn."""

    NUMBER = ""
    RATE = "per second"
    MINUTE = "per minute"
    BYTES = "bytes"
    BYTE_RATE = "bytes per second"
    CORE = "% of a core"
    MILLISECONDS = "ms"


class Series(msgspec.Struct, frozen=True):
    """One line of a graph.

    Attributes:
        name: of the series, as it is told to programs.
        title: for people.
        unit: of its values.
    """

    name: str
    title: str
    unit: Unit


class Drawn(msgspec.Struct, frozen=True):
    """The hour as lines.

    Attributes:
        step: seconds between two points.
        times: of the points, Unix seconds, ascending.
        values: of each series as many as there are times, None where nothing is known.
    """

    step: float
    times: tuple[float, ...]
    values: Mapping[Series, tuple[float | None, ...]]

    def after(self, time: float) -> Drawn:
        """Return only the points after a time."""
        first = next((place for place, each in enumerate(self.times) if each > time), len(self.times))
        return Drawn(self.step, self.times[first:], {key: each[first:] for key, each in self.values.items()})

    def of(self, name: str) -> tuple[float | None, ...]:
        """Return the values of a series by its name."""
        return next((values for series, values in self.values.items() if series.name == name), ())


class Left(msgspec.Struct, frozen=True):
    """A history as it is left to the next program.

    Attributes:
        step: seconds of a step.
        newest: number of the newest step.
        rings: what is kept, as bytes of doubles.
    """

    step: float
    newest: int
    rings: dict[str, bytes]


class History:
    """Keeps what was seen in the last steps.

    Args:
        step: seconds of a step.
        steps: how many are kept.
    """

    def __init__(self, step: float, steps: int = STEPS) -> None:
        """Begin with nothing known."""
        self._step = step
        # A rate needs the step before its own.
        self._size = steps + 1
        self._rings: dict[Kept, array.array[float]] = {}
        self._newest = 0
        self._drawn: Drawn | None = None
        self._clear()

    @property
    def bytes(self) -> int:
        """Bytes that are kept; it never grows."""
        return sum(each.buffer_info()[1] * each.itemsize for each in self._rings.values())

    @property
    def left(self) -> Left:
        """What the next program goes on with."""
        return Left(self._step, self._newest, {key.value: ring.tobytes() for key, ring in self._rings.items()})

    def go_on(self, left: Left) -> None:
        """Go on with what the program before has seen; of another form, it is forgotten."""
        if left.step != self._step:
            return
        for key, ring in self._rings.items():
            found = left.rings.get(key.value, b"")
            if len(found) == len(ring) * ring.itemsize:
                self._rings[key] = array.array(_DOUBLE, found)
        self._newest, self._drawn = left.newest, None

    def take(self, time: float, at: Kept, seen: Mapping[Kept, float | None]) -> None:
        """Keep what was seen; of several looks in one step the last one counts.

        Args:
            time: when it was seen, Unix seconds. When the clock was set back, the history begins anew.
            at: where that time is kept.
            seen: the values; None is not known.
        """
        step = math.floor(time / self._step)
        if step < self._newest - 1 or step - self._newest >= self._size:
            self._clear()
            self._newest = step
        for passed in range(self._newest + 1, step + 1):
            for ring in self._rings.values():
                ring[passed % self._size] = _UNKNOWN
        self._newest, self._drawn = max(self._newest, step), None
        for key, value in {**seen, at: time}.items():
            self._rings[key][step % self._size] = _UNKNOWN if value is None else value

    def drawn(self) -> Drawn:
        """Make lines of it, from the first step of which anything is known."""
        if self._drawn is None:
            self._drawn = self._draw()
        return self._drawn

    def _clear(self) -> None:
        self._rings = {key: array.array(_DOUBLE, [_UNKNOWN] * self._size) for key in Kept}

    def _draw(self) -> Drawn:
        first = self._newest - self._size + 1
        steps = range(first, self._newest + 1)
        kept = {key: [ring[step % self._size] for step in steps] for key, ring in self._rings.items()}
        lines = {series: tuple(_rounded(make(kept)))[1:] for series, make in _LINES.items()}
        known = (next((at for at, value in enumerate(each) if value is not None), None) for each in lines.values())
        begin = min((each for each in known if each is not None), default=self._size - 1)
        times = tuple((first + 1 + at) * self._step for at in range(begin, self._size - 1))
        return Drawn(self._step, times, {series: line[begin:] for series, line in lines.items()})


_Rings = Mapping[Kept, Sequence[float]]
_Make = Callable[[_Rings], Iterator[float]]


def _level(key: Kept) -> _Make:
    """Draw what goes up and down; a step or two without a look are as the one before."""

    def make(kept: _Rings) -> Iterator[float]:
        last, since = _UNKNOWN, 0
        for value in kept[key]:
            since = 0 if not math.isnan(value) else since + 1
            last = value if since == 0 else last if since < _BRIDGED else _UNKNOWN
            yield last

    return make


def _grown(of: Kept, over: Kept, factor: float = 1.0) -> _Make:
    """Draw by how much one thing has grown while another grew by one."""

    def make(kept: _Rings) -> Iterator[float]:
        found = [_UNKNOWN] * len(kept[of])
        before: int | None = None
        for at, (value, measure) in enumerate(zip(kept[of], kept[over], strict=True)):
            if math.isnan(value) or math.isnan(measure):
                continue
            if before is not None and at - before <= _BRIDGED:
                grown, by = value - kept[of][before], measure - kept[over][before]
                if grown >= 0 and by > 0:
                    found[before + 1 : at + 1] = [factor * grown / by] * (at - before)
            before = at
        yield from found

    return make


def _rounded(values: Iterator[float]) -> Iterator[float | None]:
    """Keep as much of numbers as can be seen in a graph."""
    for value in values:
        yield None if math.isnan(value) else float(f"{value:.4g}")


_PERCENT, _MILLI, _MINUTE = 100.0, 1000.0, 60.0

_LINES: Mapping[Series, _Make] = {
    Series("connections", "Connections", Unit.NUMBER): _level(Kept.CONNECTIONS),
    Series("logins", "Logins", Unit.RATE): _grown(Kept.LOGINS, Kept.COUNTED_AT),
    Series("refusals", "Refusals", Unit.RATE): _grown(Kept.REFUSALS, Kept.COUNTED_AT),
    Series("messages_in", "Messages in", Unit.RATE): _grown(Kept.MESSAGES_IN, Kept.READ_AT),
    Series("messages_out", "Messages out", Unit.RATE): _grown(Kept.MESSAGES_OUT, Kept.READ_AT),
    Series("bytes_in", "Bytes in", Unit.BYTE_RATE): _grown(Kept.BYTES_IN, Kept.READ_AT),
    Series("bytes_out", "Bytes out", Unit.BYTE_RATE): _grown(Kept.BYTES_OUT, Kept.READ_AT),
    Series("broker_cpu", "CPU of the broker", Unit.CORE): _grown(Kept.BROKER_CPU, Kept.COUNTED_AT, _PERCENT),
    Series("engine_cpu", "CPU of the engine", Unit.CORE): _grown(Kept.ENGINE_CPU, Kept.COUNTED_AT, _PERCENT),
    Series("broker_memory", "Memory of the broker", Unit.BYTES): _level(Kept.BROKER_MEMORY),
    Series("engine_memory", "Memory of the engine", Unit.BYTES): _level(Kept.ENGINE_MEMORY),
    Series("slow_consumers", "Slow consumers", Unit.MINUTE): _grown(Kept.SLOW_CONSUMERS, Kept.READ_AT, _MINUTE),
    Series("decision", "Time of a decision", Unit.MILLISECONDS): _grown(Kept.DECIDING, Kept.DECISIONS, _MILLI),
    Series("store", "Store of streams", Unit.BYTES): _level(Kept.STORE),
    Series("nodes", "Nodes that wait for provisioning", Unit.NUMBER): _level(Kept.NODES),
    Series("node_logins", "Logins of such nodes", Unit.MINUTE): _grown(Kept.NODE_LOGINS, Kept.COUNTED_AT, _MINUTE),
}

SERIES = tuple(_LINES)
"""Everything that is drawn."""
