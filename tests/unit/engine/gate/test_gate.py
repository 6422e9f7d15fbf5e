"""The broker's side of the gate against an engine played by the test."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from choria_broker.access.session import Again
from choria_broker.access.verdict import Permissions, SubjectRules, Verdict
from choria_broker.engine.events import Ports, Queue, Refusal, Versions
from choria_broker.engine.gate import codec, frames
from choria_broker.errors import GateError, NotReadyError
from choria_broker.settings.listeners import DOORS
from support.fake_engine import DEADLINE, GREETING, NOW, READY, Broker, FakeEngine, connected, framed


async def test_the_handshake_tells_the_engine_what_its_file_cannot() -> None:
    ours, theirs = socket.socketpair()
    broker = Broker(ours)
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    engine = FakeEngine(reader, writer)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(broker.gate.run())
        assert await engine.receive() == {
            "type": "hello",
            "protocol": frames.PROTOCOL,
            "generation": 3,
            "authentication": "questions",
            "optional_client_certificates": True,
            "bridge_secret": "s" * 32,
            "answer_within_ms": 1500,
            "max_questions": 9,
            "max_unauthenticated": 1000,
            "max_handshakes": 0,
            "mappings": [],
            "websocket_origins": [],
            "websocket_hosts": [],
            "cluster_members": 0,
            "cluster_hosts": [],
            "revoked": "",
            "keys": {},
        }
        engine.greet()
        engine.send(type="ready", ports={"client": 4222, "gateway": 5})
        ports = await asyncio.wait_for(broker.gate.ready, DEADLINE)
        engine.close()
    await writer.wait_closed()
    assert ports == Ports(client=4222, gateway=5)
    assert (ports.websocket, ports.told) == (0, {"client": 4222, "gateway": 5})
    assert broker.hellos == [Versions("0", "2.15.2", frames.PROTOCOL)]


class EagerLoop(asyncio.SelectorEventLoop):
    """Reads what has arrived before whoever made the connection goes on, as other loops may."""

    async def create_unix_connection(self, *arguments: Any, **options: Any) -> Any:
        made = await super().create_unix_connection(*arguments, **options)
        for _ in range(3):
            await asyncio.sleep(0)
        return made


def test_an_engine_that_greets_first_is_greeted_too() -> None:
    async def greeted() -> bytes:
        ours, theirs = socket.socketpair()
        broker = Broker(ours)
        theirs.sendall(framed(GREETING))
        reader, writer = await asyncio.open_unix_connection(sock=theirs)
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
            tasks.create_task(broker.gate.run())
            begin = await reader.read(100)
            assert broker.hellos
            writer.close()
        return begin

    with asyncio.Runner(loop_factory=EagerLoop) as runner:
        assert b'"hello"' in runner.run(greeted())


async def test_questions_are_answered_with_the_policys_verdict() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        broker.verdict = Verdict(
            allowed=True,
            rule="r",
            reason="",
            account="choria",
            username="bob",
            permissions=Permissions(publish=SubjectRules(("a",))),
            max_subscriptions=17,
        )
        engine.ask(1, user="bob", password="hunter2")
        answer = await engine.receive()
        assert answer["max_subscriptions"] == 17
        assert (answer["id"], answer["generation"], answer["allow"], answer["account"]) == (1, 3, True, "choria")
        assert answer["permissions"] == {
            "publish": {"allow": ["a"], "deny": []},
            "subscribe": {"allow": None, "deny": []},
        }
        broker.verdict = Verdict(allowed=False, rule="r", reason="")
        engine.ask(2)
        assert (await engine.receive())["allow"] is False
        assert [request.connection_id for request in broker.requests] == [1, 2]
        assert broker.gate.counters.answered == 2


async def test_a_question_past_its_deadline_is_not_even_decided() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        engine.ask(1, deadline=NOW)
        engine.ask(2)
        assert (await engine.receive())["id"] == 2
        assert broker.gate.counters.expired == 1
        assert len(broker.requests) == 1


async def test_a_verdict_too_large_for_a_frame_is_a_refusal() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        rules = SubjectRules(tuple(f"{'x' * 1000}.{number}" for number in range(1100)))
        broker.verdict = Verdict(
            allowed=True, rule="r", reason="", account="choria", permissions=Permissions(publish=rules)
        )
        engine.ask(1)
        assert (await engine.receive())["allow"] is False
        assert broker.gate.counters.oversized == 1


async def test_refusals_by_the_engine_are_reported_and_counted() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        engine.send(type="refusal", cause="timeout", id=1, connection_id=4, address="192.0.2.1")
        engine.ask(2)
        await engine.receive()
        assert broker.refusals == [Refusal("timeout", 4, "192.0.2.1")]
        assert broker.gate.counters.refused == {"timeout": 1}


async def test_what_the_engine_could_not_tell_is_counted() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        assert broker.gate.counters.dropped == {"questions": 0, "reports": 0, "engine_log_lines": 0}
        engine.send(type="losses", questions=1, reports=2, log_lines=3)
        engine.send(type="losses", questions=4, reports=5, log_lines=6)
        engine.ask(1)
        await engine.receive()
        assert broker.gate.counters.dropped == {"questions": 4, "reports": 5, "engine_log_lines": 6}


async def test_who_was_turned_away_is_counted_and_logged_at_times(caplog: pytest.LogCaptureFixture) -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        assert broker.gate.counters.turned_away == dict.fromkeys(DOORS, 0)
        for count in (3, 9):
            engine.send(type="crowd", client=count, websocket=0, leafnode=0, cluster=0, gateway=1)
        engine.ask(1)
        await engine.receive()
        assert broker.gate.counters.turned_away == dict.fromkeys(DOORS, 0) | {"client": 9, "gateway": 1}
    said = [record for record in caplog.records if "were closed because" in record.getMessage()]
    assert len(said) == 2


async def test_who_waits_is_counted_and_logged_once_somebody_has_to_come_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        assert broker.gate.counters.queue == Queue()
        for dropped in (0, 4, 9):
            engine.send(type="waiting", waiting=7, at_once=32, waited=20, left=0, dropped=dropped)
        engine.ask(1)
        await engine.receive()
        assert broker.gate.counters.queue == Queue(waiting=7, at_once=32, waited=20, dropped=9)
    (said,) = [record for record in caplog.records if "some have to reconnect" in record.getMessage()]
    assert said.__dict__["come_again"] == 4


async def test_that_a_leafnode_presented_a_token_is_told_without_it() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        engine.ask(1, kind="leafnode", token_unread=True)
        await engine.receive()
        (request,) = broker.requests
        assert request.has_token
        assert not request.token


@pytest.mark.parametrize("count", [1, 500])
async def test_answers_come_in_the_order_of_the_questions(count: int) -> None:
    async with connected() as (_, engine, _task):
        engine.greet()
        for number in range(count):
            engine.ask(number)
        assert [(await engine.receive())["id"] for _ in range(count)] == list(range(count))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (framed(GREETING.replace(b'"protocol": %d' % frames.PROTOCOL, b'"protocol": 1')), "speaks gate protocol 1"),
        (framed(READY), "speaks gate protocol unknown"),
        (framed(GREETING, GREETING), "unexpected EngineHello"),
        (framed(GREETING, READY, READY), "unexpected Ready"),
        (framed(GREETING, b"{}"), "not a frame"),
        (framed(GREETING, b"not json"), "not a frame"),
        (framed(GREETING) + struct.pack(">I", 0), "0 bytes"),
        (framed(GREETING) + struct.pack(">I", codec.MAX_FRAME + 1), "1048577 bytes"),
    ],
)
async def test_a_broken_protocol_ends_the_gate(sent: bytes, told: str) -> None:
    ours, theirs = socket.socketpair()
    broker = Broker(ours)
    _, writer = await asyncio.open_unix_connection(sock=theirs)
    writer.write(sent)
    with pytest.raises(GateError, match=told):
        await asyncio.wait_for(broker.gate.run(), DEADLINE)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"", b"\0", framed(GREETING), framed(GREETING) + b"\0\0\0\x05{"])
async def test_an_engine_that_goes_away_just_ends_the_gate(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    broker = Broker(ours)
    _, writer = await asyncio.open_unix_connection(sock=theirs)
    writer.write(sent)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(broker.gate.run(), DEADLINE)
    assert not broker.gate.ready.done()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_nothing_is_sent_to_an_engine_that_has_just_gone(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Between the end of the connection and the moment in which the gate hears of it."""

    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        broker = Broker(ours)
        _, writer = await asyncio.open_unix_connection(sock=theirs)
        writer.write(framed(GREETING, READY))
        told: list[str] = []

        async def ask() -> None:
            broker.gate.renew(9)
            with pytest.raises(NotReadyError) as refused:
                await broker.gate.authorities(DEADLINE)
            told.append(str(refused.value))
            with pytest.raises(NotReadyError):
                await broker.gate.hold(DEADLINE)

        ending = broker.gate._wire._end

        def ends(error: Exception | None) -> None:
            tasks.create_task(ask())
            ending(error)

        broker.gate._wire._end = ends  # type: ignore[method-assign]
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
            tasks.create_task(broker.gate.run())
            await broker.gate.ready
            writer.close()
        assert told == ["the engine is not running"]

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


async def test_answers_an_engine_does_not_take_hold_back_further_reading() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        count = 3000
        rules = SubjectRules(tuple(f"{'x' * 100}.{number}" for number in range(20)))
        broker.verdict = Verdict(
            allowed=True, rule="r", reason="", account="choria", permissions=Permissions(publish=rules)
        )
        for number in range(count):
            engine.ask(number)
        first = await engine.receive()
        held_back = count - broker.gate.counters.answered
        assert held_back > count / 2
        rest = [(await engine.receive())["id"] for _ in range(count - 1)]
        assert [first["id"], *rest] == list(range(count))


async def test_a_frame_may_come_in_any_number_of_pieces() -> None:
    async with connected() as (_, engine, _task):
        engine.greet()
        question = {"type": "question", "id": 1, "deadline": int((NOW + 1) * 1000)}
        payload = json.dumps(question | {"request": {"kind": "client", "tls": "mtls"}}).encode()
        for byte in struct.pack(">I", len(payload)) + payload:
            engine.send_raw(bytes([byte]))
            await asyncio.sleep(0)
        assert (await engine.receive())["id"] == 1


async def test_who_is_in_is_told_on() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        engine.send_raw(
            framed(
                READY,
                b'{"type":"admitted","connections":[4,5]}',
                b'{"type":"admitted","again":[{"connection":6,"by":4}]}',
            )
        )
        engine.ask(1)
        await engine.receive()
        assert broker.admitted == [4, 5]
        assert broker.again == [Again(connection=6, by=4)]


async def test_a_fault_of_ours_refuses_one_connection_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        broker.fault = ValueError("year 58882 is out of range")
        engine.ask(1)
        assert (await engine.receive())["allow"] is False
        engine.send_raw(framed(READY, b'{"type":"admitted","connections":[4]}'))
        engine.ask(2)
        assert (await engine.receive())["allow"] is False
        broker.fault = None
        engine.ask(3)
        assert (await engine.receive())["allow"] is True
        told = [record.__dict__["frame"] for record in caplog.records if "please report" in record.getMessage()]
        assert told == ["Question", "Admitted", "Question"]
