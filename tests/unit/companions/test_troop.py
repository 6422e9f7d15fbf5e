"""All companions of a broker: what is said of them, what is left to the next program, and what becomes of bad ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from choria_broker.companions import troop
from choria_broker.companions.channel import Report
from choria_broker.companions.process import CompanionProcess, environment
from choria_broker.companions.reports import SideReport, State
from choria_broker.companions.spec import ADAPTER, Key, Share, Spec
from choria_broker.companions.troop import Companion, Companions, Record, Starts
from choria_broker.errors import CompanionsGivenUpError
from choria_broker.host.succession import Succession

KEY = Key(ADAPTER, "reg")
BROKEN = Spec(KEY, "b", b"\xc1")
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


def test_variables_that_may_hold_secrets_are_kept_back() -> None:
    given = {"PATH": "/bin", "MCOLLECTIVE_NATS_PASSWORD": "x", "CHORIA_SRV_DOMAIN": "x", "NOTIFY_SOCKET": "x"}
    assert environment(given) == {"PATH": "/bin"}


def test_the_next_program_goes_on_counting() -> None:
    one = Companions(lambda: None, lambda: 60.0, alone=False)
    one._records[KEY] = Record(restarts=2, lost=3)
    one._records[KEY].totals.tell(0, {"choria_adapter_errors": [(("reg.0", "input"), 5.0)]})
    succession = Succession()
    one.remember(succession)
    other = Companions(lambda: None, lambda: 60.0, alone=False)
    other.recall(Succession.unpacked(succession.packed()))
    assert other.counts() == {"choria_adapter_errors": {("reg.0", "input"): 5.0}}
    assert {key: (each.restarts, each.lost) for key, each in other._records.items()} == {KEY: (2, 3)}
    other.recall(Succession())


async def test_what_ends_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troop, "MOST_ENDS", 2)
    monkeypatch.setattr(troop, "pause", lambda *_: 0.0)
    one = Companions(lambda: None, lambda: 60.0, alone=True)
    one.apply((BROKEN,))
    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.timeout(100), one.kept():
            await asyncio.Event().wait()
    assert caught.group_contains(CompanionsGivenUpError)


async def test_beside_a_network_broker_that_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troop, "MOST_ENDS", 1)
    one = Companions(lambda: None, lambda: 60.0, alone=False)
    one.apply((BROKEN,))
    async with asyncio.timeout(100), one.kept():
        while not one.reports or one.reports[0].state != State.GIVEN_UP:
            await asyncio.sleep(0.02)
        assert "is not started any more: exit status 1" in one.reports[0].sentence
        # What was the matter may have been mended: a reload tries it again, though the settings are what they were.
        (given_up, _) = one._living[KEY]
        one.apply((BROKEN,))
        while one._living.get(KEY, (given_up,))[0] is given_up or one.reports[0].state != State.GIVEN_UP:
            await asyncio.sleep(0.02)
        one.apply(())
        while one.reports:
            await asyncio.sleep(0.02)


async def test_one_waits_for_a_companion_until_it_is_connected_everywhere() -> None:
    never = companion(one=Process(ingest=UP, output=DOWN))
    await never.connected(0.01)
    up = companion(one=Process(ingest=UP, output=UP))
    await up.connected(3600)
    never.stop(1)
    await never.connected(3600)


async def test_what_a_changed_companion_has_counted_is_its_successors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troop, "MOST_ENDS", 1)
    one = Companions(lambda: None, lambda: 60.0, alone=False)
    one.apply((BROKEN,))
    async with asyncio.timeout(100), one.kept():
        while not one.reports or one.reports[0].state != State.GIVEN_UP:
            await asyncio.sleep(0.02)
        (before, _) = one._living[KEY]
        before.record.restarts, before.record.lost = 5, 7
        one.apply((Spec(KEY, "other", b"\xc1"),))
        while one._living[KEY][0] is before or one._replaced:
            await asyncio.sleep(0.02)
        (report,) = one.reports
        assert (report.restarts, report.lost) == (5, 7)


async def test_a_process_that_is_not_listened_to_is_gone_all_the_same() -> None:
    process = CompanionProcess.start(BROKEN, Share(), None)
    await process.end()
    await process.end()
    assert not process._child.alive


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
