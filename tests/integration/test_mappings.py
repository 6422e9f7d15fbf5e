"""Subject mappings in a running broker, and the engine asked which it takes."""

from __future__ import annotations

import contextlib
import re
import string
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.config.load import load
from choria_broker.config.resolve.subject_mapping import check
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.engine import binary
from choria_broker.engine.conf.syntax import write
from support.mapping_cases import BAD, DOUBTFUL, GOOD
from support.nats_socket import wire
from support.pages import ROOT, names, rows
from support.testbed import Authority, configuration, settled

Pair = tuple[str, str]
"""Source and destination."""

DEADLINE = 60.0
RANGE = 10


def taken(folder: Path, pairs: Sequence[Pair]) -> list[bool]:
    """Ask the engine which mappings it takes: each stands in an account of its own, on a line of its own."""
    lines = ["port: -1", "accounts: {"]
    for number, (source, destination) in enumerate(pairs):
        mapping = write({"mappings": {source: destination}}).splitlines()[1].strip()
        lines.append(f"  A{number}: {{ mappings: {{ {mapping} }} }}")
    path = folder / "mappings.conf"
    path.write_text("\n".join([*lines, "}\n"]), encoding="utf-8")
    objection = ""
    try:
        binary.check(binary.locate(), path)
    except binary.EngineConfigError as error:
        objection = str(error)
    refused = {int(line) - 3 for line in re.findall(r"mappings\.conf:(\d+):", objection)}
    assert bool(refused) is bool(objection), objection
    assert refused <= set(range(len(pairs))), objection
    return [number not in refused for number in range(len(pairs))]


def test_the_engine_takes_what_the_check_passes_and_nothing_else(tmp_path: Path) -> None:
    good = [*GOOD, *((source, destination) for source, destination, _ in DOUBTFUL)]
    bad = [(source, destination) for source, destination, _ in BAD]
    assert len(good) + len(bad) > 60
    verdicts = dict(zip([*good, *bad], taken(tmp_path, [*good, *bad]), strict=True))
    assert [pair for pair in good if not verdicts[pair]] == []
    assert [pair for pair in bad if verdicts[pair]] == []


NUMBERS = st.sampled_from(["1", "2", "3", "0", "-1", "+1", " 1", "01", "x", "", "2147483648", "-2147483649", "9" * 20])
ARGUMENTS = st.one_of(NUMBERS, NUMBERS, st.sampled_from(["-", "@", "- ", " "]))
NAMES = st.one_of(
    st.sampled_from(["wildcard", "partition", "split", "left", "right", "random"]),
    st.sampled_from(["SplitFromLeft", "splitfromright", "sliceFromLeft", "Slicefromright", "Wildcard", "LEFT", "no"]),
)


@st.composite
def functions(draw: st.DrawFn) -> str:
    """Write a function, mostly a sound one."""
    blank, separator = st.sampled_from(["", "", " "]), draw(st.sampled_from([",", ",", ", ", ",\t", " ,"]))
    arguments = separator.join(draw(st.lists(ARGUMENTS, max_size=3)))
    before, after = draw(st.sampled_from(["", "", "", "x", "{{x"])), draw(st.sampled_from(["", "", "", "x", "}}"]))
    return f"{before}{{{{{draw(blank)}{draw(NAMES)}{draw(blank)}({arguments}){draw(blank)}}}}}{after}"


PLAIN = st.text(alphabet=string.ascii_letters + string.digits + "$*>{}() -_,", max_size=4)
SOURCES = st.lists(st.one_of(st.sampled_from("ab**>"), PLAIN), min_size=1, max_size=4).map(".".join)
DESTINATIONS = st.lists(
    st.one_of(st.sampled_from(["a", "b", ">", "$1", "$2"]), functions(), functions(), PLAIN), min_size=1, max_size=3
).map(".".join)
PAIRS = st.tuples(SOURCES.filter(bool), DESTINATIONS.filter(bool))


@pytest.mark.slow
@hypothesis.settings(max_examples=40, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(st.lists(PAIRS, min_size=20, max_size=40))
def test_engine_and_check_agree_on_any_mapping(tmp_path: Path, pairs: list[Pair]) -> None:
    for (source, destination), verdict in zip(pairs, taken(tmp_path, pairs), strict=True):
        assert (check(source, destination) == "") is verdict, (source, destination)


def settings(*mappings: tuple[str, str, str]) -> dict[str, str]:
    """Write mappings, given as name, source and destination, as lines of a configuration."""
    lines = {"network__mapping__names": ", ".join(name for name, _, _ in mappings)}
    for name, source, destination in mappings:
        lines[f"network__mapping__{name}__source"] = source
        lines[f"network__mapping__{name}__destination"] = destination
    return lines


class Mapped:
    """A client of a broker with mappings, which hears everything below ``out``."""

    def __init__(self, client: Client, heard: AsyncIterator[str]) -> None:
        """Take over a connection."""
        self._client, self._heard = client, heard

    async def sent_to(self, subject: str) -> str:
        """Publish to a subject and return where the message arrived."""
        await self._client.publish(subject, b"x")
        return await anext(self._heard)


@contextlib.asynccontextmanager
async def mapped(tmp_path: Path, authority: Authority, *mappings: tuple[str, str, str]) -> AsyncIterator[Mapped]:
    """Run a broker with mappings."""
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **settings(*mappings))) as broker:
        connection = await broker.connect()
        try:
            subscription = await connection.subscribe("out.>")
            await settled(connection)

            async def heard() -> AsyncIterator[str]:
                while True:
                    yield (await subscription.next_msg(timeout=DEADLINE)).subject

            yield Mapped(connection, heard())
        finally:
            await let_go(connection)


def bucket(text: str, buckets: int) -> int:
    """Place a text as ``partition`` does: by FNV-1a of 32 bits."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value % buckets


MANUAL = [
    tuple(names(cell)[0] for cell in row)
    for row in rows(ROOT / "docs/how-to/mappings.md", "What a destination can have")
    if all(names(cell) and cell == f"`{names(cell)[0]}`" for cell in row)
]
"""Rows of the manual that say exactly where a message arrives: source, destination, published, delivered."""


async def test_messages_arrive_where_the_manual_says(tmp_path: Path, authority: Authority) -> None:
    assert len(MANUAL) == 8
    mappings = [(f"m{number}", source, destination) for number, (source, destination, _, _) in enumerate(MANUAL)]
    async with mapped(tmp_path, authority, *mappings, ("plain", "p", "out.plain")) as client:
        for _, _, subject, arrival in (*MANUAL, ("", "", "p", "out.plain")):
            assert await client.sent_to(subject) == arrival
        assert await client.sent_to("out.untouched") == "out.untouched"


async def test_partitions_are_stable_and_random_is_not(tmp_path: Path, authority: Authority) -> None:
    nodes = [f"web{number}" for number in range(30)]
    parts = ("parts", "part.*", "out.{{partition(3,1)}}.$1")
    dice = ("dice", "dice.*", f"out.{{{{random({RANGE})}}}}")
    async with mapped(tmp_path, authority, parts, dice) as client:
        for node in nodes:
            assert await client.sent_to(f"part.{node}") == f"out.{bucket(node, 3)}.{node}"
        thrown = {await client.sent_to("dice.x") for _ in range(50)}
        assert thrown <= {f"out.{number}" for number in range(RANGE)}
        assert len(thrown) > 1


async def test_bad_mappings_are_left_out_by_name_and_the_others_work(tmp_path: Path, authority: Authority) -> None:
    mappings = [("good", "g.*", "out.$1"), ("wrong", "w.*", "out.$2"), ("half", "h", ""), ("last", "l", "out.last")]
    lines = {key: text for key, text in settings(*mappings).items() if text}
    path = configuration(tmp_path, authority, **lines)
    found = [finding for finding in load(path, Overrides()).findings if finding.code == "bad-mapping"]
    assert [finding.key.removeprefix("plugin.choria.network.") for finding in found] == [
        "mapping.wrong.destination",
        "mapping.half.destination",
    ]
    assert ["mapping wrong is ignored" in str(found[0]), "mapping half is ignored" in str(found[1])] == [True, True]
    assert found[0].origin.line == 1 + path.read_text(encoding="utf-8").splitlines().index(
        "plugin.choria.network.mapping.wrong.destination = out.$2"
    )
    async with NetworkBroker.from_file(path) as broker:
        labels = {"identity": "broker.example.net"}
        assert broker.registry.get_sample_value("choria_broker_config_errors", labels) == 2
        connection = await broker.connect()
        try:
            subscription = await connection.subscribe("out.>")
            await settled(connection)
            for subject, arrival in (("g.a", "out.a"), ("l", "out.last")):
                await connection.publish(subject, b"x")
                assert (await subscription.next_msg(timeout=DEADLINE)).subject == arrival
        finally:
            await let_go(connection)


async def test_the_last_mapping_of_a_source_counts(tmp_path: Path, authority: Authority) -> None:
    repeated = [("one", "r.*", "out.first.$1"), ("two", "r.*", "out.second.$1")]
    async with mapped(tmp_path, authority, *repeated) as client:
        assert {await client.sent_to("r.x") for _ in range(20)} == {"out.second.x"}


async def test_a_mapping_that_others_come_before_is_never_met(tmp_path: Path, authority: Authority) -> None:
    async with mapped(tmp_path, authority, ("all", "o.>", "out.all.>"), ("some", "o.*", "out.some")) as client:
        assert {await client.sent_to("o.x") for _ in range(5)} == {"out.all.x"}


async def test_the_first_mapping_of_the_list_takes_a_subject(tmp_path: Path, authority: Authority) -> None:
    sources = ("x.b.c", "x.b.*", "x.*.c", "x.*.*")
    mappings = [(f"m{number}", source, f"out.{number}") for number, source in enumerate(sources)]
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        async with mapped(folder, authority, *mappings, ("rest", "x.>", "out.rest.>")) as client:
            arrived = [await client.sent_to(subject) for subject in ("x.b.c", "x.b.x", "x.x.c", "x.x.x", "x.x")]
            assert arrived == ["out.0", "out.1", "out.2", "out.3", "out.rest.x"]


async def test_permissions_look_at_the_destination(tmp_path: Path, authority: Authority) -> None:
    """A host outside of client_hosts may not send requests, under whatever name, and may send what is not one."""
    mappings = settings(
        ("into", "harmless.*", "mcollective.node.$1"), ("out", "mcollective.broadcast.agent.*", "out.{{wildcard(1)}}")
    )
    path = configuration(tmp_path, authority, **mappings, network__client_hosts="192.0.2.0/24")
    context = authority.context(authority.issue("node1.example.net"))
    async with NetworkBroker.from_file(path) as broker, wire(broker.ports.client, context) as node:
        await node.connect()
        assert await node.publish(["harmless.n1"], "x") == {"mcollective.node.n1"}
        assert await node.publish(["mcollective.broadcast.agent.discovery"], "x") == frozenset()
        assert await node.publish(["mcollective.broadcast.service.x"], "x") == {"mcollective.broadcast.service.x"}


async def test_mappings_are_of_account_choria_alone(tmp_path: Path, authority: Authority) -> None:
    lines = settings(("m", "a", "out.mapped"))
    lines |= {"network__accounts": "EDGE", "network__unverified_account": "EDGE"}
    async with (
        NetworkBroker.from_file(configuration(tmp_path, authority, **lines)) as broker,
        wire(broker.ports.client, authority.context()) as edge,
    ):
        await edge.connect()
        assert not await edge.subscribe([">"])
        assert not await edge.publish(["a"], "x")
        await edge.flush()
        assert edge.received("x") == {"a"}
