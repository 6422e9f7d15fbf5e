"""The keeper against an engine that answers as told: races, failures for a while and for good, lost connections."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import nats.errors
import pytest
from nats.aio.client import Client

from choria_broker.errors import NotReadyError
from choria_broker.settings.streams import Streams
from choria_broker.streams.api import StreamsApi, UnansweredError
from choria_broker.streams.keeper import Keeper, Timers
from choria_broker.streams.ledger import Ledger
from choria_broker.streams.report import Report, State
from choria_broker.streams.standard import plan
from support.standard_streams import NAMES, created, standard

Reaction = BaseException | int | bytes | None
"""What comes in place of an answer: an error of the client, one of the API, some bytes; None for the usual answer."""


class Answer:
    def __init__(self, data: bytes) -> None:
        self.data = data


class Engine:
    """The Streams API of one account, in memory.

    Attributes:
        streams: configurations by name.
        calls: requests so far, such as ``CREATE CHORIA_EVENTS``.
        reactions: what comes instead of the next answers to a request.
        connected: tells a client whether it is connected.
        connections, closed: how many there were, and how many were closed.
        cluster: what the cluster is called that has the streams.
    """

    def __init__(self) -> None:
        self.streams: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.reactions: dict[str, list[Reaction]] = {}
        self.refusals: list[Exception] = []
        self.is_connected = True
        self.connections = self.closed = 0
        self.cluster = ""
        self.first_ts = "2026-01-01T00:00:02Z"

    async def connect(self, _account: str, **_options: object) -> Client:
        if self.refusals:
            raise self.refusals.pop(0)
        self.connections += 1
        self.is_connected = True
        return cast("Client", self)

    async def close(self) -> None:
        self.closed += 1

    async def request(self, subject: str, payload: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 - as the client's
        assert timeout > 0
        call, _, name = subject.removeprefix("$JS.API.STREAM.").partition(".")
        self.calls.append(f"{call} {name}")
        reaction = (self.reactions.get(f"{call} {name}") or [None]).pop(0)
        if isinstance(reaction, BaseException):
            raise reaction
        if isinstance(reaction, bytes):
            return Answer(reaction)
        if reaction:
            return self._refuse(reaction)
        if call == "INFO" and name not in self.streams:
            return self._refuse(10059)
        if call != "INFO":
            document = json.loads(payload)
            window = min(document["max_age"], 120_000_000_000)
            self.streams[name] = {"duplicate_window": window} | document
        state = {"messages": 3, "first_ts": self.first_ts}
        told = {"config": self.streams[name], "created": "2026-01-01T00:00:01.5Z", "state": state}
        told["cluster"] = {"name": self.cluster}
        return Answer(json.dumps(told).encode())

    @staticmethod
    def _refuse(code: int) -> Answer:
        problem = {"code": 500, "err_code": code, "description": f"problem {code}"}
        return Answer(json.dumps({"error": problem}).encode())


class Scene:
    """A keeper of one account on such an engine."""

    def __init__(
        self, streams: Streams | None = None, *, peers: int = 0, accounts: tuple[str, ...] = ("choria",)
    ) -> None:
        self.engine, self.pauses = Engine(), list[int]()
        self.ledger = Ledger()
        self.timers = Timers(first=lambda _wanted, _peers: 0.0, pause=self.pause)
        self.plan = plan(streams or Streams(store=Path("/s")), peers, "NEW")
        self.accounts = accounts

    def pause(self, attempt: int) -> float:
        self.pauses.append(attempt)
        return 0.0

    async def run(self, connect: Callable[..., Awaitable[Client]] | None = None) -> None:
        async with asyncio.timeout(5):
            keeper = Keeper(self.plan, self.accounts, connect or self.engine.connect, self.ledger, self.timers)
            await keeper.run()
        assert self.engine.closed == self.engine.connections

    @property
    def outcomes(self) -> dict[str, str]:
        return {report.stream: report.outcome or report.state for report in self.ledger.reports}


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def test_streams_are_made_in_their_order(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    scene = Scene()
    await scene.run()
    assert scene.engine.calls == [f"{call} {name}" for name in NAMES for call in ("INFO", "CREATE")]
    assert lines(caplog) == created()
    assert lines(caplog)[0] == "Created stream CHORIA_EVENTS with 1 replicas and 24h0m0s retention"
    assert scene.pauses == []


async def test_what_is_equal_is_only_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    await scene.run()
    scene.engine.calls.clear()
    caplog.clear()
    await scene.run()
    assert scene.engine.calls == [f"INFO {name}" for name in NAMES]
    assert set(scene.outcomes.values()) == {"unchanged"}
    assert lines(caplog) == []


async def test_what_differs_is_updated_and_told_by_field(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    scene = Scene()
    await scene.run()
    wanted = dict(scene.engine.streams["CHORIA_MACHINE"])
    scene.engine.streams["CHORIA_MACHINE"] |= {"max_msgs": 7, "description": "mine"}
    caplog.clear()
    await scene.run()
    assert lines(caplog) == ["Configured stream CHORIA_MACHINE with 1 replicas and 24h0m0s retention"]
    assert caplog.records[0].__dict__["changes"] == "description from mine to nothing; max_msgs from 7 to -1"
    assert scene.engine.streams["CHORIA_MACHINE"] == wanted
    assert scene.outcomes["CHORIA_MACHINE"] == "updated"


@pytest.mark.parametrize("call", ["INFO", "CREATE"])
@pytest.mark.parametrize(
    "reaction",
    [
        TimeoutError(),
        nats.errors.NoRespondersError(),
        nats.errors.ConnectionClosedError(),
        OSError("broken"),
        b"{",
        *(10005, 10008, 10009, 10023, 10039, 10076),
    ],
)
async def test_what_passes_is_tried_again_until_it_has_passed(
    caplog: pytest.LogCaptureFixture, call: str, reaction: Reaction
) -> None:
    scene = Scene()
    scene.engine.reactions[f"{call} CHORIA_EVENTS"] = [reaction] * 3
    await scene.run()
    assert scene.pauses == [1, 2, 3]
    assert scene.outcomes["CHORIA_EVENTS"] == "created"
    assert len(lines(caplog, logging.ERROR)) == 3
    # The others were made in the first round and are left alone afterwards.
    assert scene.engine.calls.count("INFO CHORIA_MACHINE") == 1


async def test_meanwhile_the_state_and_the_reason_can_be_seen() -> None:
    scene, seen = Scene(), list[Report]()

    def look(_attempt: int) -> float:
        seen.append(scene.ledger.reports[0])
        return 0.0

    scene.engine.reactions["CREATE CHORIA_EVENTS"] = [10008]
    scene.timers = Timers(first=lambda _wanted, _peers: 0.0, pause=look)
    await scene.run()
    (report,) = seen
    assert (report.state, report.reason) == (State.RETRYING, "problem 10008 (10008)")


async def test_what_fails_for_good_stops_no_other_and_is_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.engine.reactions["CREATE CHORIA_EVENTS"] = [10065]
    scene.engine.reactions["CREATE CHORIA_STREAM_ADVISORIES"] = [10052]
    await scene.run()
    assert scene.pauses == []
    failed = dict.fromkeys(("CHORIA_EVENTS", "CHORIA_STREAM_ADVISORIES"), "failed")
    assert scene.outcomes == dict.fromkeys(NAMES, "created") | failed
    first, second, last = lines(caplog, logging.ERROR)
    assert first == "could not create stream CHORIA_EVENTS: problem 10065 (10065)"
    assert last == f"could not setup system streams: {first}; {second}"


async def test_a_refused_update_is_a_failure_of_that_stream() -> None:
    scene = Scene()
    await scene.run()
    scene.engine.streams["CHORIA_EVENTS"]["max_consumers"] = 3
    scene.engine.reactions["UPDATE CHORIA_EVENTS"] = [10052]
    await scene.run()
    assert scene.outcomes["CHORIA_EVENTS"] == "failed"
    assert scene.outcomes["CHORIA_MACHINE"] == "unchanged"


async def test_a_race_with_another_broker_ends_in_an_update() -> None:
    scene = Scene()
    await scene.run()
    scene.engine.streams["CHORIA_EVENTS"]["max_msgs"] = 7
    scene.engine.calls.clear()
    scene.engine.reactions = {"INFO CHORIA_EVENTS": [10059], "CREATE CHORIA_EVENTS": [10058]}
    await scene.run()
    assert scene.engine.calls[:4] == [f"{call} CHORIA_EVENTS" for call in ("INFO", "CREATE", "INFO", "UPDATE")]
    assert scene.outcomes["CHORIA_EVENTS"] == "updated"


async def test_a_name_in_use_that_is_gone_again_is_a_failure() -> None:
    scene = Scene()
    scene.engine.reactions = {"CREATE CHORIA_EVENTS": [10058]}
    await scene.run()
    assert scene.outcomes["CHORIA_EVENTS"] == "failed"


async def test_a_fault_of_the_broker_itself_stops_no_other_stream(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.engine.reactions["INFO CHORIA_EVENTS"] = [ZeroDivisionError()]
    await scene.run()
    assert scene.outcomes["CHORIA_EVENTS"] == "failed"
    assert scene.outcomes["CHORIA_MACHINE"] == "created"
    assert any(record.exc_info for record in caplog.records)


async def test_a_stream_made_over_old_messages_is_told_and_gets_its_description(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene(Streams(store=Path("/s"), standard=standard(event=(0.0, -1), machine=(0.0, -1))))
    scene.engine.first_ts = "2025-12-31T23:59:59.123456789Z"
    await scene.run()
    assert scene.engine.calls[:3] == [f"{call} CHORIA_STREAM_ADVISORIES" for call in ("INFO", "CREATE", "UPDATE")]
    assert "created over 3 messages" in lines(caplog, logging.WARNING)[0]
    assert scene.outcomes["CHORIA_STREAM_ADVISORIES"] == "created"


async def test_a_lost_connection_is_made_anew() -> None:
    scene = Scene()

    def lose(_attempt: int) -> float:
        scene.engine.is_connected = False
        return 0.0

    scene.timers = Timers(first=lambda _wanted, _peers: 0.0, pause=lose)
    scene.engine.reactions["INFO CHORIA_MACHINE"] = [nats.errors.ConnectionClosedError()]
    await scene.run()
    assert scene.engine.connections == 2
    assert scene.outcomes["CHORIA_MACHINE"] == "created"


async def test_connecting_is_tried_until_it_works_and_shows(caplog: pytest.LogCaptureFixture) -> None:
    scene, seen = Scene(), set[tuple[str, str]]()

    def look(_attempt: int) -> float:
        seen.update((report.state, report.reason) for report in scene.ledger.reports)
        return 0.0

    scene.timers = Timers(first=lambda _wanted, _peers: 0.0, pause=look)
    scene.engine.refusals = [
        *(ConnectionRefusedError("refused"), TimeoutError(), NotReadyError("no credentials file")),
        ValueError("a fault of a library, with who knows what in it"),
    ]
    await scene.run()
    assert seen == {
        ("retrying", "could not connect: refused"),
        ("retrying", "could not connect: TimeoutError"),
        ("retrying", "could not connect: no credentials file"),
        ("retrying", "could not connect: ValueError"),
    }
    assert lines(caplog, logging.ERROR)[0] == "could not setup system streams: could not connect: refused"
    assert len(lines(caplog, logging.ERROR)) == 4
    assert scene.outcomes["CHORIA_EVENTS"] == "created"


async def test_accounts_do_not_wait_for_each_other() -> None:
    scene, others = Scene(accounts=("choria", "ACME")), Engine()
    scene.engine.reactions["INFO CHORIA_EVENTS"] = [10008] * 5
    made = asyncio.Event()

    def pause(_attempt: int) -> float:
        if len(others.streams) == len(NAMES):
            made.set()
        return 0.0

    scene.timers = Timers(first=lambda _wanted, _peers: 0.0, pause=pause)

    async def connect(account: str, **options: object) -> Client:
        return await (others if account == "ACME" else scene.engine).connect(account, **options)

    await scene.run(connect)
    assert made.is_set()
    assert sorted(others.streams) == sorted(scene.engine.streams) == sorted(NAMES)
    assert {report.account for report in scene.ledger.reports} == {"choria", "ACME"}


async def test_members_of_a_cluster_wait_first_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    scene, asked = Scene(peers=3), []

    def first(wanted: tuple[int, ...], peers: int) -> float:
        asked.append((wanted, peers))
        return 0.01

    scene.timers = Timers(first=first)
    await scene.run()
    assert asked == [((-1,) * len(NAMES), 3)]
    assert lines(caplog)[0] == "Configuring system streams after 10ms"
    assert scene.engine.streams["CHORIA_EVENTS"]["num_replicas"] == 3


async def test_nothing_to_manage_means_no_connection() -> None:
    for scene in (Scene(Streams(store=Path("/s"), manage=False)), Scene(accounts=())):
        await scene.run()
        assert scene.engine.connections == 0


async def test_a_keeper_that_is_cancelled_closes_its_connection() -> None:
    scene, waiting = Scene(), asyncio.Event()

    def pause(_attempt: int) -> float:
        waiting.set()
        return 60.0

    scene.timers = Timers(first=lambda _wanted, _peers: 0.0, pause=pause)
    scene.engine.reactions["INFO CHORIA_EVENTS"] = [10008]
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(
            Keeper(scene.plan, ("choria",), scene.engine.connect, scene.ledger, scene.timers).run()
        )
        await waiting.wait()
        task.cancel()
    assert scene.engine.connections == scene.engine.closed == 1


async def test_an_api_that_does_not_answer_is_given_its_time_only() -> None:
    engine = Engine()
    engine.reactions["INFO X"] = [TimeoutError()]
    with pytest.raises(UnansweredError, match=r"within 2\.5s"):
        await StreamsApi(cast("Client", engine), 2.5).look_up("X")


@pytest.mark.parametrize(("cluster", "placed"), [("NEW", True), ("ELSEWHERE", False), ("", False)])
async def test_streams_follow_their_cluster_to_its_new_name(cluster: str, *, placed: bool) -> None:
    scene = Scene(peers=3)
    await scene.run()
    scene.engine.cluster = cluster
    scene.engine.streams["CHORIA_EVENTS"]["num_replicas"] = 1
    scene.engine.calls.clear()
    updates = "UPDATE CHORIA_EVENTS"
    scene.engine.reactions[updates] = [10005, None, 10124] if placed else [10005]
    placements = []
    request = scene.engine.request

    async def listen(subject: str, payload: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 - as the client's
        if subject.endswith(updates.replace(" ", ".")):
            document = json.loads(payload)
            placements.append((document.get("placement"), document["num_replicas"]))
        return await request(subject, payload, timeout)

    scene.engine.request = listen  # type: ignore[method-assign]
    again = Scene(peers=3)
    again.engine = scene.engine
    await again.run()
    move = [({"cluster": "NEW"}, 1)]
    assert placements == ([(None, 3), *move, (None, 3), (None, 3)] if placed else [(None, 3), (None, 3)])
    assert scene.engine.streams["CHORIA_EVENTS"]["num_replicas"] == 3
