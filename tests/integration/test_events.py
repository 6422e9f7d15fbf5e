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
from support.streaming import info, kept
from support.testbed import Authority, client, configuration, gets_nowhere, settled

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


async def test_they_are_published_and_kept_where_the_setting_says_so(tmp_path: Path, authority: Authority) -> None:
    store = tmp_path / "store"
    config = configuration(tmp_path, authority, network__publish_events=True, network__stream__store=store)
    web1 = authority.context(authority.issue("web1.example.net"))
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(config) as broker,
        client(broker, web1) as connection,
    ):
        await kept(broker)
        told = await connection.subscribe("choria.broker.event.decision.>")
        await settled(connection)
        async with client(broker, authority.context(authority.issue("web2.example.net"))):
            message = await told.next_msg(timeout=DEADLINE)
            while b"web2.example.net" not in message.data:  # Others come before it, the broker's own among them.
                message = await told.next_msg(timeout=DEADLINE)
        event = json.loads(message.data)
        assert event["identity"] == "web2.example.net"
        assert message.subject == "choria.broker.event.decision.broker.example.net"
        assert (event["protocol"], event["what"]) == ("io.choria.broker.v1.event", "accepted")
        assert (await info(connection, "CHORIA_EVENTS"))["state"]["messages"] > 0
        broker._parts.turns.look()
        found = await events(config, "--kind", "stream", "--identity", "choria/CHORIA_EVENTS")
        assert found[-1]["what"] == "ok"

        config.write_text(config.read_text().replace("publish_events = true", "publish_events = false"))
        await broker.reload()
        await kept(broker)
        assert not broker.settings.network.publish_events
        # What others of the cluster may still publish stays in the stream.
        subjects = (await info(connection, "CHORIA_EVENTS"))["config"]["subjects"]
        assert subjects == ["choria.lifecycle.>", "choria.broker.event.>"]


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
