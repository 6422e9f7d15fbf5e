"""What a check for a monitoring system came to: a level, what was found, and numbers with their thresholds.

The four formats are those of ``nats server check``, field by field, so that what reads that command reads this one.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from choria_broker.wording import plain, table

NAMESPACE = "nats_server_check"
"""What the names of metrics begin with, as with ``nats server check``."""

_SECONDS = "s"


class Level(enum.StrEnum):
    """How it is, in the words of Nagios."""

    OK = "OK"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
    UNKNOWN = "UNKNOWN"
    """The check could not be made."""

    @property
    def status(self) -> int:
        """Exit status of the command: 0, 1, 2 or 3."""
        return tuple(Level).index(self)


class Note(msgspec.Struct, frozen=True):
    """One thing that was found.

    Attributes:
        level: how it is.
        words: what it is, without a full stop.
    """

    level: Level
    words: str


class Measure(msgspec.Struct, frozen=True):
    """One number.

    Attributes:
        name: of the number, as part of the name of a metric.
        value: the number.
        meaning: the same in words.
        unit: ``s`` for seconds, ``B`` for bytes, ``%``, or empty.
        warning, critical: where these levels begin; 0 without a threshold.
    """

    name: str
    value: float
    meaning: str
    unit: str = ""
    warning: float = 0.0
    critical: float = 0.0


Found = Iterable[Note | Measure]
"""What a check tells, in the order in which it is shown."""


class Limits(msgspec.Struct, frozen=True):
    """Where levels begin; None: they do not.

    Attributes:
        warning, critical: a number of whatever is compared. With ``critical`` below ``warning``, few are a problem.
    """

    warning: float | None = None
    critical: float | None = None

    def level(self, value: float) -> Level:
        """Tell the level of a value."""
        inverted = self.warning is not None and self.critical is not None and self.critical < self.warning
        for level, limit in ((Level.CRITICAL, self.critical), (Level.WARNING, self.warning)):
            if limit is not None and (value <= limit if inverted else value >= limit):
                return level
        return Level.OK

    def low(self, value: float) -> Level:
        """Tell the level of a value that is to be large."""
        for level, limit in ((Level.CRITICAL, self.critical), (Level.WARNING, self.warning)):
            if limit is not None and value <= limit:
                return level
        return Level.OK

    def measure(self, name: str, value: float, meaning: str, unit: str = "") -> Measure:
        """Make the number with its thresholds."""
        return Measure(name, value, meaning, unit, self.warning or 0.0, self.critical or 0.0)

    @property
    def given(self) -> bool:
        """There is one."""
        return self.warning is not None or self.critical is not None


class Check(msgspec.Struct, frozen=True):
    """The whole of a check.

    Attributes:
        kind: which check, as part of the names of metrics.
        name: what was checked.
        notes: what was found.
        measures: numbers.
    """

    kind: str
    name: str
    notes: tuple[Note, ...]
    measures: tuple[Measure, ...] = ()

    @classmethod
    def of(cls, kind: str, name: str, found: Found) -> Check:
        """Sort what was found."""
        items = tuple(found)
        return cls(
            kind,
            name,
            tuple(each for each in items if isinstance(each, Note)),
            tuple(each for each in items if isinstance(each, Measure)),
        )

    @property
    def level(self) -> Level:
        """The worst that was found; what could not be checked is worse than what is well, and no alarm."""
        found = {each.level for each in self.notes}
        for level in (Level.CRITICAL, Level.WARNING, Level.UNKNOWN):
            if level in found:
                return level
        return Level.OK

    def words(self, level: Level) -> tuple[str, ...]:
        """What was found of one level."""
        return tuple(plain(each.words) for each in self.notes if each.level is level)


def nagios(check: Check, _namespace: str = NAMESPACE) -> Iterator[str]:
    """Write one line for Nagios and its relatives, with performance data behind a bar."""
    found = [
        f"{mark}:{words}"
        for mark, level in (
            ("Crit", Level.CRITICAL),
            ("Warn", Level.WARNING),
            ("Unknown", Level.UNKNOWN),
            ("OK", Level.OK),
        )
        for words in check.words(level)
    ]
    # A bar would begin performance data.
    line = " ".join((check.level.value, plain(check.name), *found)).replace("|", "/")
    yield f"{line} | {' '.join(map(_performance, check.measures))}" if check.measures else line


def document(check: Check) -> Mapping[str, object]:
    """Make one JSON object."""
    shown: dict[str, object] = {
        "status": check.level.value,
        "check_suite": check.kind,
        "check_name": check.name,
    }
    for key, level in (
        ("warning", Level.WARNING),
        ("critical", Level.CRITICAL),
        ("unknown", Level.UNKNOWN),
        ("ok", Level.OK),
    ):
        if words := check.words(level):
            shown[key] = words
    shown["perf_data"] = [
        {"name": each.name, "value": each.value, "warning": each.warning, "critical": each.critical}
        | ({"unit": each.unit} if each.unit else {})
        for each in check.measures
    ]
    return shown


def prometheus(check: Check, namespace: str = NAMESPACE) -> Iterator[str]:
    """Write gauges in Prometheus' text format, such as a file for the node exporter has."""
    item = _label(check.name)
    for each in sorted(check.measures, key=lambda measure: measure.name):
        name = _metric(namespace, check.kind, each.name)
        yield from (f"# HELP {name} {each.meaning}", f"# TYPE {name} gauge")
        yield f'{name}{{item="{item}"}} {each.value:.15g}'
    name = _metric(namespace, check.kind, "status_code")
    yield from (f"# HELP {name} Nagios compatible status code for {check.kind}", f"# TYPE {name} gauge")
    yield f'{name}{{item="{item}",status="{check.level}"}} {check.level.status}'


def text(check: Check, _namespace: str = NAMESPACE) -> Iterator[str]:
    """Write tables for people."""
    yield f"{plain(check.name)}: {check.level}"
    notes = [
        (level.capitalize() if level is not Level.OK else level.value, words)
        for level in (Level.OK, Level.UNKNOWN, Level.WARNING, Level.CRITICAL)
        for words in check.words(level)
    ]
    if notes:
        yield ""
        yield from table((("STATUS", "MESSAGE"), *notes))
    if check.measures:
        rows = map(_row, check.measures)
        yield ""
        yield from table((("METRIC", "VALUE", "UNIT", "WARNING", "CRITICAL", "MEANING"), *rows))


FORMATS: Mapping[str, Callable[[Check, str], Iterator[str]]] = {
    "nagios": nagios,
    "prometheus": prometheus,
    "text": text,
}
"""The formats that are lines; ``json`` is a document."""


def _performance(measure: Measure) -> str:
    shown = f"{measure.name}={_number(measure, measure.value)}{measure.unit}"
    if measure.warning:
        shown += f";{_number(measure, measure.warning)}"
    elif measure.critical:
        shown += ";"
    return f"{shown};{_number(measure, measure.critical)}" if measure.critical else shown


def _row(measure: Measure) -> tuple[str, ...]:
    warning, critical = (_number(measure, each) if each else "" for each in (measure.warning, measure.critical))
    return measure.name, _number(measure, measure.value), measure.unit, warning, critical, measure.meaning


def _number(measure: Measure, value: float) -> str:
    return f"{value:.4f}" if measure.unit == _SECONDS else f"{value:.0f}"


def _metric(*parts: str) -> str:
    return re.sub("[^A-Za-z0-9_:]", "_", "_".join(filter(None, parts)))


def _label(name: str) -> str:
    return plain(name).replace("\\", "\\\\").replace('"', ".")
