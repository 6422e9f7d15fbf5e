"""The books of Choria Streams: what became of each standard stream, and what is wrong with the store."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

import msgspec

from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.streams.recognition import mended, recognise
from choria_broker.streams.report import Report, State
from choria_broker.streams.standard import Plan
from choria_broker.streams.trouble import Mended, Trouble, TroubleKind
from choria_broker.values import replace

_MOST_TROUBLES = 256
"""Different troubles that are remembered, and streams that they are counted by."""

_QUIET = 60.0
"""Seconds in which the same trouble is logged once only."""


_Key = tuple[TroubleKind, str, str, str, str]


class Noted(msgspec.Struct, frozen=True):
    """A trouble, how often it came up, and when last, in Unix seconds."""

    trouble: Trouble
    times: int
    last: float


class StreamCounts(msgspec.Struct):
    """What metrics tell of streams, each by account and stream.

    Attributes:
        reports: the standard streams.
        failures: failed attempts to make or update one.
        last_failures: when the last of these failed, Unix seconds.
        troubles: how often there was trouble with the store, by its class too.
    """

    reports: dict[tuple[str, str], Report] = msgspec.field(default_factory=dict)
    failures: collections.Counter[tuple[str, str]] = msgspec.field(default_factory=collections.Counter)
    last_failures: dict[tuple[str, str], float] = msgspec.field(default_factory=dict)
    troubles: collections.Counter[tuple[str, str, str]] = msgspec.field(default_factory=collections.Counter)


class _Left(msgspec.Struct):
    """What is left to the next program."""

    reports: list[Report] = msgspec.field(default_factory=list)
    failures: collections.Counter[tuple[str, str]] = msgspec.field(default_factory=collections.Counter)
    last_failures: dict[tuple[str, str], float] = msgspec.field(default_factory=dict)
    troubles: collections.Counter[tuple[str, str, str]] = msgspec.field(default_factory=collections.Counter)
    noted: tuple[Noted, ...] = ()
    logged: list[tuple[_Key, float]] = msgspec.field(default_factory=list)


_LEFT = "streams"


class Ledger:
    """Keeps the reports and the troubles.

    Attributes:
        counts: what metrics tell of them.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin with nothing entered.

        Args:
            clock: Unix time in seconds.
        """
        self.counts = StreamCounts()
        self._log = component("streams")
        self._clock = clock
        self._noted: collections.OrderedDict[_Key, Noted] = collections.OrderedDict()
        self._logged: dict[_Key, float] = {}
        self._counted: set[tuple[str, str]] = set()

    @property
    def reports(self) -> tuple[Report, ...]:
        """Every standard stream, account by account, those that are left alone after the others."""
        return tuple(self.counts.reports.values())

    @property
    def troubles(self) -> tuple[Noted, ...]:
        """What is wrong with the store, the latest last."""
        return tuple(self._noted.values())

    @property
    def losses(self) -> tuple[str, ...]:
        """What of streams was lost or given up since the start, each a sentence without its full stop."""
        return tuple(noted.trouble.words for noted in self.troubles if noted.trouble.loses)

    @property
    def off(self) -> str:
        """Why the engine turned Choria Streams off; empty when it did not say."""
        told = (each.trouble for each in self.troubles)
        return next((trouble.words for trouble in told if trouble.kind is TroubleKind.STREAMS_OFF), "")

    def remember(self, succession: Succession) -> None:
        """Tell the next program everything that is entered."""
        counts, logged = self.counts, list(self._logged.items())
        left = _Left(
            list(counts.reports.values()), counts.failures, counts.last_failures, counts.troubles, self.troubles, logged
        )
        succession.tell(_LEFT, left)

    def recall(self, succession: Succession) -> None:
        """Go on with what the program before has entered, but for streams that it kept and this one does not."""
        left = succession.told(_LEFT, _Left)
        if left is None:
            return
        counts = self.counts
        counts.reports.update(
            {key: each for each in left.reports if (key := (each.account, each.stream)) in counts.reports}
        )
        counts.failures, counts.last_failures, counts.troubles = left.failures, left.last_failures, left.troubles
        self._noted = collections.OrderedDict((_key(each.trouble), each) for each in left.noted)
        self._logged = dict(left.logged)
        self._counted = {(account, stream) for account, stream, _ in counts.troubles}

    def open(self, account: str, plan: Plan) -> None:
        """Enter the standard streams of an account."""
        for each in plan.managed:
            self.enter(Report(account, each.name, State.PENDING, replicas=each.replicas))
        for name in plan.left_alone:
            self.enter(Report(account, name, State.NOT_MANAGED))

    def enter(self, report: Report) -> None:
        """Enter what became of a stream."""
        stream = (report.account, report.stream)
        self.counts.reports[stream] = report
        if report.state in {State.RETRYING, State.FAILED}:
            self.counts.failures[stream] += 1
            self.counts.last_failures[stream] = self._clock()

    def hear(self, line: str) -> Trouble | None:
        """Take a line of the engine's log, and note and return what it says about the store."""
        trouble = recognise(line)
        if trouble:
            self.note(trouble)
        elif whole := mended(line):
            self._mend(whole)
        return trouble

    def _mend(self, whole: Mended) -> None:
        for key in [key for key, noted in self._noted.items() if whole.ends(noted.trouble)]:
            del self._noted[key]
        what = f"consumer {whole.consumer} of stream {whole.stream}" if whole.consumer else f"stream {whole.stream}"
        text = f"The damaged description of {what} of account {whole.account} has been repaired"
        self._log.warning(text, account=whole.account, stream=whole.stream)

    def forget(self, trouble: Trouble) -> None:
        """Take back a trouble that is none any more."""
        self._noted.pop(_key(trouble), None)

    def note(self, trouble: Trouble) -> None:
        """Note a trouble: count it, log it in plain words, and mark the standard stream it stops."""
        key = _key(trouble)
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
        self.counts.troubles[*named, trouble.kind.value] += 1

    def _mark(self, trouble: Trouble) -> None:
        """A standard stream that cannot be written any more has failed, whatever it was before."""
        if trouble.kind is TroubleKind.WRITE_FAILED:
            concerned = [self.counts.reports.get((trouble.account, trouble.stream))]
        elif trouble.kind is TroubleKind.STREAMS_OFF:
            concerned = list(self.reports)
        else:
            return
        for report in concerned:
            if report and report.state is not State.NOT_MANAGED:
                failed = replace(report, state=State.FAILED, outcome="", reason=trouble.words)
                self.enter(failed)


def _key(trouble: Trouble) -> _Key:
    return (trouble.kind, trouble.account, trouble.stream, trouble.place, trouble.file)
