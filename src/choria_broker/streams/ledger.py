"""The books of Choria Streams: what became of each standard stream, and what is wrong with the store."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from choria_broker.log import component
from choria_broker.streams.report import Report, State
from choria_broker.streams.standard import Plan
from choria_broker.streams.trouble import Kind, Trouble, recognise

_MOST_TROUBLES = 256
"""Different troubles that are remembered, and streams that they are counted by."""

_QUIET = 60.0
"""Seconds in which the same trouble is logged once only."""


@dataclasses.dataclass(frozen=True, slots=True)
class Noted:
    """A trouble, how often it came up, and when last, in Unix seconds."""

    trouble: Trouble
    times: int
    last: float


class Ledger:
    """Keeps the reports and the troubles, as metrics too."""

    def __init__(self, registry: CollectorRegistry, identity: str, clock: Callable[[], float] = time.time) -> None:
        """Register the metrics.

        Args:
            registry: where the metrics are registered.
            identity: label of every metric.
            clock: Unix time in seconds.
        """
        self._log = component("streams")
        self._identity = identity
        self._clock = clock
        self._reports: dict[tuple[str, str], Report] = {}
        self._noted: collections.OrderedDict[tuple[Kind, str, str], Noted] = collections.OrderedDict()
        self._logged: dict[tuple[Kind, str, str], float] = {}
        self._counted: set[tuple[str, str]] = set()
        stream = ("identity", "account", "stream")
        self._states = Gauge(
            "choria_broker_stream_state",
            "1 for the state a standard stream is in, 0 for the others.",
            (*stream, "state"),
            registry=registry,
        )
        self._failures = Counter(
            "choria_broker_stream_failures",
            "Failed attempts to make or update a standard stream.",
            stream,
            registry=registry,
        )
        self._last_failure = Gauge(
            "choria_broker_stream_last_failure_seconds",
            "When the last such attempt failed, in Unix seconds.",
            stream,
            registry=registry,
        )
        self._troubles = Counter(
            "choria_broker_stream_troubles",
            "Times the engine's log or its files told of trouble with the store, by class.",
            (*stream, "trouble"),
            registry=registry,
        )

    @property
    def reports(self) -> tuple[Report, ...]:
        """Every standard stream, account by account, those that are left alone after the others."""
        return tuple(self._reports.values())

    @property
    def troubles(self) -> tuple[Noted, ...]:
        """What is wrong with the store, the latest last."""
        return tuple(self._noted.values())

    def open(self, account: str, plan: Plan) -> None:
        """Enter the standard streams of an account."""
        for each in plan.managed:
            self.enter(Report(account, each.name, State.PENDING, replicas=each.replicas))
        for name in plan.left_alone:
            self.enter(Report(account, name, State.NOT_MANAGED))

    def enter(self, report: Report) -> None:
        """Enter what became of a stream."""
        self._reports[report.account, report.stream] = report
        for state in State:
            labels = (self._identity, report.account, report.stream, state.value)
            self._states.labels(*labels).set(state is report.state)
        if report.state in {State.RETRYING, State.FAILED}:
            stream = (self._identity, report.account, report.stream)
            self._failures.labels(*stream).inc()
            self._last_failure.labels(*stream).set(self._clock())

    def hear(self, line: str) -> None:
        """Take a line of the engine's log, and note what it says about the store."""
        trouble = recognise(line)
        if trouble:
            self.note(trouble)

    def note(self, trouble: Trouble) -> None:
        """Note a trouble: count it, log it in plain words, and mark the standard stream it stops."""
        key = (trouble.kind, trouble.account, trouble.stream)
        known, now = self._noted.pop(key, None), self._clock()
        if known is None and len(self._noted) >= _MOST_TROUBLES:
            self._logged.pop(self._noted.popitem(last=False)[0], None)
        self._noted[key] = Noted(trouble, known.times + 1 if known else 1, now)
        self._count(trouble)
        if now - self._logged.get(key, -_QUIET) >= _QUIET:
            self._logged[key] = now
            fields = {name: value for name in ("account", "stream") if (value := getattr(trouble, name))}
            self._log.log(trouble.level, trouble.words, remedy=trouble.remedy, trouble=trouble.kind.value, **fields)
        self._mark(trouble)

    def _count(self, trouble: Trouble) -> None:
        """Count by stream as long as there are few; streams of users have any number of names."""
        named = (trouble.account, trouble.stream)
        if named not in self._counted and len(self._counted) >= _MOST_TROUBLES:
            named = ("", "")
        self._counted.add(named)
        self._troubles.labels(self._identity, *named, trouble.kind.value).inc()

    def _mark(self, trouble: Trouble) -> None:
        """A standard stream that cannot be written any more has failed, whatever it was before."""
        if trouble.kind is Kind.WRITE_FAILED:
            concerned = [self._reports.get((trouble.account, trouble.stream))]
        elif trouble.kind is Kind.STREAMS_OFF:
            concerned = list(self._reports.values())
        else:
            return
        for report in concerned:
            if report and report.state is not State.NOT_MANAGED:
                failed = dataclasses.replace(report, state=State.FAILED, outcome="", reason=trouble.words)
                self.enter(failed)
