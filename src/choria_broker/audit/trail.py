"""The audit trail: each decision is counted and kept for a while; log lines about refusals are bounded."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import msgspec

from choria_broker.access.request import ConnectRequest
from choria_broker.access.rules import INTERNAL_ERROR
from choria_broker.access.session import Again
from choria_broker.access.verdict import Verdict
from choria_broker.audit.decided import Decision, cut, decision_of, fields_of, room_of
from choria_broker.audit.denials import Noted
from choria_broker.audit.denied import Denied
from choria_broker.audit.engine_lines import EngineLine, read
from choria_broker.audit.lasting import Lasting
from choria_broker.audit.throttle import Bounds, Counted, RefusalThrottle, Refused
from choria_broker.background import beside
from choria_broker.histogram import Histogram
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.patterns import expression
from choria_broker.values import replace

RECENT = 1024
"""How many decisions are kept in memory."""

_RECENT_ROOM = 4 * 1024 * 1024
"""Bytes they may take together: how much there is to say about one is chosen by peers and by tokens."""

_NUMBER = expression(r"\d+")
_WORDING = 100
_LINK_LINES = 4
"""How many times more lines than about refusals one address gets at INFO: one route alone is several connections."""

_TOO_SLOW = ("timeout", "overflow")
"""Causes of the engine for which a broker that does not keep up is to blame."""

_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.5)
"""Upper bounds of the classes in which the time of decisions is counted, in seconds."""

_MOST_AWAITED = 16_384
"""Decisions that may wait for the engine: several times as many as questions may be open at once."""

_ACCEPTED, _REFUSED = "accepted", "refused"


def _decisions() -> collections.Counter[tuple[str, str]]:
    # Of a counter that begins with its first count there is no increase by that count, which alerts would miss.
    return collections.Counter({(_REFUSED, INTERNAL_ERROR.name): 0})


def _denied() -> collections.Counter[str]:
    return collections.Counter({"publish": 0, "subscribe": 0})


def _engine_refusals() -> collections.Counter[str]:
    return collections.Counter(dict.fromkeys(_TOO_SLOW, 0))


class AuditCounts(msgspec.Struct):
    """Decisions and refusals since the start.

    Attributes:
        decisions: connections decided, by result and the rule that decided.
        engine_refusals: connections the engine refused by itself, by cause.
        denied: subjects that connections may not use, by ``publish`` and ``subscribe``.
        unlogged: refusals that are in the log only as part of a summary.
        latency: time that decisions took.
    """

    decisions: collections.Counter[tuple[str, str]] = msgspec.field(default_factory=_decisions)
    engine_refusals: collections.Counter[str] = msgspec.field(default_factory=_engine_refusals)
    denied: collections.Counter[str] = msgspec.field(default_factory=_denied)
    unlogged: int = 0
    latency: Histogram = msgspec.field(default_factory=lambda: Histogram(_BUCKETS))


class _Left(msgspec.Struct):
    """What is left to the next program."""

    counts: AuditCounts
    recent: list[Decision] = msgspec.field(default_factory=list)
    throttled: list[Counted] = msgspec.field(default_factory=list)
    denied: list[Noted] = msgspec.field(default_factory=list)
    awaited: list[tuple[Decision, bool]] = msgspec.field(default_factory=list)
    lasting: list[Decision] = msgspec.field(default_factory=list)


_LEFT = "audit"


class Audit:
    """Keeps the trail.

    Attributes:
        recent: the latest decisions, oldest first.
        counts: what metrics tell of them.
        denied: tells of subjects that were not allowed, and of slow consumers.
        heard: told of each decision that is recorded.
    """

    def __init__(
        self,
        *,
        asked: bool = True,
        recent: int = RECENT,
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with nothing recorded.

        Args:
            asked: the broker is asked about connections; otherwise the engine decides, and its lines tell of refusals.
            recent: how many decisions to keep.
            bounds: of what is kept and logged about refusals.
            clock: Unix time in seconds.
        """
        self._log = component("access")
        self._asked = asked
        self._clock = clock
        self._refusals = RefusalThrottle(bounds)
        self._complaints = RefusalThrottle(bounds)
        self._unassigned = RefusalThrottle(bounds, place=_wording)
        usual = self._refusals.bounds
        self._events = RefusalThrottle(replace(usual, in_full=usual.in_full * _LINK_LINES))
        self.counts = AuditCounts()
        self.recent: collections.deque[Decision] = collections.deque()
        self.denied = Denied(self._complaints, self.counts.denied, clock)
        self.heard: Callable[[Decision], None] = lambda _: None
        self._most_recent = recent
        self._sizes: collections.deque[int] = collections.deque()
        self._size = 0
        self._awaited: collections.OrderedDict[int, tuple[Decision, bool]] = collections.OrderedDict()
        self._again = Lasting()

    @property
    def _throttles(self) -> tuple[RefusalThrottle, ...]:
        return self._refusals, self._complaints, self._unassigned, self._events

    def remember(self, succession: Succession) -> None:
        """Tell the next program everything that is recorded."""
        throttled = [each.counted for each in self._throttles]
        left = _Left(self.counts, list(self.recent), throttled, self.denied.remember())
        left.awaited, left.lasting = list(self._awaited.values()), self._again.remember()
        succession.tell(_LEFT, left)

    def recall(self, succession: Succession) -> None:
        """Go on with what the program before has recorded."""
        left = succession.told(_LEFT, _Left)
        if left is None:
            return
        for name in AuditCounts.__struct_fields__:
            setattr(self.counts, name, getattr(left.counts, name))
        for decision in left.recent:
            self._keep(decision, room_of(decision))
        for throttle, counted in zip(self._throttles, left.throttled, strict=False):
            throttle.go_on(counted)
        self.denied.recall(left.denied, self.counts.denied)
        for decision, lasting in left.awaited:
            self._await(decision, lasting=lasting)
        for decision in left.lasting:
            self._again.learn(decision, room_of(decision))

    def record(self, request: ConnectRequest, verdict: Verdict, seconds: float) -> Decision:
        """Record one decision of the policy and the seconds it took.

        One that leaves something open waits until the engine has let the connection in.
        """
        decision = decision_of(request, verdict, seconds, self._clock())
        # Whatever was decided about the connection before does not count any more.
        self._awaited.pop(decision.connection_id, None)
        if not verdict.is_final:
            self._await(decision, lasting=verdict.reach is not None)
            return decision
        self.enter(decision, lasting=verdict.reach is not None)
        return decision

    def _await(self, decision: Decision, *, lasting: bool) -> None:
        self._awaited[decision.connection_id] = (decision, lasting)
        if len(self._awaited) > _MOST_AWAITED:
            self._awaited.popitem(last=False)
        # The engine's lines come another way, and may tell of the connection first.
        self.denied.admitted(decision.connection_id, decision.username, decision.rule)

    def admitted(self, connections: Iterable[int], again: Iterable[Again] = ()) -> list[Decision]:
        """Record the decisions about connections that the engine has let in, and return them.

        Args:
            connections: those whose decisions waited for that.
            again: those that were let in by verdicts about others.
        """
        found = []
        for connection in connections:
            decision, lasting = self._awaited.pop(connection, (None, False))
            if decision is not None:
                found.append(decision)
                self.enter(decision, lasting=lasting)
        for each in again:
            decision, size = self._again.decision(each, self._clock())
            found.append(decision)
            self._enter(decision, size)
        return found

    def enter(self, decision: Decision, *, lasting: bool = False) -> None:
        """Record a decision that was made.

        Args:
            decision: the decision.
            lasting: the engine may use its verdict for other connections.
        """
        size = room_of(decision)
        if lasting:
            self._again.learn(decision, size)
        self._enter(decision, size)

    def _enter(self, decision: Decision, size: int) -> None:
        self._keep(decision, size)
        self.counts.decisions[_ACCEPTED if decision.allowed else _REFUSED, decision.rule] += 1
        self.counts.latency.add(decision.seconds)
        self.heard(decision)
        if decision.allowed:
            fields = fields_of(decision)
            self._log.info("Connection accepted", **fields, account=decision.account, identity=cut(decision.username))
        elif self._worth_a_line(decision.address, decision.rule):
            fields = fields_of(decision)
            self._log.warning("Connection refused", **fields, reason=decision.reason, remedy=decision.remedy)

    def take_in(self, decisions: Iterable[Decision], counted: Mapping[tuple[bool, str], int]) -> None:
        """Record what was decided in place of this program.

        Args:
            decisions: in order.
            counted: further decisions, by whether they let in and the rule.
        """
        for (allowed, rule), count in counted.items():
            self.counts.decisions[_ACCEPTED if allowed else _REFUSED, rule] += count
        for decision in decisions:
            self.enter(decision)

    def _keep(self, decision: Decision, size: int) -> None:
        """Keep a decision that takes some bytes, and as many of those before it as there is room for."""
        if decision.allowed:
            self.denied.admitted(decision.connection_id, decision.username, decision.rule)
        self.recent.append(decision)
        self._sizes.append(size)
        self._size += size
        while len(self.recent) > self._most_recent or (self._size > _RECENT_ROOM and len(self.recent) > 1):
            self.recent.popleft()
            self._size -= self._sizes.popleft()

    def engine_refused(self, cause: str, connection_id: int, address: str) -> None:
        """Record one refusal the engine decided by itself."""
        self._awaited.pop(connection_id, None)
        self.counts.engine_refusals[cause] += 1
        if self._worth_a_line(address, f"engine-{cause}"):
            self._log.warning("Connection refused by the engine", cause=cause, cid=connection_id, remote=address)

    def engine_line(self, level: int, text: str) -> str | None:
        """Return what is to be logged of a line of the engine, so that no peer can fill the log through the engine.

        Args:
            level: of the standard ``logging`` module.
            text: the line without its prefix.

        Returns:
            The line without what a peer sent as its user; None when it is not worth logging.
        """
        if level < logging.INFO:
            return text
        line = read(text, asked=self._asked)
        told = self.denied.told_of(line, text, self.find(line.connection) if line.connection else None)
        worth = not told and self._line_is_worth(level, line, text)
        self._sum_up()
        return line.text if worth else None

    def _line_is_worth(self, level: int, line: EngineLine, text: str) -> bool:
        now = self._clock()
        if level < logging.WARNING:
            return line.peer is None or self._events.note(line.peer, "line", now)
        if line.peer is None:
            return self._unassigned.note(text, "line", now)
        if line.decided:
            return False
        if line.refusal:
            self.counts.engine_refusals[line.refusal] += 1
            return self._worth_a_line(line.peer, line.refusal)
        return self._complaints.note(line.peer, line.about, now)

    def find(self, connection_id: int) -> Decision | None:
        """Return the latest decision about a connection, None when it is not among the recent ones."""
        awaited, _ = self._awaited.get(connection_id, (None, False))
        return awaited or next((each for each in reversed(self.recent) if each.connection_id == connection_id), None)

    def decided(self, *, allowed: bool) -> Mapping[str, int]:
        """Return how many decisions each rule made, those that accepted or those that refused."""
        wanted = _ACCEPTED if allowed else _REFUSED
        return {rule: count for (result, rule), count in self.counts.decisions.items() if result == wanted and count}

    def recently_refused(self, count: int) -> tuple[Refused, ...]:
        """Return the addresses refused most recently, the latest first; for IPv6 their /64 networks."""
        return self._refusals.most_refused(count)

    @contextlib.asynccontextmanager
    async def summing_up(self, leaving: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
        """Log, as long as the context lasts, a summary of the refusals that got no line of their own.

        Args:
            leaving: tells on exit whether another program goes on, and so has what is not told yet.
        """
        async with beside(self._sum_up_regularly(), "audit summaries"):
            try:
                yield
            finally:
                self._sum_up(final=not leaving())

    async def _sum_up_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._refusals.bounds.window)
            self._sum_up()
            self._again.forget_old(self._clock())

    def _worth_a_line(self, address: str, rule: str) -> bool:
        worth = self._refusals.note(address, rule, self._clock())
        self._sum_up()
        if not worth:
            self.counts.unlogged += 1
        return worth

    def _sum_up(self, *, final: bool = False) -> None:
        for level, message, about, refusals in (
            (logging.WARNING, "Further connections refused", "remote", self._refusals),
            (logging.WARNING, "Further warnings of the engine", "remote", self._complaints),
            (logging.WARNING, "Further warnings of the engine", "wording", self._unassigned),
            (logging.INFO, "Further log lines of the engine", "remote", self._events),
        ):
            for summary in refusals.summaries(self._clock(), final=final):
                self._log.log(
                    level,
                    message,
                    **{about: summary.address},
                    addresses=summary.addresses,
                    left_out=summary.refusals,
                    within=f"{refusals.bounds.window:.0f}s",
                    rules=", ".join(f"{rule}={count}" for rule, count in sorted(summary.rules.items())),
                )


def _wording(text: str) -> str:
    """Name what lines about no single connection have in common: how they begin, numbers aside."""
    # The lines of a Go stack trace tell places in files, which are different things.
    return text[:_WORDING] if text.startswith("\t") else _NUMBER.sub("N", text[:_WORDING])
