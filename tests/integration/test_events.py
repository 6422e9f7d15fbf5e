"""What happens to a running broker is told as events."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.testbed import Authority, client, configuration, gets_nowhere

DEADLINE = 60.0


async def events(config: Path, *options: str) -> list[dict[str, Any]]:
    told = await asyncio.to_thread(
        CliRunner().invoke, main, ["events", "--config", str(config), "--no-follow", "--json", *options]
    )
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


async def test_one_stream_has_everything_that_happens(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    web1 = authority.context(authority.issue("web1.example.net"))
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(config) as broker:
        async with client(broker, web1):
            pass
        await gets_nowhere(broker, authority, {})
        await broker.departures.look()
        await asyncio.to_thread(CliRunner().invoke, main, ["kick", "--config", str(config), "--identity", "nobody"])
        found = await events(config)
        assert {each["broker"] for each in found} == {"broker.example.net"}
        told = [(each["kind"], each["what"], each.get("identity", "")) for each in found]
        for wanted in (
            ("decision", "accepted", "web1.example.net"),
            ("decision", "refused", ""),
            ("session", "ended", "web1.example.net"),
        ):
            assert wanted in told
        (act,) = [each for each in found if each["kind"] == "act"]
        assert (act["what"], act["text"]) == ("kick", "ended 0 of 0 sessions")
        (refused,) = [each for each in found if each["what"] == "refused"]
        assert refused["facts"]["rule"]
        assert refused["text"]
        assert [each["what"] for each in await events(config, "--identity", "web1*", "--kind", "session")] == ["ended"]


async def test_who_follows_is_told_as_it_happens(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    web1 = authority.context(authority.issue("web1.example.net"))
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(config) as broker:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-u", "-m", "choria_broker", "events", "--config", str(config), "--kind", "decision", "--since", "1h"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout
        assert process.stderr
        async with client(broker, web1):
            assert b"decision accepted web1.example.net from 127.0.0.1, cid" in await process.stdout.readline()
        async with client(broker, web1):
            assert b"decision accepted web1.example.net" in await process.stdout.readline()
    assert await process.wait() == 1
    assert b"no broker runs" in await process.stderr.read()
