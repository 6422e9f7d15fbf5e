"""Whether the service manager waits for signs of life, and what it is told."""

from __future__ import annotations

import asyncio

import pytest

from choria_broker.errors import NotReadyError
from choria_broker.service import systemd
from choria_broker.service.pulse import Pulse, watchdog

PID = 7


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "\u0663"}, None),
        ({"WATCHDOG_PID": "7"}, None),
    ],
)
def test_a_watchdog_is_for_one_process_and_has_a_time(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog(environ, PID) == seconds


class _Broker:
    started = True
    summary = "2 connections. All is well."

    def __init__(self, *answers: bool) -> None:
        self._answers = iter(answers)

    async def answers(self, within: float) -> None:
        assert within > 0
        if not next(self._answers, True):
            raise NotReadyError("no answer")


async def test_a_sign_of_life_needs_an_answer_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    third = asyncio.Event()

    def tell(state: str) -> None:
        told.append(state)
        if len(told) == 3:
            third.set()

    monkeypatch.setattr(systemd, "tell", tell)
    pulse = Pulse(_Broker(True, False, True), {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000"})
    async with pulse.beating():
        await asyncio.wait_for(third.wait(), 10)
    assert told[:3] == [
        "STATUS=2 connections. All is well.\nWATCHDOG=1",
        "STATUS=The engine does not answer. 2 connections. All is well.",
        "STATUS=2 connections. All is well.\nWATCHDOG=1",
    ]


async def test_a_stop_is_told_with_the_time_it_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(systemd, "tell", told.append)
    Pulse(_Broker(), {"NOTIFY_SOCKET": "@x"}).stops()
    assert told == [
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Stopping. 2 connections. All is well.",
    ]


async def test_without_a_manager_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(systemd, "tell", told.append)
    pulse = Pulse(_Broker(), {"WATCHDOG_USEC": "3000"})
    async with pulse.beating():
        pulse.shows()
        pulse.stops()
    assert told == []


async def test_an_error_of_what_is_watched_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Pulse(_Broker(), {"NOTIFY_SOCKET": "@x"}).beating():
            raise ZeroDivisionError
