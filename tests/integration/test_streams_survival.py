"""What streams survive: a dead engine, full disks, stores of others, damage. Nothing is deleted, everything is said."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.errors import ConfigurationError, EngineDiedError
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.links import Cluster
from choria_broker.streams.trouble import TroubleKind
from choria_broker.values import replace
from support.command import started
from support.standard_streams import NAMES
from support.streaming import ask, broker, contents, info, kept, mounted, use_up
from support.testbed import Authority, configuration, free_port

DEADLINE = 60.0
UNCHANGED = dict.fromkeys(NAMES, "unchanged")
MESSAGES = 100
NOBODY = 65534


def directory(folder: Path, stream: str) -> Path:
    return folder / "store/jetstream/choria/streams" / stream


async def fill(connection: Client) -> None:
    """Put messages into two standard streams, and into one of an operator's."""
    mine = {"name": "ORDERS", "subjects": ["orders.>"], "storage": "file"}
    assert "error" not in await ask(connection, "STREAM.CREATE.ORDERS", mine)
    streams = connection.jetstream()
    for number in range(MESSAGES):
        for subject in ("choria.lifecycle.event", "choria.machine.event", "orders.new"):
            await streams.publish(f"{subject}.{number}", b"x" * 100)


async def counts(connection: Client, *streams: str) -> dict[str, int | None]:
    """How many messages streams have; None for those that do not exist."""
    found = {}
    for stream in streams or ("CHORIA_EVENTS", "CHORIA_MACHINE", "ORDERS"):
        answer = await ask(connection, f"STREAM.INFO.{stream}")
        found[stream] = answer["state"]["messages"] if "state" in answer else None
    return found


WHOLE: dict[str, int | None] = dict.fromkeys(("CHORIA_EVENTS", "CHORIA_MACHINE", "ORDERS"), MESSAGES)


async def prepared(folder: Path, authority: Authority) -> None:
    """Run a broker once and leave a store with messages."""
    async with broker(folder, authority) as one:
        await kept(one)
        connection = await one.connect()
        await fill(connection)
        await let_go(connection)


@contextlib.asynccontextmanager
async def again(folder: Path, authority: Authority) -> AsyncIterator[tuple[NetworkBroker, Client]]:
    """Run a broker on a store that is there, until its streams are settled."""
    async with broker(folder, authority) as one:
        await kept(one)
        connection = await one.connect()
        yield one, connection
        await let_go(connection)


def troubles(one: NetworkBroker) -> dict[TroubleKind, str]:
    """Classes of trouble, and the streams concerned."""
    return {noted.trouble.kind: noted.trouble.stream for noted in one.streams.ledger.troubles}


def said(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """What is said of streams; that the disks of these tests are small is not."""
    records = [record for record in caplog.records if record.name == "choria_broker.streams"]
    lines = [record.getMessage() for record in records if record.levelno >= level]
    return [line for line in lines if "left for this user" not in line]


async def test_a_killed_engine_ends_the_broker_and_everything_is_there_afterwards(
    tmp_path: Path, authority: Authority
) -> None:
    created: list[str] = []

    async def run_until_killed() -> None:
        async with broker(tmp_path, authority) as one:
            await kept(one)
            connection = await one.connect(allow_reconnect=False)
            await fill(connection)
            created.extend([(await info(connection, name))["created"] for name in NAMES])
            await let_go(connection)
            psutil.Process().children()[0].send_signal(signal.SIGKILL)
            await asyncio.Event().wait()

    with pytest.raises(EngineDiedError):
        async with asyncio.timeout(DEADLINE):
            await run_until_killed()
    async with again(tmp_path, authority) as (one, connection):
        assert await kept(one) == UNCHANGED
        assert await counts(connection) == WHOLE
        assert [(await info(connection, name))["created"] for name in NAMES] == created
        assert troubles(one) == {}


@pytest.mark.slow
async def test_the_program_ends_with_an_error_when_its_engine_dies(tmp_path: Path, authority: Authority) -> None:
    log = tmp_path / "log"
    config = configuration(tmp_path, authority, logfile=log, network__stream__store=tmp_path / "store")
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        await program.logs("Created stream KV_CHORIA_LEADER_ELECTION")
        (engine,) = psutil.Process(program.pid).children()
        engine.kill()
        assert await program.ended() == 1
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def test_streams_that_the_engine_cannot_start_end_the_broker_with_the_engines_words(
    tmp_path: Path, authority: Authority
) -> None:
    settings = broker(tmp_path, authority).settings
    alone = Cluster(peers=(Endpoint("nats", "broker.example.net", 5222),), port=free_port(), tls=False)
    network = replace(settings.network, cluster=alone)
    one = NetworkBroker(replace(settings, network=network))
    with pytest.raises(EngineDiedError) as caught:
        async with asyncio.timeout(DEADLINE):
            await one.run()
    assert caught.value.status == 1
    assert caught.value.last_lines[-1].startswith("Can't start JetStream: JetStream cluster requires")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB where the store is."""
    with mounted(tmp_path / "store") as place:
        yield place


async def test_a_full_disk_stops_the_stream_that_meets_it_and_no_other(
    tmp_path: Path, authority: Authority, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await prepared(tmp_path, authority)
    async with again(tmp_path, authority) as (one, connection):
        filler = use_up(small_disk)
        await connection.publish("choria.lifecycle.event.big", b"x" * 100_000)
        async with asyncio.timeout(DEADLINE):
            while not troubles(one):
                await asyncio.sleep(0.02)
        assert troubles(one) == {TroubleKind.WRITE_FAILED: "CHORIA_EVENTS"}
        (line,) = said(caplog)
        assert "stream CHORIA_EVENTS of account choria accepts no more messages" in line
        assert "no space left on device" in line
        states = {report.stream: report.state.value for report in one.streams.ledger.reports}
        assert (states["CHORIA_EVENTS"], states["CHORIA_MACHINE"]) == ("failed", "ok")
        # The engine preallocates nothing, but what is left of the last page of the file is enough for a little one.
        await connection.jetstream().publish("choria.machine.event", b"little", timeout=DEADLINE)
        filler.unlink()
    async with again(tmp_path, authority) as (one, connection):
        assert await kept(one) == UNCHANGED
        assert await counts(connection) == WHOLE | {"CHORIA_MACHINE": MESSAGES + 1}
        await connection.jetstream().publish("choria.lifecycle.event", b"taken again")


async def test_a_disk_that_is_full_at_the_start_costs_no_stream(
    tmp_path: Path, authority: Authority, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await prepared(tmp_path, authority)
    # A block that is shorter than the engine remembers needs room to be mended; without, the engine deletes the stream.
    block = directory(tmp_path, "ORDERS") / "msgs/1.blk"
    block.write_bytes(block.read_bytes()[:10_000])
    before = contents(directory(tmp_path, "ORDERS"))
    filler = use_up(small_disk)
    async with again(tmp_path, authority) as (one, connection):
        assert await counts(connection) == WHOLE | {"ORDERS": None}
        assert troubles(one)[TroubleKind.KEPT] == "ORDERS"
        (place,) = (small_disk / "kept").iterdir()
        assert any(f"all its files are kept in {place}" in line for line in said(caplog))
    lost = {"msgs/index.db", "msgs/2.blk"}
    assert {name: text for name, text in contents(place).items() if name not in lost} == {
        name: text for name, text in before.items() if name not in lost
    }
    filler.unlink()
    shutil.move(place, directory(tmp_path, "ORDERS"))
    async with again(tmp_path, authority) as (one, connection):
        found = await counts(connection)
        assert found.pop("ORDERS") in range(50, MESSAGES)
        assert found == {"CHORIA_EVENTS": MESSAGES, "CHORIA_MACHINE": MESSAGES}


async def test_the_limit_of_the_store_is_told(
    tmp_path: Path, authority: Authority, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert small_disk.exists()
    async with again(tmp_path, authority) as (one, connection):
        async with asyncio.timeout(DEADLINE):
            while TroubleKind.FULL not in troubles(one):
                await connection.publish("choria.lifecycle.event", b"x" * 100_000)
                await connection.flush()
        assert any("have used all the disk space they are allowed" in line for line in said(caplog))
        value = one.registry.get_sample_value
        labels = {"identity": "broker.example.net", "account": "", "stream": "", "trouble": "full"}
        assert (value("choria_broker_stream_troubles_total", labels) or 0) > 0


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that another user reaches, as that user reaches the program too."""
    place = Path(tempfile.mkdtemp(prefix="choria-broker-streams-"))
    place.chmod(0o755)
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can run programs as another user, with setpriv")
    tried = subprocess.run([*as_nobody("python"), "-c", "import choria_broker"], capture_output=True, check=False)  # noqa: S603 - a fixed command
    if tried.returncode:
        pytest.skip("another user cannot run the program here")
    yield place
    shutil.rmtree(place)


def as_nobody(program: str) -> list[str | Path]:
    """Begin a command that runs a program of this environment as another user."""
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [*user, Path(sys.executable).parent / program]


@contextlib.asynccontextmanager
async def run_by_nobody(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the broker as another user; it ends with the context."""
    command = [*as_nobody("choria-broker"), "run", "--config", config]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def belongs_to_nobody(place: Path) -> None:
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


async def test_a_store_of_another_user_is_refused_with_both_names_and_untouched(public: Path) -> None:
    authority = Authority(public)
    await prepared(public, authority)
    before = contents(public / "store")
    os.chown(public / "store", NOBODY, NOBODY)
    async with asyncio.timeout(DEADLINE), run_by_nobody(public / "broker.conf") as process:
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 1
    assert f"{public / 'store/jetstream'} belongs to user 0, and the broker's user {NOBODY} cannot write there" in text
    assert f"chown -R {NOBODY} {public / 'store'}" in text
    assert "Traceback" not in text
    assert contents(public / "store") == before


async def test_one_stream_of_another_user_is_left_out_and_untouched(public: Path) -> None:
    authority = Authority(public)
    await prepared(public, authority)
    belongs_to_nobody(public / "store")
    place = directory(public, "CHORIA_EVENTS")
    os.chown(place, 0, 0)
    place.chmod(0o700)
    before = contents(place)
    said = ""
    async with asyncio.timeout(DEADLINE), run_by_nobody(public / "broker.conf") as process:
        assert process.stdout
        while "could not setup system streams" not in said:
            said += (await process.stdout.readline()).decode()
    assert "stream CHORIA_EVENTS of account choria is damaged or unreadable" in said
    assert "could not create stream CHORIA_EVENTS" in said
    assert said.count("could not create stream") == 2
    assert contents(place) == before
    async with again(public, authority) as (_, connection):
        assert await counts(connection) == WHOLE


@pytest.mark.parametrize(
    "damage",
    ["description", "checksum", "no-description"],
)
async def test_a_standard_stream_with_a_damaged_description_is_made_anew_over_its_messages(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    await prepared(tmp_path, authority)
    place = directory(tmp_path, "CHORIA_EVENTS")
    if damage == "description":
        (place / "meta.inf").write_bytes((place / "meta.inf").read_bytes()[:50])
    elif damage == "checksum":
        (place / "meta.sum").write_bytes(b"0000")
    else:
        (place / "meta.inf").unlink()
    async with again(tmp_path, authority) as (one, connection):
        assert await kept(one) == UNCHANGED | {"CHORIA_EVENTS": "created"}
        assert await counts(connection) == WHOLE
        # One that is missing is simply written; of one that is damaged the engine says that it is mended.
        ended = damage != "no-description"
        assert troubles(one) == ({} if ended else {TroubleKind.NOT_RESTORED: "CHORIA_EVENTS"})
        lines = "\n".join(said(caplog))
        assert f"its messages are untouched in {place}" in lines
        assert f"created over {MESSAGES} messages" in lines
        assert lines.count("The damaged description of stream CHORIA_EVENTS") == ended
        await connection.jetstream().publish("choria.lifecycle.event", b"one more")
    caplog.clear()
    async with again(tmp_path, authority) as (one, connection):
        assert await kept(one) == UNCHANGED
        assert await counts(connection) == WHOLE | {"CHORIA_EVENTS": MESSAGES + 1}
        assert said(caplog) == []


async def test_an_operators_stream_with_a_damaged_description_is_left_out_and_untouched(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    await prepared(tmp_path, authority)
    place = directory(tmp_path, "ORDERS")
    good = (place / "meta.inf").read_bytes()
    (place / "meta.inf").write_bytes(good[:50])
    before = contents(place)
    async with again(tmp_path, authority) as (one, connection):
        assert await kept(one) == UNCHANGED
        assert await counts(connection) == WHOLE | {"ORDERS": None}
        assert "stream ORDERS of account choria" in said(caplog)[0]
    assert contents(place) == before
    (place / "meta.inf").write_bytes(good)
    async with again(tmp_path, authority) as (one, connection):
        assert await counts(connection) == WHOLE


async def test_a_stream_whose_restore_makes_the_engine_delete_it_is_kept(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    await prepared(tmp_path, authority)
    place = directory(tmp_path, "CHORIA_EVENTS")
    messages = contents(place / "msgs")
    shutil.move(place / "msgs", place / "moved")
    (place / "msgs").write_text("no directory")
    async with again(tmp_path, authority) as (one, connection):
        assert await kept(one) == UNCHANGED | {"CHORIA_EVENTS": "created"}
        assert await counts(connection) == WHOLE | {"CHORIA_EVENTS": 0}
        assert troubles(one)[TroubleKind.KEPT] == "CHORIA_EVENTS"
        assert any("all its files are kept in" in line for line in said(caplog))
    (safe,) = (tmp_path / "store/kept").iterdir()
    assert contents(safe / "moved") == messages


async def test_streams_of_a_lone_broker_are_not_handed_to_a_cluster(tmp_path: Path, authority: Authority) -> None:
    await prepared(tmp_path, authority)
    before = contents(tmp_path / "store")
    peers: dict[str, Any] = {
        "network__peers": "broker.example.net:5222, broker2.example.net:5222",
        "network__peer_port": free_port(),
    }
    with pytest.raises(ConfigurationError, match="members delete streams that their cluster does not know"):
        await broker(tmp_path, authority, **peers).run()
    assert contents(tmp_path / "store") == before
