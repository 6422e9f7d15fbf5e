"""New connections with client tokens at a fixed rate: how long each waits from CONNECT to PONG, and what it costs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

from bench.building import MeasurementError
from bench.load import Login, Outcome, connections, fresh_logins
from bench.results import LeftOut, Line, Pairs
from bench.servers import GO_CHORIA, Server
from bench.workbench import Workbench

_RATES = (500, 400, 300, 200, 100)
_MOST_LATE_MS = 50.0
_LONGEST = 1.1
_TRIAL_SECONDS = 2.0
_SAME = "broker, tokens never seen"


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    """What one load of connections found.

    Attributes:
        p99_ms: milliseconds from CONNECT to PONG, all but the slowest in a hundred.
        cpu: seconds of CPU per connection, all processes of the server.
        last: of that the process that was started last; for the broker, the engine.
    """

    p99_ms: float
    cpu: float
    last: float


@dataclasses.dataclass(frozen=True, slots=True)
class _Samples:
    """Samples taken in turns: tokens never seen, at the broker and at go-choria, and the same once more at both."""

    fresh: list[_Sample] = dataclasses.field(default_factory=list)
    peers: list[_Sample] = dataclasses.field(default_factory=list)
    known: list[_Sample] = dataclasses.field(default_factory=list)
    peers_again: list[_Sample] = dataclasses.field(default_factory=list)


def measure(bench: Workbench) -> list[Line]:
    """Measure tokens never seen, and tokens seen before, against go-choria, and one against the other."""
    with contextlib.ExitStack() as running:
        broker = running.enter_context(bench.site.broker())
        choria = running.enter_context(bench.site.go_choria(bench.choria)) if bench.choria else None
        rate = _possible_rate(bench, broker)
        if not rate:
            return [LeftOut("Connections with client tokens", f"this machine cannot make {_RATES[-1]} per second")]
        samples = _take(bench, broker, choria, rate)
    load = f"{rate} new TLS connections with client tokens per second"
    lines: list[Line] = [LeftOut(f"Against go-choria, {load}", "no choria program: set CHORIA_BIN")]
    if choria:
        lines = _rows(f"tokens never seen, {load}", GO_CHORIA, samples.fresh, samples.peers)
        lines += _rows(f"tokens seen before, {load}", GO_CHORIA, samples.known, samples.peers_again)
    return [*lines, *_rows(f"tokens seen before, {load}", _SAME, samples.known, samples.fresh)]


def _take(bench: Workbench, broker: Server, choria: Server | None, rate: int) -> _Samples:
    count = int(rate * bench.scale.storm_seconds)
    samples = _Samples()
    if choria:
        _sample(bench, choria, fresh_logins(count), rate)
    for _ in range(bench.scale.turns):
        logins = fresh_logins(count)
        samples.fresh.append(_sample(bench, broker, logins, rate))
        if choria:
            samples.peers.append(_sample(bench, choria, logins, rate))
        samples.known.append(_sample(bench, broker, logins, rate))
        if choria:
            samples.peers_again.append(_sample(bench, choria, logins, rate))
    return samples


def _rows(measured: str, peer: str, ours: Sequence[_Sample], peers: Sequence[_Sample]) -> list[Line]:
    waits = Pairs([sample.p99_ms for sample in ours], [sample.p99_ms for sample in peers])
    costs = Pairs([sample.cpu for sample in ours], [sample.cpu for sample in peers])
    engine = Pairs([sample.last for sample in ours], [sample.last for sample in peers])
    return [
        waits.row(f"p99 from CONNECT to PONG: {measured}", peer, lambda milliseconds: f"{milliseconds:.1f} ms"),
        costs.row(f"CPU of the server per connection: {measured}", peer, _written),
        engine.row("of that the engine, without the Python process", peer, _written),
    ]


def _possible_rate(bench: Workbench, broker: Server) -> int:
    """Find the highest rate at which the load keeps to its plan beside the broker, 0 when none does."""
    for rate in _RATES:
        count = int(rate * _TRIAL_SECONDS)
        with (
            contextlib.suppress(MeasurementError),
            connections(bench.connector, bench.site, broker, count, logins=fresh_logins(count), rate=rate) as outcome,
        ):
            if _kept(outcome):
                return rate
    return 0


def _kept(outcome: Outcome) -> bool:
    return outcome.late_p99_ms < _MOST_LATE_MS and outcome.seconds < _TRIAL_SECONDS * _LONGEST


def _sample(bench: Workbench, server: Server, logins: Sequence[Login], rate: int) -> _Sample:
    before = server.cpu()
    with connections(bench.connector, bench.site, server, len(logins), logins=logins, rate=rate) as outcome:
        used = [(late - early) / len(logins) for early, late in zip(before, server.cpu(), strict=True)]
        return _Sample(outcome.answer_p99_ms, sum(used), used[-1])


def _written(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
