"""Who fills a stream, and a purge that says first what goes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.client_end import let_go
from support.streaming import ask, info, kept
from support.terminal import on_terminal
from support.testbed import Authority, configuration

DEADLINE = 60.0
EVENTS = "CHORIA_EVENTS"


@pytest.fixture
async def filled(tmp_path: Path, authority: Authority) -> AsyncIterator[tuple[Path, NetworkBroker, Client]]:
    """Run a broker whose events are of two subjects, 6 and 4 messages."""
    config = configuration(tmp_path, authority, network__stream__store=tmp_path / "store")
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(config) as broker:
        await kept(broker)
        connection = await broker.connect()
        for kind, count in (("alive", 6), ("startup", 4)):
            for _ in range(count):
                await connection.request(f"choria.lifecycle.event.{kind}.server", b"x" * 100, timeout=10)
        yield config, broker, connection
        await let_go(connection)


async def run(config: Path, *arguments: str, answer: str | None = None) -> Result:
    command = ["streams", *arguments, "--config", str(config)]
    return await asyncio.to_thread(CliRunner().invoke, main, command, answer)


async def test_who_fills_a_stream(filled: tuple[Path, NetworkBroker, Client]) -> None:
    config, _, _ = filled
    (found,) = json.loads((await run(config, "contents", EVENTS, "--limit", "1", "--json")).stdout)
    contents = found["contents"]
    assert (contents["messages"], contents["subjects"], contents["others"]) == (10, 2, 4)
    assert contents["filling"] == [{"subject": "choria.lifecycle.event.alive.server", "messages": 6, "share": 0.6}]
    assert contents["max_age"] == 86400
    text = (await run(config, "contents")).stdout
    assert "choria CHORIA_EVENTS: 10 messages" in text
    assert " 60.0%  6  choria.lifecycle.event.alive.server" in text
    assert "KV_CHORIA_LEADER_ELECTION: 0 messages" in text
    missing = await run(config, "contents", "NONE")
    assert (missing.exit_code, "no stream NONE" in missing.stderr) == (1, True)
    elsewhere = await run(config, "contents", "--account", "other")
    assert "account other has no streams; these have: choria" in elsewhere.stderr


async def test_long_work_shows_its_progress_on_a_terminal(filled: tuple[Path, NetworkBroker, Client]) -> None:
    config, _, _ = filled
    program = (sys.executable, "-m", "choria_broker")
    for command, wanted in (
        (("streams", "contents", EVENTS, "--over", "1"), "Measuring for 1 s.*choria CHORIA_EVENTS: 10 messages"),
        (("find", "nobody"), "Asking the members of the cluster.*nobody was not seen"),
        (("drain", "--over", "0s"), "Draining: .*Drained"),
    ):
        async with on_terminal(*program, *command, "--config", config) as terminal:
            await terminal.shows(wanted)
            await terminal.process.wait()


async def test_a_purge_says_first_what_goes_and_asks(filled: tuple[Path, NetworkBroker, Client]) -> None:
    config, broker, connection = filled
    dry = await run(config, "purge", EVENTS, "--dry-run")
    assert "10 messages, " in dry.stdout
    assert "choria.lifecycle.event.startup.server" in dry.stdout
    alone = await run(config, "purge", EVENTS)
    assert (alone.exit_code, "10 messages, " in alone.stdout) == (1, True)
    assert "no terminal for the confirmation; give --yes" in alone.stderr
    assert (await info(connection, EVENTS))["state"]["messages"] == 10

    some = await run(
        config, "purge", EVENTS, "--subject", "choria.lifecycle.event.alive.>", "--keep", "2", "--yes", "--json"
    )
    told = json.loads(some.stdout)
    assert (told["messages"], told["left"], told["dry_run"]) == (4, 6, False)
    none = await run(config, "purge", EVENTS, "--subject", "choria.lifecycle.event.other.>", "--yes")
    assert (none.exit_code, "Nothing to delete" in none.stdout) == (0, True)
    rest = await run(config, "purge", EVENTS, "--yes")
    assert "6 messages deleted, 0 left." in rest.stdout
    acts = [(each.act, each.outcome, each.facts.get("subject", "")) for each in broker.acts.latest]
    assert acts == [
        ("streams purge", "6 messages deleted", ""),
        ("streams purge", "4 messages deleted", "choria.lifecycle.event.alive.>"),
    ]


async def test_on_a_terminal_somebody_types_the_name(filled: tuple[Path, NetworkBroker, Client]) -> None:
    config, _, connection = filled
    command = (sys.executable, "-m", "choria_broker", "streams", "purge", EVENTS, "--config", config)
    async with on_terminal(*command) as terminal:
        await terminal.shows("10 messages, .*Type CHORIA_EVENTS to delete them")
        terminal.press(b"CHORIA_EVENT\n")
        await terminal.shows("nothing was deleted")
        assert await terminal.process.wait() == 1
    assert (await info(connection, EVENTS))["state"]["messages"] == 10
    async with on_terminal(*command) as terminal:
        await terminal.shows("Type CHORIA_EVENTS to delete them")
        terminal.press(b"CHORIA_EVENTS\n")
        await terminal.shows("10 messages deleted, 0 left")
        assert await terminal.process.wait() == 0


async def test_what_comes_after_the_preview_stays(
    filled: tuple[Path, NetworkBroker, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _, connection = filled
    loop = asyncio.get_running_loop()

    def confirmed(*_: object, **__: object) -> None:
        late = connection.request("choria.lifecycle.event.late.server", b"late", timeout=10)
        asyncio.run_coroutine_threadsafe(late, loop).result(DEADLINE)

    monkeypatch.setattr("choria_broker.cli.stream_purge._confirmed", confirmed)
    done = await run(config, "purge", EVENTS)
    assert "10 messages deleted, 1 left." in done.stdout


async def test_what_cannot_be_purged_is_said(filled: tuple[Path, NetworkBroker, Client]) -> None:
    config, broker, connection = filled
    await ask(connection, "STREAM.CREATE.KEPT", {"name": "KEPT", "subjects": ["kept"], "deny_purge": True})
    await connection.request("kept", b"x", timeout=10)
    for stream, wanted, status in (
        ("NONE", "account choria has no stream NONE", 1),
        ("KEPT", "the engine refused", 1),
        ("a.b", "cannot be the name of a stream", 2),
    ):
        result = await run(config, "purge", stream, "--yes")
        assert (result.exit_code, wanted in result.stderr) == (status, True), result.output
    assert broker.acts.latest[0].outcome.startswith("failed: ")


async def test_without_streams_it_says_so(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(config):
        for command in (("contents",), ("purge", "S", "--yes")):
            result = await run(config, *command)
            assert (result.exit_code, "Choria Streams are off" in result.stderr) == (1, True)
