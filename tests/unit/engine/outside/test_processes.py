"""Key processes are started again, later each time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from choria_broker.engine.events import KeyProcessCounts
from choria_broker.engine.outside import processes
from choria_broker.engine.outside.process import KeyProcess
from choria_broker.engine.outside.processes import KeyProcesses, pause_after
from choria_broker.engine.outside.signing import load_key
from choria_broker.errors import NotReadyError, ReloadError

DEADLINE = 60.0


def pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(pem())
    return path


async def becomes(keys: KeyProcesses, count: int, besides: tuple[int, ...] = ()) -> None:
    async with asyncio.timeout(DEADLINE):
        while len(set(keys.pids) - set(besides)) != count:
            await asyncio.sleep(0.01)


def test_the_pause_doubles_and_has_a_bound() -> None:
    assert [pause_after(failures) for failures in (0, 1, 2, 3, 5, 9, 10_000)] == [0.0, 0.2, 0.4, 0.8, 3.2, 30.0, 30.0]


async def test_they_hold_the_keys_of_files_until_others_come_into_force(key: Path) -> None:
    keys = KeyProcesses(count=2)
    engine = keys.socket_for_engine()
    with engine:
        async with keys.running([key]) as names:
            assert names == {str(key): load_key(key.read_bytes())[0].hex()}
            await becomes(keys, 2)
            there = keys.pids
            key.write_bytes(pem())
            async with keys.changing([key]) as others:
                assert others == {str(key): load_key(key.read_bytes())[0].hex()} != names
            assert (keys.pids, keys.wanted) == (there, 2)
            async with keys.changing([]) as none:
                assert none == {}
            await becomes(keys, 0)
            assert keys.wanted == 0
            async with keys.changing([key]):
                assert keys.pids
            await becomes(keys, 2)
            killed = keys.pids[0]
            os.kill(killed, signal.SIGKILL)
            await becomes(keys, 2, (killed,))
        left = len(keys.pids)
    assert (left, keys.counts) == (0, KeyProcessCounts(restarts=1))


async def test_what_cannot_be_held_changes_nothing(key: Path, tmp_path: Path) -> None:
    keys = KeyProcesses(count=1)
    bad = tmp_path / "bad.pem"
    bad.write_text("no key", encoding="utf-8")
    with keys.socket_for_engine():
        async with keys.running([key]):
            with pytest.raises(ReloadError, match="cannot be used: no usable private key"):
                async with keys.changing([bad]):
                    pass
            with pytest.raises(FileNotFoundError):
                async with keys.changing([tmp_path / "nowhere.pem"]):
                    pass
            with pytest.raises(ZeroDivisionError):
                async with keys.changing([key]):
                    raise ZeroDivisionError
            await becomes(keys, 1)
            with pytest.raises(NotReadyError):
                async with keys.changing([key]):
                    raise NotReadyError("the engine says nothing")
            await becomes(keys, 1)


class Slow(KeyProcess):
    """A process that holds a key for some time before it says so, when the test wants that."""

    turns: list[asyncio.Event]
    began: list[set[int]]

    async def hold(self, number: int, file: int) -> str:
        """Hold it, and wait for the turn."""
        name = await super().hold(number, file)
        if self.turns:
            await self.turns.pop(0).wait()
        return name

    def begin(self) -> None:
        """Note what it holds by then."""
        self.began.append(set(self.holds))
        super().begin()


async def test_a_process_that_is_started_during_a_reload_holds_no_key_that_is_over(
    key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "KeyProcess", Slow)
    turn = asyncio.Event()
    Slow.turns, Slow.began = [], []
    keys = KeyProcesses(count=2)
    with keys.socket_for_engine():
        async with keys.running([key]):
            await becomes(keys, 2)
            killed = keys.pids[0]
            key.write_bytes(pem())
            async with keys.changing([key]):
                Slow.turns = [turn]
                os.kill(killed, signal.SIGKILL)
                async with asyncio.timeout(DEADLINE):
                    while Slow.turns:  # The one in its place holds the first key, and is not done.
                        await asyncio.sleep(0.01)
            turn.set()
            await becomes(keys, 2, (killed,))
    assert (Slow.began, keys.restarts) == ([{1}, {1}, {2}], 1)


async def test_nothing_starts_where_no_process_can(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_requests: socket.socket) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(processes, "KeyProcess", cannot)
    monkeypatch.setattr(processes, "READY", 0.1)
    keys = KeyProcesses(count=1)
    with keys.socket_for_engine(), pytest.raises(ExceptionGroup) as failed:
        async with keys.running([key]):
            pass
    assert failed.group_contains(NotReadyError, match="no key process was ready within")


async def test_what_could_not_be_started_is_tried_again_and_told(
    key: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[socket.socket] = []

    def at_the_second_try(requests: socket.socket) -> KeyProcess:
        tried.append(requests)
        if len(tried) == 1:
            raise OSError("no more processes")
        return KeyProcess(requests)

    monkeypatch.setattr(processes, "KeyProcess", at_the_second_try)
    keys = KeyProcesses(count=1)
    with keys.socket_for_engine():
        async with keys.running([key]):
            assert keys.counts == KeyProcessCounts(running=1, wanted=1, restarts=1)
    assert "A key process has ended and is restarted" in caplog.text
