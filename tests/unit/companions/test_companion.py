"""One companion: what is said of it, how long one waits for it, and how many processes start at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from choria_broker.companions.channel import Report
from choria_broker.companions.companion import Companion, Record, Starts
from choria_broker.companions.process import CompanionProcess
from choria_broker.companions.reports import SideReport, State
from choria_broker.companions.spec import ADAPTER, Key, Spec

BROKEN = Spec(Key(ADAPTER, "reg"), "b", b"\xc1")
"""Its process cannot read what it is to be."""


class Process(CompanionProcess):
    """One that only tells how it is."""

    def __init__(self, **sides: SideReport) -> None:
        self.pid = 7
        self.report = Report(sides, {}) if sides else None

    def stop(self, patience: float) -> None:
        """It has nothing in hand."""


def companion(**processes: Process) -> Companion:
    made = Companion(BROKEN, lambda: None, Record(), Starts(1))
    made._processes = dict(enumerate(processes.values()))
    return made


UP, DOWN = SideReport(1, 1, ("nats://a:1",)), SideReport(1, 0, (), "a:1: connection refused")


def test_states() -> None:
    assert companion().report.state == State.STARTING
    assert companion(one=Process()).report.state == State.STARTING
    assert companion(one=Process(ingest=SideReport(1, 0))).report.state == State.STARTING
    running = companion(one=Process(ingest=UP, output=UP)).report
    assert (running.state, running.processes, running.sentence) == (State.RUNNING, (7,), "adapter reg runs")
    waiting = companion(one=Process(ingest=UP, output=DOWN)).report
    assert waiting.state == State.WAITING
    assert waiting.sentence == "adapter reg is not connected to its output side: a:1: connection refused"
    ended = companion()
    ended._problem = "signal 9"
    assert ended.report.state == State.RESTARTING
    ended._given_up.add(0)
    assert ended.report.state == State.GIVEN_UP
    ended.stop(1)
    assert ended.report.state == State.STOPPING


async def test_one_waits_for_a_companion_until_it_is_connected_everywhere() -> None:
    never = companion(one=Process(ingest=UP, output=DOWN))
    await never.connected(0.01)
    up = companion(one=Process(ingest=UP, output=UP))
    await up.connected(3600)
    never.stop(1)
    await never.connected(3600)


async def test_few_processes_start_at_a_time() -> None:
    starts, never, stopping = Starts(2), asyncio.Event(), asyncio.Event()
    places: list[Callable[[], None]] = []

    async def start() -> None:
        async with starts.place(never) as leave:
            places.append(leave)
            await stopping.wait()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(start())
        while len(places) < 2:
            await asyncio.sleep(0)
        stopped = asyncio.Event()
        stopped.set()
        async with starts.place(stopped):
            assert len(places) == 2
        places[0]()
        places[0]()
        while len(places) < 3:
            await asyncio.sleep(0)
        stopping.set()
    assert starts._places._value == 2


async def test_what_waits_for_its_start_is_stopped_at_once() -> None:
    starts = Starts(1)
    one = Companion(BROKEN, lambda: None, Record(), starts)
    async with asyncio.timeout(60), starts.place(asyncio.Event()), asyncio.TaskGroup() as tasks:
        living = tasks.create_task(one.live())
        await asyncio.sleep(0)
        one.stop(1)
        await living
