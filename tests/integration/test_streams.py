"""The standard streams on one broker: made, left alone, mended, and what stands in their way."""

from __future__ import annotations

import asyncio
import logging
import stat
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from nats.aio.client import Client

from choria_broker.cli import main
from choria_broker.client_end import let_go
from choria_broker.control.client import ask_status
from support.minting import ORGANIZATION, OTHER_ORGANIZATION, STRANGER, hex_of
from support.standard_streams import EXPECTED, NAMES, created
from support.streaming import answered_with, ask, broker, changed, info, kept, outcomes
from support.testbed import Authority, client
from support.topology import Node, page

ALL = dict.fromkeys(NAMES, "created")
UNCHANGED = dict.fromkeys(NAMES, "unchanged")
WINDOWS = dict.fromkeys(NAMES, 120_000_000_000) | {"KV_CHORIA_LEADER_ELECTION": 60_000_000_000}
"""Nanoseconds in which the engine recognises a message that is sent twice."""

ABSENT = ("placement", "mirror", "sources", "republish")


def said(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """What was logged about streams, at a level and above."""
    records = [record for record in caplog.records if record.name == "choria_broker.streams"]
    return [record.getMessage() for record in records if record.levelno >= level]


async def updates(connection: Client) -> dict[str, int]:
    """Which streams were updated how often, by the engine's own records."""
    document = {"subjects_filter": "$JS.EVENT.ADVISORY.STREAM.UPDATED.>"}
    state = (await ask(connection, "STREAM.INFO.CHORIA_STREAM_ADVISORIES", document))["state"]
    return {subject.rpartition(".")[2]: count for subject, count in (state.get("subjects") or {}).items()}


async def test_a_fresh_store_gets_them_at_once_exactly(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with broker(tmp_path, authority) as one:
        begun = time.monotonic()
        assert await kept(one) == ALL
        assert time.monotonic() - begun < 9  # A member of a cluster waits for 10 seconds before it begins.
        connection = await one.connect()
        for name, fields in EXPECTED.items():
            found = (await info(connection, name))["config"]
            told = {"no_ack": False, "description": ""} | found
            assert {field: told[field] for field in fields} == fields
            assert told["description"] == fields.get("description", "")
            assert told["duplicate_window"] == WINDOWS[name]
            assert not [field for field in ABSENT if found.get(field)]
            assert all(key.startswith("_nats.") for key in found["metadata"])
        names = (await ask(connection, "STREAM.NAMES"))["streams"]
        assert sorted(names) == sorted(EXPECTED)
        assert (await info(connection, "CHORIA_STREAM_ADVISORIES"))["state"]["messages"] > 0
        await connection.publish("choria.submission.in.choria.executor.x", b"an event")
        await connection.flush()
        stored = await answered_with(connection, "message", "STREAM.MSG.GET.CHORIA_EXECUTOR", {"seq": 1})
        assert stored["message"]["subject"] == "choria.executor.x"
        await let_go(connection)
    assert said(caplog) == created()
    assert said(caplog)[-1] == "Created stream KV_CHORIA_LEADER_ELECTION with 1 replicas and 1m0s retention"
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o750


async def test_a_restart_changes_nothing_and_asks_for_no_update(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority) as one:
        await kept(one)
        connection = await one.connect()
        await connection.jetstream().publish("choria.lifecycle.event.alive", b"kept")
        before = [(await info(connection, name))["created"] for name in NAMES]
        await let_go(connection)
    async with broker(tmp_path, authority) as one:
        assert await kept(one) == UNCHANGED
        connection = await one.connect()
        assert [(await info(connection, name))["created"] for name in NAMES] == before
        assert (await info(connection, "CHORIA_EVENTS"))["state"]["messages"] == 1
        assert await updates(connection) == {}
        await let_go(connection)
    assert not (tmp_path / "store/kept").exists()


async def test_edits_of_an_operator_are_reverted_and_told_field_by_field(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with broker(tmp_path, authority) as one:
        await kept(one)
        connection = await one.connect()
        before = (await info(connection, "CHORIA_MACHINE"))["config"]
        edits = {"max_msgs": 5, "description": "mine", "allow_direct": True, "duplicate_window": 1_000_000_000}
        await changed(connection, "CHORIA_MACHINE", **edits, max_age=3_600_000_000_000, metadata={"owner": "me"})
        await changed(connection, "CHORIA_EVENTS", subjects=["choria.lifecycle.>", "more.>"])
        await let_go(connection)
    caplog.clear()
    async with broker(tmp_path, authority) as one:
        assert await kept(one) == UNCHANGED | {"CHORIA_EVENTS": "updated", "CHORIA_MACHINE": "updated"}
        connection = await one.connect()
        assert (await info(connection, "CHORIA_MACHINE"))["config"] == before
        assert (await info(connection, "CHORIA_EVENTS"))["config"]["subjects"] == ["choria.lifecycle.>"]
        assert await updates(connection) == {"CHORIA_EVENTS": 2, "CHORIA_MACHINE": 2}
        await let_go(connection)
    events, machine = [record for record in caplog.records if record.getMessage().startswith("Configured stream")]
    assert events.getMessage() == "Configured stream CHORIA_EVENTS with 1 replicas and 24h0m0s retention"
    assert events.__dict__["changes"] == "subjects from choria.lifecycle.>, more.> to choria.lifecycle.>"
    fields = [change.split(" ")[0] for change in machine.__dict__["changes"].split("; ")]
    assert fields == ["allow_direct", "description", "duplicate_window", "max_age", "max_msgs", "metadata"]


async def test_a_broker_that_is_not_to_manage_streams_touches_none(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority, network__stream__manage_streams=0) as one:
        connection = await one.connect()
        assert (await ask(connection, "STREAM.NAMES"))["streams"] is None
        mine = {"name": "CHORIA_EVENTS", "subjects": ["mine"], "storage": "file", "max_msgs": 5}
        assert "error" not in await ask(connection, "STREAM.CREATE.CHORIA_EVENTS", mine)
        await let_go(connection)
        assert outcomes(one) == {}
        assert {report.state for report in one.streams.ledger.reports} == {"not-managed"}
    async with broker(tmp_path, authority, network__stream__manage_streams=0) as one:
        connection = await one.connect()
        assert (await info(connection, "CHORIA_EVENTS"))["config"]["subjects"] == ["mine"]
        await let_go(connection)


async def test_without_retention_a_stream_is_left_as_it_is(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority, network__stream__machine_retention=0) as one:
        await kept(one)
        connection = await one.connect()
        assert sorted((await ask(connection, "STREAM.NAMES"))["streams"]) == sorted({*NAMES} - {"CHORIA_MACHINE"})
        await changed(connection, "CHORIA_EVENTS", max_msgs=5)
        await let_go(connection)
    async with broker(tmp_path, authority, network__stream__event_retention=0) as one:
        left = {name: outcome for name, outcome in UNCHANGED.items() if name != "CHORIA_EVENTS"}
        assert await kept(one) == left | {"CHORIA_MACHINE": "created"}
        connection = await one.connect()
        assert (await info(connection, "CHORIA_EVENTS"))["config"]["max_msgs"] == 5
        await let_go(connection)


async def test_other_ages_are_applied_by_a_restart(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority) as one:
        await kept(one)
    ages = {"network__stream__event_retention": "2d", "network__stream__leader_election_ttl": "10s"}
    async with broker(tmp_path, authority, **ages) as one:
        assert await kept(one) == UNCHANGED | dict.fromkeys(("CHORIA_EVENTS", "KV_CHORIA_LEADER_ELECTION"), "updated")
        connection = await one.connect()
        assert (await info(connection, "CHORIA_EVENTS"))["config"]["max_age"] == 172_800_000_000_000
        election = (await info(connection, "KV_CHORIA_LEADER_ELECTION"))["config"]
        assert election["max_age"] == election["duplicate_window"] == 10_000_000_000
        await let_go(connection)


async def test_what_the_engine_never_changes_is_kept_and_the_rest_mended(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority, network__stream__manage_streams=0) as one:
        connection = await one.connect()
        odd = {"storage": "file", "deny_delete": True, "deny_purge": True, "max_msgs": 5, "allow_msg_ttl": True}
        events = {"name": "CHORIA_EVENTS", "subjects": ["choria.lifecycle.>"]} | odd
        assert "error" not in await ask(connection, "STREAM.CREATE.CHORIA_EVENTS", events)
        await let_go(connection)
    async with broker(tmp_path, authority) as one:
        assert await kept(one) == ALL | {"CHORIA_EVENTS": "updated"}
        connection = await one.connect()
        found = (await info(connection, "CHORIA_EVENTS"))["config"]
        assert {name: found[name] for name in odd} == odd | {"max_msgs": -1}
        await let_go(connection)


async def test_a_stream_in_memory_stays_there(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority) as one:
        await kept(one)
        connection = await one.connect()
        await ask(connection, "STREAM.DELETE.CHORIA_EVENTS")
        memory = {"name": "CHORIA_EVENTS", "subjects": ["choria.lifecycle.>"], "storage": "memory"}
        await ask(connection, "STREAM.CREATE.CHORIA_EVENTS", memory)
        # Reconciling once more, for the engine forgets streams in memory at its end.
        await one.streams._keeper.run()
        assert outcomes(one) == UNCHANGED | {"CHORIA_EVENTS": "updated"}
        found = (await info(connection, "CHORIA_EVENTS"))["config"]
        assert (found["storage"], found["max_age"]) == ("memory", 86_400_000_000_000)
        await let_go(connection)


async def test_one_that_cannot_be_made_stops_no_other_and_shows(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with broker(tmp_path, authority, network__stream__manage_streams=0) as one:
        connection = await one.connect()
        foreign = {"name": "FOREIGN", "subjects": ["choria.lifecycle.>"], "storage": "file"}
        await ask(connection, "STREAM.CREATE.FOREIGN", foreign)
        await let_go(connection)
    async with broker(tmp_path, authority) as one:
        assert await kept(one) == ALL | {"CHORIA_EVENTS": "failed"}
        labels = {"identity": "broker.example.net", "account": "choria", "stream": "CHORIA_EVENTS"}
        value = one.registry.get_sample_value
        assert value("choria_broker_stream_state", labels | {"state": "failed"}) == 1
        assert value("choria_broker_stream_state", labels | {"state": "ok"}) == 0
        assert value("choria_broker_stream_failures_total", labels) == 1
        last = value("choria_broker_stream_last_failure_seconds", labels)
        assert last is not None
        assert abs(time.time() - last) < 60
        status = await asyncio.to_thread(ask_status, one.settings.source)
        (failed,) = [stream for stream in status.streams if stream.state == "failed"]
        assert failed.reason == "subjects overlap with an existing stream (10065)"
        command = ["status", "--config", str(one.settings.source)]
        shown = (await asyncio.to_thread(CliRunner().invoke, main, command)).output
        assert "Streams of choria: CHORIA_EVENTS failed, CHORIA_MACHINE created, CHORIA_STREAM_ADV" in shown
        assert "  choria CHORIA_EVENTS: subjects overlap with an existing stream (10065)" in shown
        connection = await one.connect()
        assert (await info(connection, "FOREIGN"))["config"]["subjects"] == ["choria.lifecycle.>"]
        await let_go(connection)
    one_line, last_line = said(caplog, logging.ERROR)
    assert one_line == "could not create stream CHORIA_EVENTS: subjects overlap with an existing stream (10065)"
    assert last_line == f"could not setup system streams: {one_line}"


ORGANIZATIONS: dict[str, str] = {
    "plugin__security__issuer__names": "acme, globex, choria",
    "plugin__security__issuer__acme__public": hex_of(ORGANIZATION),
    "plugin__security__issuer__acme__account": "ACME",
    "plugin__security__issuer__globex__public": hex_of(OTHER_ORGANIZATION),
    "plugin__security__issuer__globex__account": "GLOBEX",
    "plugin__security__issuer__choria__public": hex_of(STRANGER),
}


async def test_every_organization_gets_its_own(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority, network__accounts="EDGE", **ORGANIZATIONS) as one:
        for account in ("choria", "ACME", "GLOBEX"):
            assert await kept(one, account) == ALL
        acme, globex = await one.connect("ACME"), await one.connect("GLOBEX")
        await acme.jetstream().publish("choria.lifecycle.event.alive", b"of acme")
        states = [(await info(each, "CHORIA_EVENTS"))["state"]["messages"] for each in (acme, globex)]
        assert states == [1, 0]
        await acme.close()
        await globex.close()
        accounts = {report.account for report in one.streams.ledger.reports}
        assert accounts == {"choria", "ACME", "GLOBEX"}
    async with broker(tmp_path, authority, **ORGANIZATIONS) as one:
        for account in accounts:
            assert await kept(one, account) == UNCHANGED


async def test_the_provisioner_reaches_the_one_election_from_its_account(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority, network__provisioning__client_password="provpass") as one:
        await kept(one)
        context = authority.context(authority.issue("provisioner.example.net"))
        async with client(one, context, user="provisioner", password="provpass") as provisioner:
            bucket = "choria.streams.STREAM.INFO.KV_CHORIA_LEADER_ELECTION"
            told = (await provisioner.request(bucket, b"", timeout=5)).data.decode()
            assert '"name":"KV_CHORIA_LEADER_ELECTION"' in told
            key = "$KV.CHORIA_LEADER_ELECTION.provisioner"
            answers = [(await provisioner.request(where + key, b"me")).data for where in ("", "choria.streams.")]
            assert [b'"stream":"KV_CHORIA_LEADER_ELECTION"' in answer for answer in answers] == [True, True]
        connection = await one.connect()
        # One message for each subject: the second took the place of the first.
        state = (await info(connection, "KV_CHORIA_LEADER_ELECTION"))["state"]
        assert (state["messages"], state["last_seq"]) == (1, 2)
        await let_go(connection)


async def test_a_broker_without_peers_makes_one_copy_whatever_it_is_told(tmp_path: Path, authority: Authority) -> None:
    async with broker(tmp_path, authority, network__stream__event_replicas=3) as one:
        assert await kept(one) == ALL
        connection = await one.connect()
        assert (await info(connection, "CHORIA_EVENTS"))["config"]["num_replicas"] == 1
        await let_go(connection)


@pytest.mark.parametrize(
    ("sync", "always", "seconds"), [("default", None, 120), ("always", True, 120), ("500ms", None, 0.5)]
)
async def test_how_often_data_reach_the_disk_is_what_the_engine_was_told(
    tmp_path: Path, authority: Authority, sync: str, *, always: bool | None, seconds: float
) -> None:
    node = Node("broker.example.net")
    statistics = {"plugin__choria__stats_port": node.statistics}
    async with broker(tmp_path, authority, network__stream__sync=sync, **statistics) as one:
        assert await kept(one) == ALL
        config = (await page(node, "/jsz?config=1"))["config"]
        assert config.get("sync_always") is always
        assert config["sync_interval"] == seconds * 1_000_000_000


async def test_a_broker_that_is_stopped_before_it_is_ready_makes_nothing(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one = broker(tmp_path, authority)
    one.stop()
    async with asyncio.timeout(60):
        await one.run()
    assert set(outcomes(one).values()) == {"pending"}
    assert said(caplog, logging.WARNING) == []
