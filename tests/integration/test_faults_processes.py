"""The engine is killed or stands still, the broker is killed or slow: nobody gets in unasked, nothing is left over.

A broker that stands still is in ``test_stalls``, an engine that does not stop in ``test_command``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.engine.running import Limits
from choria_broker.errors import NotReadyError
from choria_broker.status.health import Condition
from support.command import Program, started
from support.flooding import login
from support.leaks import leaks
from support.nats_socket import ClosedError, Wire, wire
from support.stalls import NOT_IN, PATIENT, gone, let_in, megabytes, scraped, slowed, stopped
from support.streaming import until
from support.testbed import Authority, client, configuration, free_port
from support.topology import Node, configure

CROWD = 40
MOST_MEGABYTES = 110


class Place:
    """A broker's configuration, and where it leaves what it leaves."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        """Write the configuration."""
        self.node = Node("broker.example.net")
        self.log = folder / "broker.log"
        self.run = folder / "run"
        self.run.mkdir()
        self.config = configure(folder, authority, self.node, logfile=self.log)
        self.context = authority.context(authority.issue("bob.mcollective"))
        self._environment = {"RUNTIME_DIRECTORY": str(self.run), "TMPDIR": str(folder)}

    @contextlib.asynccontextmanager
    async def program(self, **more: str) -> AsyncIterator[tuple[Program, psutil.Process]]:
        """Run the broker until it is ready, with some variables; with its engine."""
        environment = self._environment | more
        async with started("run", "--config", self.config, log=self.log, environment=environment) as program:
            await program.told("READY=1")
            yield program, psutil.Process(program.pid).children()[0]

    @contextlib.asynccontextmanager
    async def crowd(self) -> AsyncIterator[list[Wire]]:
        """Have some that are logged in, and others that are just logging in; an end of theirs is no error."""
        async with contextlib.AsyncExitStack() as stack:
            members = []
            for _ in range(CROWD):
                members.append(await stack.enter_async_context(wire(self.node.client, self.context)))
                await members[-1].connect(name="member")
            async with asyncio.TaskGroup() as tasks:
                newcomers = [tasks.create_task(keeps_trying(self.node.client, self.context)) for _ in range(4)]
                try:
                    yield members
                finally:
                    for each in newcomers:
                        each.cancel()

    def left(self) -> list[str]:
        """Return what is left in the run directory."""
        return sorted(each.name for each in self.run.rglob("*"))


async def keeps_trying(port: int, context: ssl.SSLContext) -> None:
    """Log in again and again, whatever comes of it."""
    while True:
        with contextlib.suppress(*NOT_IN):
            await login(port, context)
        await asyncio.sleep(0.01)


@pytest.fixture
def place(tmp_path: Path, authority: Authority) -> Place:
    return Place(tmp_path, authority)


async def ended(member: Wire) -> bool:
    """Tell whether a connection was closed by the other side."""
    try:
        await member.flush()
    except ClosedError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGQUIT])
async def test_an_engine_that_dies_at_work_takes_all_along_and_the_next_start_works(
    place: Place, number: signal.Signals
) -> None:
    async with place.program() as (program, engine), place.crowd() as members:
        engine.send_signal(number)
        assert await program.ended() == 1
        assert all([await ended(each) for each in members])
        await gone(engine)
        output = await program.output()
        assert place.left() == []
        assert not any(each.pid == engine.pid for each in psutil.process_iter())
    assert "Could not run Choria: the engine ended with " in output
    assert not leaks(output)
    (fatal,) = [line for line in program.lines() if line["level"] == "fatal"]
    assert 0 < len(fatal["last_lines"]) <= 50  # type: ignore[arg-type]
    async with place.program() as (program, _):
        await let_in(place.node.client, place.context)
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


@pytest.mark.slow
async def test_a_broker_that_is_killed_at_work_takes_its_engine_along_and_the_next_start_works(place: Place) -> None:
    async with place.program() as (program, engine), place.crowd() as members:
        program.send(signal.SIGKILL)
        await program.ended()
        async with place.program() as (second, _):  # At once, as a service manager does it.
            assert all([await ended(each) for each in members])
            await gone(engine)
            await let_in(place.node.client, place.context)
            assert len({name.split("/")[0] for name in place.left() if name.startswith("choria-broker-run")}) == 1
            second.send(signal.SIGTERM)
            assert await second.ended() == 0
    assert place.left() == []


@pytest.mark.parametrize("port", [free_port(), 0], ids=["statistics", "none"])
async def test_while_the_engine_stands_still_the_broker_says_so_and_afterwards_all_is_as_before(
    tmp_path: Path, authority: Authority, port: int
) -> None:
    config = configuration(tmp_path, authority, plugin__choria__stats_port=port)
    context = authority.context(authority.issue("bob.mcollective"))
    settings = NetworkBroker.from_file(config).settings
    broker = NetworkBroker(settings, limits=Limits(reload=0.3), poll_interval=0.3)
    with config.open("a", encoding="utf-8") as file:
        name = "plugin.choria.network.mapping"
        file.write(f"{name}.names = one\n{name}.one.source = old\n{name}.one.destination = new\n")
    async with broker, client(broker, context) as before:
        newcomer_port = broker.ports.client
        with stopped(broker._engine.pid):
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(let_in(newcomer_port, context))
                async with asyncio.timeout(PATIENT):
                    while broker._reporter.health().condition is not Condition.FAILING:
                        await asyncio.sleep(0.02)
                    assert "the engine does not answer" in broker._reporter.health().sentence
                    # Nothing of the broker waits for its engine without an end.
                    assert not port or await scraped(port, "choria_broker_health") >= 0
                    with pytest.raises(NotReadyError, match="did not report the result of the reload"):
                        await broker.reload()
                assert not waiting.done()
                waiting.cancel()
        # A change that nobody waits for any more does not come into force behind everybody's back.
        async with asyncio.timeout(PATIENT):
            while broker.reloads._restoring.owed:
                await asyncio.sleep(0.02)
        old, new = await before.subscribe("old"), await before.subscribe("new")
        await before.publish("old", b"")
        await old.next_msg(PATIENT)
        await let_in(newcomer_port, context)
        async with asyncio.timeout(PATIENT):
            while broker._reporter.health().condition is Condition.FAILING:
                await asyncio.sleep(0.02)
            await broker.reload()
        await before.publish("old", b"")
        await new.next_msg(PATIENT)


async def test_the_service_manager_is_told_that_the_engine_does_not_answer(place: Place) -> None:
    """It ends and starts both when there is no sign of life for long enough."""
    async with place.program(WATCHDOG_USEC="600000") as (program, engine):
        assert "STATUS=" in await program.tells("WATCHDOG=1")
        with stopped(engine.pid):
            for _ in range(3):
                assert "WATCHDOG=1" not in await program.tells("The engine does not answer")
        await program.tells("WATCHDOG=1")
        await let_in(place.node.client, place.context)
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


@pytest.mark.slow
async def test_a_slow_broker_refuses_some_lets_nobody_in_unasked_and_recovers(place: Place) -> None:
    """It works a twentieth of the time, in turns that are longer than a question lives."""
    async with place.program() as (program, engine), place.crowd() as members:
        before = megabytes(engine.pid)
        async with slowed(program.pid, works=0.1, rests=1.9):
            end = time.monotonic() + 4.5
            async with asyncio.TaskGroup() as tasks:
                newcomers = [
                    tasks.create_task(tries_until(end, place.node.client, place.context)) for _ in range(CROWD)
                ]
                while time.monotonic() < end:
                    for each in members:
                        await each.flush()  # Who is in does not notice.
                    await asyncio.sleep(0.05)
        await let_in(place.node.client, place.context)
        for each in members:
            await each.flush()
        logins = len(members) + sum(each.result() for each in newcomers)
        await until(lambda: len([line for line in program.lines() if line["msg"] == "Connection accepted"]) >= logins)
        assert megabytes(program.pid) < MOST_MEGABYTES
        assert megabytes(engine.pid) - before < 40
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def tries_until(end: float, port: int, context: ssl.SSLContext) -> int:
    """Log in again and again until some time; how often that went well. To be refused is no error, to wait is."""
    logins = 0
    while time.monotonic() < end:
        async with asyncio.timeout(PATIENT):
            with contextlib.suppress(*NOT_IN):
                await login(port, context)
                logins += 1
        await asyncio.sleep(0.05)
    return logins
