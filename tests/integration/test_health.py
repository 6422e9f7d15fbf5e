"""Changes of health are lines of the log, metrics, and kept for the status."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from support.command import started
from support.stalls import PATIENT, stopped
from support.streaming import kept, member, mounted, use_up
from support.testbed import Authority
from support.topology import broker, configure, formed, linked, logged, nodes, peers, running, shows

PROGRAM = Path(sys.executable).parent / "choria-broker"


def hasty(one: NetworkBroker) -> NetworkBroker:
    """Have a broker look at itself often."""
    one.statistics.poller._interval = one.statistics.interval = one._reporter.watch._interval = 0.5
    return one


def fill(disk: Path, left: int) -> None:
    """Leave so many bytes on a disk."""
    found = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(found.f_bavail * found.f_frsize - left))


@contextlib.asynccontextmanager
async def publishing(one: NetworkBroker) -> AsyncIterator[None]:
    """Publish events all the time, whether they are stored or not."""

    async def publish() -> None:
        while True:
            await client.publish("choria.lifecycle.event.test", bytes(10_000))
            await asyncio.sleep(0.01)

    client = await one.connect()
    try:
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(publish())
            yield
            work.cancel()
    finally:
        await let_go(client)


async def test_the_loss_of_a_member_and_its_return_are_told_in_log_metrics_and_status(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = nodes(2)
    settings = peers(one, two)
    async with hasty(broker(tmp_path, authority, one, **settings)) as first:
        async with broker(tmp_path, authority, two, **settings):
            await linked(one, two)
            await shows(
                one, "/choria/status", lambda found: found["health"]["condition"] == "ok" and found["health_since"]
            )
            caplog.clear()
        lost = f"member {two.identity} is not connected since "
        assert await logged(caplog, f"Health is degraded: {lost}")
        told = next(each for each in caplog.records if each.getMessage().startswith("Health is degraded"))
        assert (told.levelname, told.old, told.new) == ("WARNING", "ok", "degraded")  # type: ignore[attr-defined]
        found = await shows(one, "/choria/status", lambda found: found["health_changes"])
        (added,) = found["health_changes"][-1]["added"]
        assert added.startswith(lost)
        shown = (await asyncio.to_thread(first.statistics.page)).decode()
        assert 'choria_broker_health_changes_total{condition="degraded",' in shown
        async with broker(tmp_path, authority, two, **settings):
            assert await logged(caplog, "Health is ok")
            found = await shows(one, "/choria/status", lambda found: found["health_changes"][0]["new"] == "ok")
    assert found["health_changes"][0]["lasted"] > 0


def blamed(reason: str) -> bool:
    """A reason of health says that a stream cannot be written, and whose copy is missing."""
    return (
        "cannot be written" in reason
        and "no response from broker2.example.net, though connected; choria-broker status there says" in reason
    )


@pytest.mark.slow
async def test_a_full_disk_of_one_member_is_told_by_the_other_with_streams_and_member(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """The first line is about the disk, before it is full; the next ones about what stands still, and by whom."""
    one, two = nodes(2)
    with mounted(tmp_path / "disk", "40m") as disk:
        first = hasty(member(tmp_path, authority, one, one, two))
        second = hasty(member(tmp_path, authority, two, one, two, network__stream__store=disk / "store"))
        async with running((first, second)):
            await kept(first)
            await kept(second)
            await shows(one, "/choria/status", lambda found: found["health"]["condition"] == "ok")
            caplog.clear()
            fill(disk, 2 << 20)
            short = await logged(caplog, "degraded: the disk of the store", "that streams may still use")
            assert str(disk / "store") in short
            use_up(disk)
            async with publishing(first):
                found = await shows(one, "/choria/status", lambda found: any(map(blamed, found["health"]["reasons"])))
                now = found["streams_now"]["standard"]
                shown = (await asyncio.to_thread(first.statistics.page)).decode()
    lines = [getattr(each, "reasons", "") for each in caplog.records if each.getMessage().startswith("Health is ")]
    assert any("of account choria cannot be written: " in line for line in lines), lines
    assert any(not each["writable"] for each in now)
    assert f'choria_broker_stream_writable{{account="choria",identity="{one.identity}",stream="' in shown
    assert re.search(r"^choria_broker_stream_writable\{.*\} 0$", shown, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_member_that_stands_still_is_noticed(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes three pings of eight seconds; by itself nats-server needs minutes."""
    one, two = nodes(2)
    settings = peers(one, two)
    async with (
        hasty(broker(tmp_path, authority, one, **settings)),
        broker(tmp_path, authority, two, **settings) as second,
    ):
        await formed(one, two)
        await shows(one, "/choria/status", lambda found: found["health"]["condition"] == "ok")
        caplog.clear()
        with stopped(second._engine.pid):
            async with asyncio.timeout(3 * PATIENT):
                while not any(each.getMessage().startswith("Health is degraded") for each in caplog.records):
                    await asyncio.sleep(0.1)
        told = [each.getMessage() for each in caplog.records if "connected" in each.getMessage()]
        assert told[0].startswith(f"Health is degraded: member {two.identity} is not connected since ")
        assert told[0].endswith((": no answer to pings", ": timeout"))  # What comes next may come at once.
        found = await shows(one, "/choria/status", lambda found: found["link_troubles"])
        assert "stale" in {each["cause"] for each in found["link_troubles"] if each["place"] == two.identity}
        (link,) = found["links"]
        assert (link["name"], link["connected"], link["cause"] in {"stale", "timeout"}) == (two.identity, False, True)


async def test_the_status_of_a_broker_that_stands_still_says_so(tmp_path: Path, authority: Authority) -> None:
    (one,) = nodes(1)
    config, log = configure(tmp_path, authority, one, logfile=tmp_path / "log"), tmp_path / "log"
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        with stopped(program.pid):
            process = await asyncio.create_subprocess_exec(PROGRAM, "status", "--config", config, stderr=-1)
            error = (await process.communicate())[1].decode()
        assert process.returncode == 1
        assert error.startswith(f"the broker's process {program.pid} is suspended by a signal (SIGSTOP)")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
