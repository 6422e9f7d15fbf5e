"""Look-ups that may take for ever."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

import pytest

from choria_broker.host import lookup


def entry(address: str) -> tuple[Any, ...]:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 1))


async def test_addresses_are_told_once_and_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [entry(address) for address in ("192.0.2.2", "192.0.2.1", "192.0.2.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    assert await lookup.addresses("host", 1) == ("192.0.2.2", "192.0.2.1")


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "x"), OSError(), UnicodeError()])
async def test_what_went_wrong_is_raised(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(type(error)):
        await lookup.addresses("host", 1)


async def test_those_that_hang_are_bounded_and_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def hang(*_args: object, **_options: object) -> list[tuple[Any, ...]]:
        answered.wait(20)
        return [entry("192.0.2.1")]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    for _ in range(lookup.MOST):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await lookup.addresses("host", 1)
    with pytest.raises(TimeoutError, match="being looked up"):
        await lookup.addresses("host", 1)
    answered.set()
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(TimeoutError):
                assert await lookup.addresses("host", 1) == ("192.0.2.1",)
                return
            await asyncio.sleep(0.01)


def test_an_answer_after_the_end_of_the_loop_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def hang(*_args: object, **_options: object) -> list[tuple[Any, ...]]:
        answered.wait(20)
        return [entry("192.0.2.1")]

    async def ask() -> None:
        async with asyncio.timeout(0.01):
            await lookup.addresses("host", 1)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    before = threading.enumerate()
    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    (thread,) = [each for each in threading.enumerate() if each.name == "look-up" and each not in before]
    answered.set()
    thread.join(20)
    assert not thread.is_alive()
