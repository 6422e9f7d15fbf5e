"""Choria Streams of a running broker, in a table and for scripts."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import streams as command
from choria_broker.status.document import Status, StoreReport, StreamTrouble
from choria_broker.status.streams_now import StandingReport, StreamsNow
from choria_broker.streams.report import Report, State
from support import statuses

GIB = 1 << 30
STORE = StoreReport(True, 3, 1, 10, GIB, 3 * GIB, 8 * GIB, "/store")
EVENTS = StandingReport("choria", "CHORIA_EVENTS", True, "", "b1")
NOW = StreamsNow(StandingReport("", "", True, "", "b1"), (EVENTS,), others=2)
STATUS = msgspec.structs.replace(
    statuses.STATUS,
    streams=(Report("choria", "CHORIA_EVENTS", State.OK, "created"), Report("choria", "OTHER", State.NOT_MANAGED)),
    streams_now=NOW,
    store=STORE,
)


def grown(size: int) -> Status:
    return msgspec.structs.replace(STATUS, store=msgspec.structs.replace(STORE, bytes_used=GIB + size))


def run(monkeypatch: pytest.MonkeyPatch, looks: list[Status], *options: str) -> Result:
    waited: list[float] = []
    monkeypatch.setattr(command, "ask_status", lambda _config: looks.pop(0))
    monkeypatch.setattr("choria_broker.cli.streams.time.sleep", waited.append)
    result = CliRunner().invoke(command.streams, ["--config", "x", *options])
    assert not looks
    return result


def test_all_are_well(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, [STATUS])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "ACCOUNT  STREAM         SET UP       NOW",
        "choria   CHORIA_EVENTS  created      writable, leader b1",
        "choria   OTHER          not-managed  no copy here, or not read yet",
        "Streams of the cluster: leader b1",
        "Other streams: 2, all healthy",
        "Store /store: 1.0 GiB used of at most 3.0 GiB, 8.0 GiB left on its disk",
        "In it: 3 streams, 10 messages, 1 consumers",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"streams": (Report("choria", "A", State.FAILED, reason="no room"),)},
        {"streams_now": msgspec.structs.replace(NOW, others_not_writable=1, worst="X cannot be written")},
        {"streams_now": StreamsNow(StandingReport("", "", False, "no member leads", ""))},
        {"streams_now": StreamsNow(None, (msgspec.structs.replace(EVENTS, writable=False, obstacle="no leader"),))},
    ],
)
def test_a_script_is_told_of_trouble(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    assert run(monkeypatch, [msgspec.structs.replace(STATUS, **changes)]).exit_code == 3


def test_when_the_store_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, [STATUS, grown(1 << 20)], "--over", "60")
    assert result.stderr == ""  # No terminal, no progress.
    assert result.stdout.splitlines()[-1] == "The store grew by 1.0 MiB in 60 s; at that rate it is full in 1.4 days."
    assert run(monkeypatch, [STATUS, STATUS], "--over", "60").stdout.endswith("The store did not grow in 60 s.\n")
    told = json.loads(run(monkeypatch, [STATUS, grown(1 << 20)], "--over", "60", "--json").stdout)
    assert told["growth"] == {"seconds": 60, "bytes": 1 << 20, "days_until_full": 1.4}


def test_what_was_wrong_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = StreamTrouble("full", "", "", "no room", "make room", 2, 1.0)
    off = StoreReport(False, 0, 0, 0, 0, 0)
    status = msgspec.structs.replace(STATUS, stream_troubles=(trouble,), store=off, streams_now=None, streams=())
    assert run(monkeypatch, [status]).output.splitlines() == [
        "The engine has turned streams off; choria-broker status says why.",
        "Problem, 2 times since the start: no room. Remedy: make room",
    ]


def test_a_broker_without_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, [msgspec.structs.replace(STATUS, streams=(), store=None, streams_now=None)])
    assert result.exit_code == 1
    assert "plugin.choria.network.stream.store" in result.output
