"""The reference pages say what the code says."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import click
import pytest
from aiohttp import web

from choria_broker.access.rules import RULES
from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.companions.metrics import ROWS
from choria_broker.config.load import Loaded
from support.leaflinks import hub, remote, spoke
from support.pages import ROOT, names, rows
from support.reference_pages import PAGES
from support.testbed import Authority, client, configuration, free_port, ignore_error
from support.topology import Node

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
SOURCE = ROOT / "src/choria_broker"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), (
        "run .venv/bin/python tests/support/reference_pages.py"
    )


def test_every_refusing_rule_has_its_first_aid() -> None:
    page = DOCS / "how-to/refused.md"
    explained = [names(row[0])[0] for row in rows(page, "3. Look the rule up")]
    assert explained == [rule.name for rule in RULES.values() if not rule.accepts]
    for row in rows(page, "Connected, but not answered"):
        assert all(RULES[name].accepts for name in names(row[0]))


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name; groups have no options but help, or do something by themselves."""
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield name, command
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from commands(found, f"{name} {child}")
    else:
        yield name, command


def own_rows(command: click.Command, name: str) -> tuple[tuple[str, ...], ...]:
    """Rows of a command's section, without those of the sections of its own commands, which come after."""
    page = REFERENCE / "commands.md"
    found = rows(page, name)
    if isinstance(command, click.Group):
        below = [own_rows(child, path) for path, child in commands(command, name) if child is not command]
        found = found[: len(found) - sum(map(len, below))]
    return found


@pytest.mark.parametrize(
    ("name", "command"), [pytest.param(*pair, id=pair[0]) for pair in commands(main, "choria-broker")]
)
def test_commands_are_listed_with_all_their_options(name: str, command: click.Command) -> None:
    options = [each for each in command.params if isinstance(each, click.Option)]
    expected = {tuple(sorted((*each.opts, *each.secondary_opts))): each.hidden for each in options}
    shown = {}
    for cells in own_rows(command, name):
        flags = tuple(sorted(code.split(" ")[0] for code in names(cells[0])))
        shown[flags] = cells[1].startswith("hidden: ")
    assert shown == expected


def test_every_command_tells_its_exit_status() -> None:
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    parts = re.split(r"^#+ (choria-broker .*)$", text, flags=re.MULTILINE)
    told = {name for name, section in zip(parts[1::2], parts[2::2], strict=True) if re.search(r"[Ee]xit", section)}
    for name, _ in commands(main, "choria-broker"):
        assert name in told or name.rpartition(" ")[0] in told, name


def test_every_command_has_its_section() -> None:
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^#+ (choria-broker .*)$", text, re.MULTILINE))
    leaves = {name for name, _ in commands(main, "choria-broker")}
    groups = {name.rpartition(" ")[0] for name in leaves} - {"choria-broker"}
    assert documented == leaves | groups


@contextlib.asynccontextmanager
async def shown(broker: NetworkBroker) -> AsyncIterator[aiohttp.ClientSession]:
    """Run a broker with its pages at a port of ours."""
    runner = web.AppRunner(broker.http_app())
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with broker, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield session
    finally:
        await runner.cleanup()


async def meet_strangers(broker: NetworkBroker, authority: Authority) -> None:
    """Have a broker let one connection in and refuse another."""
    async with client(broker, authority.context(authority.issue("bob.mcollective"))):
        with pytest.raises(Exception, match="Authorization Violation"):
            async with client(broker, authority.context(), error_cb=ignore_error):
                pass


async def page_of_metrics(session: aiohttp.ClientSession, wanted: str) -> str:
    """Return the metrics, once there is a sample of one."""
    async with asyncio.timeout(20):
        while True:
            async with session.get("/choria/prometheus") as answer:
                text = await answer.text()
            if wanted in text:
                return text
            await asyncio.sleep(0.05)


def families(broker: NetworkBroker, text: str) -> dict[str, str]:
    """Type of every family on a page, and of those that the broker keeps without any sample so far."""
    found = dict(re.findall(r"^# TYPE (choria_\S+) (\S+)$", text, re.MULTILINE))
    for metric in broker.registry.collect():
        if not metric.samples:
            of_the_original = metric.name in {row.name for row in ROWS}
            found[metric.name + "_total" * (metric.type == "counter" and not of_the_original)] = metric.type
    return found


async def test_metrics_are_those_of_a_real_broker(tmp_path: Path, authority: Authority) -> None:
    """The broker has let one connection in, refused another and joined a hub."""
    above = Node("hub.example.net")
    made = spoke(tmp_path, authority, Node("edge.example.net"), **remote("hub", above.leafnode))
    broker = NetworkBroker(made.settings, loaded=Loaded(None, (), (), srv_lookups=1), poll_interval=0.05)
    async with hub(tmp_path, authority, above), shown(broker) as session:
        await meet_strangers(broker, authority)
        await page_of_metrics(session, "choria_network_leafnode_rtt_ms{")
        text = await page_of_metrics(session, "choria_broker_health_since_timestamp_seconds{")
        real = families(broker, text)
    listed = {
        names(row[0])[0]: (row[1], set(names(row[2])))
        for row in rows(REFERENCE / "metrics-and-logs.md", "Metrics")
        if len(row) == 4
    }
    assert {name: kind for name, (kind, _) in listed.items()} == real
    for name, (_, labels) in listed.items():
        for found in re.findall(rf"^{name}(?:_count)?(?:\{{(.*)\}})? \S+$", text, re.MULTILINE):
            assert set(re.findall(r'(\w+)="', found)) == labels, name
    for path in sorted((DOCS).rglob("*.md")):
        for name in re.findall(r"choria_broker_[a-z_]+", path.read_text(encoding="utf-8")):
            assert name in real, f"{path} names {name}"


async def test_lines_about_connections_have_the_fields_that_are_listed(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "choria_broker")
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        await meet_strangers(broker, authority)
    lines = {record.getMessage(): record.__dict__ for record in caplog.records if record.name == "choria_broker.access"}
    listed = {
        names(row[0])[0]: row[1]
        for row in rows(REFERENCE / "metrics-and-logs.md", "`component=access`")
        if len(row) == 2
    }
    standard = {"component", "message", "asctime", "taskName"}
    plain = set(vars(__import__("logging").makeLogRecord({}))) | standard
    both = {name for name, meaning in listed.items() if not re.match("(accepted|refused) only", meaning)}
    accepted = both | {name for name, meaning in listed.items() if meaning.startswith("accepted only")}
    refused = both | {name for name, meaning in listed.items() if meaning.startswith("refused only")}
    assert set(lines["Connection accepted"]) - plain == accepted
    assert set(lines["Connection refused"]) - plain == refused - {"cn", "serial", "fingerprint"}


def test_log_lines_to_look_for_are_in_the_source() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py")))
    engine = {"Server is ready"}
    for row in rows(REFERENCE / "metrics-and-logs.md", "Lines to look for"):
        (text,) = names(row[0])
        # Texts with a value in them stand in the source up to that value.
        assert text in engine or text in source or text.removesuffix("nats://") in source, text
