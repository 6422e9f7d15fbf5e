"""Damaged files of streams: what is lost is told at once, and its bytes are kept; what is meant to go is not told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.errors import EngineDiedError
from choria_broker.streams.trouble import Trouble, TroubleKind
from support.streaming import ask, info, kept, mounted, use_up
from support.testbed import Authority, configuration

pytestmark = pytest.mark.slow

DEADLINE = 60.0
MESSAGES = 110
RECORD = 1050
"""Bytes that a message takes, about."""
SMALL = 127_000
"""A limit with which blocks are as small as they get, 32 kB, and that is not reached."""


def broker(folder: Path, authority: Authority) -> NetworkBroker:
    return NetworkBroker.from_file(configuration(folder, authority, network__stream__store=folder / "store"))


@contextlib.asynccontextmanager
async def running(folder: Path, authority: Authority) -> AsyncIterator[tuple[NetworkBroker, Client]]:
    async with broker(folder, authority) as one:
        await kept(one)
        connection = await one.connect(allow_reconnect=False)
        yield one, connection
        await let_go(connection)


def messages(folder: Path, stream: str = "ORDERS") -> Path:
    return folder / "store/jetstream/choria/streams" / stream / "msgs"


async def fill(connection: Client, stream: str = "ORDERS", **fields: object) -> None:
    """Make a stream whose messages are in several blocks, and fill it."""
    document = {"name": stream, "subjects": [f"{stream}.>"], "storage": "file", "max_bytes": SMALL} | fields
    assert "error" not in await ask(connection, f"STREAM.CREATE.{stream}", document)
    await more(connection, MESSAGES, stream)


async def more(connection: Client, number: int, stream: str = "ORDERS") -> None:
    streams = connection.jetstream()
    for each in range(number):
        await streams.publish(f"{stream}.{each % 7}", b"x" * 1000, timeout=DEADLINE)


async def state(connection: Client, stream: str = "ORDERS") -> dict[str, int]:
    found: dict[str, int] = (await info(connection, stream))["state"]
    return found


async def read(connection: Client, stream: str = "ORDERS") -> None:
    """Read every message: some damage comes to light only then."""
    for sequence in range(1, MESSAGES + 1):
        await ask(connection, f"STREAM.MSG.GET.{stream}", {"seq": sequence})


def losses(one: NetworkBroker) -> list[Trouble]:
    found = [noted.trouble for noted in one.streams.ledger.troubles]
    return [each for each in found if each.kind in {TroubleKind.DAMAGED, TroubleKind.CUT, TroubleKind.KEPT}]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    records = [record for record in caplog.records if record.name == "choria_broker.streams"]
    return [record.getMessage() for record in records if record.levelno >= logging.ERROR]


def overwrite(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def first_record_zeroed(place: Path) -> None:
    overwrite(place / "2.blk", 0, b"\0" * 200)


def garbage(place: Path) -> None:
    (place / "2.blk").write_bytes(b"\xa5" * 5000)


def middle_damaged(place: Path) -> None:
    overwrite(place / "2.blk", 4 * RECORD, b"\xff" * 2 * RECORD)


def last_block_damaged(place: Path) -> None:
    overwrite(max(place.glob("*.blk"), key=lambda path: int(path.stem)), 2 * RECORD, b"\0" * 2 * RECORD)


def first_block_damaged(place: Path) -> None:
    overwrite(place / "1.blk", 0, b"\0" * 5000)


UNREADABLE: dict[str, Callable[[Path], None]] = {
    "FIRST_RECORD": first_record_zeroed,
    "GARBAGE": garbage,
    "MIDDLE": middle_damaged,
    "LAST_BLOCK": last_block_damaged,
    "FIRST_BLOCK": first_block_damaged,
}


@pytest.mark.parametrize("index", ["index", "no-index", "bad-index"])
async def test_a_block_that_cannot_be_read_is_told_and_kept(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, index: str
) -> None:
    async with running(tmp_path, authority) as (_, connection):
        for stream in UNREADABLE:
            await fill(connection, stream)
    before = {}
    for stream, damage in UNREADABLE.items():
        place = messages(tmp_path, stream)
        assert len(list(place.glob("*.blk"))) > 3
        damage(place)
        if index == "no-index":
            (place / "index.db").unlink()
        elif index == "bad-index":
            overwrite(place / "index.db", 10, b"\xff" * 20)
        before[stream] = {path.name: path.read_bytes() for path in place.glob("*.blk")}
    caplog.clear()
    async with running(tmp_path, authority) as (one, connection):
        for stream in UNREADABLE:
            await read(connection, stream)
            assert (await state(connection, stream))["messages"] < MESSAGES
        found = {loss.stream: loss for loss in losses(one)}
        assert len(found) == len(losses(one)) == len(errors(caplog)) == len(UNREADABLE)
        for stream, loss in found.items():
            assert (loss.kind, loss.account, Path(loss.place).parent) == (
                TroubleKind.DAMAGED,
                "choria",
                tmp_path / "store/kept",
            )
            block = Path(loss.file).name
            assert {path.name: path.read_bytes() for path in Path(loss.place).iterdir()} == {
                block: before[stream][block]
            }
            assert re.search(rf"\d+ bytes of stream {stream} of account choria are lost in .* kept in", loss.words)
            assert loss.words in errors(caplog)
            labels = {"identity": "broker.example.net", "account": "choria", "stream": stream, "trouble": "damaged"}
            assert one.registry.get_sample_value("choria_broker_stream_troubles_total", labels) == 1
            assert loss.words in one._reporter.health().reasons
    caplog.clear()
    # What is kept is told again, as what is kept: the streams themselves are in order now.
    async with running(tmp_path, authority) as (one, connection):
        for stream in UNREADABLE:
            await read(connection, stream)
        assert {(each.stream, each.kind, each.place) for each in losses(one)} == {
            (stream, TroubleKind.KEPT, loss.place) for stream, loss in found.items()
        }
        assert errors(caplog) == []


async def test_a_message_that_was_damaged_in_its_place_is_told_when_it_is_read(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, authority) as (_, connection):
        await fill(connection)
    place = messages(tmp_path)
    overwrite(place / "2.blk", RECORD + 500, b"\xff" * 10)
    damaged = (place / "2.blk").read_bytes()
    async with running(tmp_path, authority) as (one, connection):
        await read(connection)
        (loss,) = losses(one)
        assert (loss.kind, loss.file) == (TroubleKind.DAMAGED, str(place / "2.blk"))
        assert "cannot be read" in loss.words
        assert len(errors(caplog)) == 1
    assert (place / "2.blk").read_bytes() == damaged


def all_gone(place: Path) -> None:
    shutil.rmtree(place)


def blocks_gone(place: Path) -> None:
    for path in place.iterdir():
        path.unlink()


def middle_missing(place: Path) -> None:
    (place / "2.blk").unlink()


def first_missing(place: Path) -> None:
    (place / "1.blk").unlink()


def middle_empty(place: Path) -> None:
    (place / "2.blk").write_bytes(b"")


def last_missing(place: Path) -> None:
    max(place.glob("*.blk"), key=lambda path: int(path.stem)).unlink()


def last_empty(place: Path) -> None:
    max(place.glob("*.blk"), key=lambda path: int(path.stem)).write_bytes(b"")


def end_missing(place: Path) -> None:
    """Cut the last block off between two messages: nothing in the file is amiss."""
    last = max(place.glob("*.blk"), key=lambda path: int(path.stem))
    whole = last.read_bytes()
    length = int.from_bytes(whole[:4], "little")
    last.write_bytes(whole[: 3 * length])


def two_missing(place: Path) -> None:
    (place / "2.blk").unlink()
    (place / "3.blk").unlink()


def also_the_index(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(place: Path) -> None:
        damage(place)
        (place / "index.db").unlink()

    return both


GONE: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "ALL": (all_gone, ["messages of stream ALL of account choria are lost", "there are no files"]),
    "BLOCKS": (blocks_gone, ["messages of stream BLOCKS of account choria are lost", "there are no files"]),
    "MIDDLE": (middle_missing, ["30 messages and 31", "2.blk", "the file is missing"]),
    "FIRST": (first_missing, ["30 messages and 31", "1.blk", "the file is missing"]),
    "EMPTY": (middle_empty, ["30 messages and 31", "2.blk", "the file is empty"]),
    "LAST": (last_missing, ["20 messages and 20", "4.blk", "the file is missing"]),
    "LAST_EMPTY": (last_empty, ["20 messages", "the files end before message 91"]),
    "END": (end_missing, ["17 messages", "the files end before message 94"]),
    "MIDDLE_NO_INDEX": (also_the_index(middle_missing), ["30 messages", "2.blk", "messages 31 to 60 are missing"]),
    "EMPTY_NO_INDEX": (also_the_index(middle_empty), ["30 messages", "2.blk", "messages 31 to 60 are missing"]),
    "TWO_NO_INDEX": (also_the_index(two_missing), ["60 messages", "messages 31 to 90 are missing"]),
}


async def test_messages_whose_files_are_gone_are_told_once(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, authority) as (_, connection):
        for stream in GONE:
            await fill(connection, stream)
    for stream, (damage, _) in GONE.items():
        damage(messages(tmp_path, stream))
    async with running(tmp_path, authority) as (one, connection):
        found = {loss.stream: loss for loss in losses(one)}
        assert found.keys() == GONE.keys()
        assert len(losses(one)) == len(errors(caplog)) == len(GONE)
        for stream, (_, words) in GONE.items():
            assert (found[stream].kind, found[stream].account, found[stream].place) == (
                TroubleKind.DAMAGED,
                "choria",
                "",
            )
            for each in words:
                assert each in found[stream].words
            assert (await state(connection, stream))["messages"] < MESSAGES
            await more(connection, 1, stream)
    async with running(tmp_path, authority) as (one, _):
        assert losses(one) == []


async def shrink(connection: Client) -> None:
    """Have blocks go as a whole in all the ways that are meant."""
    await more(connection, MESSAGES)
    ways: tuple[dict[str, object], ...] = (
        {"max_msgs": 40},
        {"max_age": 300_000_000},
        {},
        {},
        {"max_msgs_per_subject": 1},
    )
    for number, fields in enumerate(ways):
        await fill(connection, f"S{number}", **fields)
    assert (await ask(connection, "STREAM.PURGE.S2", {"keep": 5}))["success"]
    for sequence in range(20, 80):
        assert (await ask(connection, "STREAM.MSG.DELETE.S3", {"seq": sequence}))["success"]
    async with asyncio.timeout(DEADLINE):
        while (await info(connection, "S1"))["state"]["messages"]:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("way", ["in order", "killed", "killed, and no index"])
async def test_what_is_meant_to_go_is_not_told(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    with contextlib.suppress(EngineDiedError):
        async with running(tmp_path, authority) as (_, connection):
            await fill(connection)
            await shrink(connection)
            if way != "in order":
                psutil.Process().children()[0].send_signal(signal.SIGKILL)
                async with asyncio.timeout(DEADLINE):
                    await asyncio.Event().wait()
    for index in tmp_path.rglob("index.db") if "no index" in way else ():
        index.unlink()
    caplog.clear()
    async with running(tmp_path, authority) as (one, connection):
        for name, number in {"S0": 40, "S1": 0, "S2": 5, "S3": MESSAGES - 60, "S4": 7}.items():
            assert (await info(connection, name))["state"]["messages"] == number
        assert losses(one) == []
        assert errors(caplog) == []
        assert not any((tmp_path / "store/kept").iterdir())


async def test_a_last_record_that_was_only_half_written_is_no_loss(tmp_path: Path, authority: Authority) -> None:
    async with running(tmp_path, authority) as (_, connection):
        await fill(connection)
    last = max(messages(tmp_path).glob("*.blk"), key=lambda path: int(path.stem))
    record = (messages(tmp_path) / "1.blk").read_bytes()[:600]
    with last.open("ab") as file:
        file.write(record[:4] + (MESSAGES + 1).to_bytes(8, "little") + record[12:])
    async with running(tmp_path, authority) as (one, connection):
        assert (await state(connection))["messages"] == MESSAGES
        (loss,) = losses(one)
        assert (loss.kind, loss.level, loss.place) == (TroubleKind.CUT, logging.WARNING, "")
        assert "was only half written" in loss.words
        assert not any((tmp_path / "store/kept").iterdir())


async def test_without_room_to_keep_a_block_nothing_is_cut_off(tmp_path: Path, authority: Authority) -> None:
    with mounted(tmp_path / "store") as disk:
        async with running(tmp_path, authority) as (_, connection):
            await fill(connection)
        place = messages(tmp_path)
        middle_damaged(place)
        (place / "index.db").unlink()
        before = {path.name: path.read_bytes() for path in place.glob("*.blk")}
        filler = use_up(disk)
        async with running(tmp_path, authority) as (one, _):
            found = [noted.trouble for noted in one.streams.ledger.troubles if noted.trouble.stream == "ORDERS"]
            assert any("was left in" in each.words for each in found)
            (safe,) = (Path(each.place) for each in found if each.place)
            assert {path.name: path.read_bytes() for path in safe.glob("msgs/*.blk")} == before
        filler.unlink()


async def durable(connection: Client, name: str) -> None:
    document = {"stream_name": "ORDERS", "config": {"durable_name": name, "ack_policy": "explicit"}}
    assert "error" not in await ask(connection, f"CONSUMER.DURABLE.CREATE.ORDERS.{name}", document)


async def test_damaged_consumers_are_told_with_what_to_do_and_mended(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, authority) as (_, connection):
        await fill(connection)
        for name in ("DESCRIPTION", "STATE", "FINE"):
            await durable(connection, name)
            subscription = await connection.jetstream().pull_subscribe_bind(name, "ORDERS")
            for message in await subscription.fetch(3, timeout=DEADLINE):
                await message.ack_sync()
    place = messages(tmp_path).parent / "obs"
    (place / "DESCRIPTION/meta.inf").write_bytes(b"garbage")
    (place / "STATE/o.dat").write_bytes(b"garbage")
    caplog.clear()
    async with running(tmp_path, authority) as (one, connection):
        found = [noted.trouble for noted in one.streams.ledger.troubles]
        assert {(each.kind, each.stream) for each in found} == {(TroubleKind.NOT_RESTORED, "ORDERS")}
        first, second = sorted(errors(caplog))
        assert "consumer STATE of stream ORDERS of account choria" in second + first
        assert "consumer DESCRIPTION of stream ORDERS of account choria" in second + first
        assert (await state(connection))["messages"] == MESSAGES
        # The remedies.
        await durable(connection, "DESCRIPTION")
        assert [noted.trouble.file for noted in one.streams.ledger.troubles] == [
            "jetstream/choria/streams/ORDERS/obs/STATE/o.dat"
        ]
        told = await ask(connection, "CONSUMER.INFO.ORDERS.DESCRIPTION")
        assert told["ack_floor"]["stream_seq"] == 3
    (place / "STATE/o.dat").unlink()
    async with running(tmp_path, authority) as (one, connection):
        assert [noted.trouble.kind for noted in one.streams.ledger.troubles] == [TroubleKind.DAMAGED]
        assert (await state(connection))["consumer_count"] == 3
    caplog.clear()
    async with running(tmp_path, authority) as (one, connection):
        assert one.streams.ledger.troubles == ()
        assert errors(caplog) == []
        assert (await state(connection))["consumer_count"] == 3
