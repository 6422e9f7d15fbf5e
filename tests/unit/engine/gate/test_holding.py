"""A gate that one program holds between two frames, and that another goes on with."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import Verdict
from choria_broker.engine.events import Refusal, Told, Versions
from choria_broker.engine.gate import frames
from choria_broker.engine.gate.gate import Gate
from choria_broker.engine.held import HeldGate
from choria_broker.errors import NotReadyError
from choria_broker.host.succession import Succession
from support.fake_engine import DEADLINE, HELLO, NOW, connected, framed

READY = json.dumps({"type": "ready", "ports": {"client": 4222}}).encode()


def question(number: int) -> bytes:
    request = {"connection_id": number, "kind": "client", "tls": "mtls", "address": "192.0.2.1"}
    document = {"type": "question", "id": number, "deadline": int((NOW + 1) * 1000), "request": request}
    return framed(json.dumps(document).encode())


class Next:
    """The program that goes on with a gate."""

    def __init__(self, sock: socket.socket, held: HeldGate) -> None:
        self.requests: list[ConnectRequest] = []
        self.refusals: list[Refusal] = []
        self.admitted: list[int] = []
        told = Told(self.refusals.append, lambda new, _: self.admitted.extend(new), self._greeted)
        self.gate = Gate(sock, HELLO, self._decide, told, clock=lambda: NOW, held=held)

    def _decide(self, request: ConnectRequest) -> Verdict:
        self.requests.append(request)
        return Verdict(allowed=False, rule="next", reason="")

    def _greeted(self, _versions: Versions) -> None:
        raise AssertionError("the engine greets once")


def passed_on(held: HeldGate) -> HeldGate:
    """Return what the next program is told."""
    succession = Succession()
    succession.tell("gate", held)
    told = Succession.unpacked(succession.packed()).told("gate", HeldGate)
    assert told is not None
    return told


@pytest.mark.parametrize("cut", range(0, 2 * len(question(10)), 17))
async def test_wherever_it_is_held_every_question_is_answered_once(cut: int) -> None:
    stream = b"".join(question(number) for number in range(10, 20))
    async with connected() as (broker, engine, task):
        engine.greet()
        engine.send_raw(framed(READY))
        await broker.gate.ready
        engine.send_raw(stream[:cut])
        whole = cut // len(question(10))
        answers = [await engine.receive() for _ in range(whole)]
        held = await broker.gate.hold(DEADLINE)
        sock = broker.gate.duplicate()
        engine.send_raw(stream[cut:])
        follower = Next(sock, passed_on(held))
        task.cancel()
        async with asyncio.TaskGroup() as tasks:
            going_on = tasks.create_task(follower.gate.run())
            answers += [await engine.receive() for _ in range(10 - whole)]
            going_on.cancel()

    assert [each["id"] for each in answers] == list(range(10, 20))
    assert len(broker.requests) + len(follower.requests) == 10
    assert follower.gate.counters.answered == 10
    assert follower.gate.ready.result().client == 4222


async def test_a_gate_that_is_held_answers_nothing_until_it_goes_on() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        engine.send_raw(framed(READY))
        await broker.gate.ready
        await broker.gate.hold(DEADLINE)
        engine.ask(1)
        await asyncio.sleep(0.05)
        assert broker.requests == []
        broker.gate.go_on()
        assert (await engine.receive())["id"] == 1


async def test_numbers_of_calls_go_on_so_that_late_answers_are_known() -> None:
    async with connected() as (broker, engine, task):
        engine.greet()
        engine.send_raw(framed(READY))
        await broker.gate.ready
        with pytest.raises(NotReadyError):
            await broker.gate.reload(HELLO, 0.01)
        held = await broker.gate.hold(DEADLINE)
        follower = Next(broker.gate.duplicate(), passed_on(held))
        task.cancel()
        async with asyncio.TaskGroup() as tasks:
            going_on = tasks.create_task(follower.gate.run())
            engine.send(type="reloaded", id=1, problem="")
            engine.ask(7)
            assert (await engine.receive())["type"] == "reload"
            assert (await engine.receive())["id"] == 7
            going_on.cancel()


async def test_a_gate_whose_engine_does_not_read_is_not_held() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        engine.send_raw(framed(READY))
        await broker.gate.ready
        transport = broker.gate._transport
        assert transport is not None
        transport.write(b"x" * 8_000_000)
        with pytest.raises(NotReadyError):
            await broker.gate.hold(0.05)
        assert broker.gate._wire._held is False
        transport.abort()


async def test_a_gate_that_is_not_ready_is_not_held() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        with pytest.raises(NotReadyError):
            await broker.gate.hold(0.05)
        assert frames.PROTOCOL
