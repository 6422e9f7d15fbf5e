"""The standard streams, field by field."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.settings import Issuer, Network, Security, Settings, StandardStream, Streams, Tls
from choria_broker.streams.standard import plan, stream_accounts

HOUR = 3_600_000_000_000
ON = Streams(store=Path("/s"))
EVERYWHERE = {
    "retention": "limits",
    "storage": "file",
    "max_msgs": -1,
    "max_bytes": -1,
    "max_consumers": -1,
    "deny_purge": False,
    "mirror_direct": False,
    "sealed": False,
    "no_ack": False,
    "compression": "none",
    "num_replicas": 1,
}
PLAIN = EVERYWHERE | {
    "discard": "old",
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "deny_delete": False,
    "allow_rollup_hdrs": False,
    "allow_direct": False,
}
EXPECTED = {
    "CHORIA_EVENTS": PLAIN | {"subjects": ["choria.lifecycle.>"], "max_age": 24 * HOUR},
    "CHORIA_MACHINE": PLAIN | {"subjects": ["choria.machine.>"], "max_age": 24 * HOUR},
    "CHORIA_STREAM_ADVISORIES": PLAIN | {"subjects": ["$JS.EVENT.ADVISORY.>"], "max_age": 168 * HOUR},
    "CHORIA_EXECUTOR": PLAIN
    | {
        "subjects": ["choria.submission.in.choria.executor.>"],
        "description": "Choria Executor Events",
        "max_age": 24 * HOUR,
        "allow_direct": True,
        "subject_transform": {"src": "choria.submission.in.choria.executor.>", "dest": "choria.executor.>"},
    },
    "KV_CHORIA_LEADER_ELECTION": EVERYWHERE
    | {
        "subjects": ["$KV.CHORIA_LEADER_ELECTION.>"],
        "description": "Choria Leader Election Bucket",
        "max_age": 60_000_000_000,
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_msg_size": 1024,
        "deny_delete": True,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
    },
}
"""In the order they are made."""


def test_every_field_of_every_stream() -> None:
    streams = dataclasses.replace(ON, executor=StandardStream(86400.0))
    documents = [each.document() for each in plan(streams, 0).managed]
    assert documents == [{"name": name} | fields for name, fields in EXPECTED.items()]


def test_the_executors_stream_is_off_unless_it_is_asked_for() -> None:
    made = plan(ON, 0)
    assert [each.name for each in made.managed] == [name for name in EXPECTED if name != "CHORIA_EXECUTOR"]
    assert made.left_alone == ("CHORIA_EXECUTOR",)
    assert made.wanted == (-1,) * 4


@pytest.mark.parametrize("retention", [0.0, -1.0])
def test_streams_without_retention_are_left_alone(retention: float) -> None:
    off = StandardStream(retention)
    made = plan(dataclasses.replace(ON, events=off, machine=off, advisories=off), 3)
    assert [each.name for each in made.managed] == ["KV_CHORIA_LEADER_ELECTION"]
    assert len(made.left_alone) == 4


def test_nothing_is_managed_when_nothing_is_to_be() -> None:
    made = plan(dataclasses.replace(ON, manage=False), 3)
    assert (made.managed, made.wanted) == ((), ())
    assert made.left_alone == tuple(EXPECTED)


def test_each_stream_has_its_own_copies() -> None:
    streams = dataclasses.replace(
        ON, events=StandardStream(1.0, 1), machine=StandardStream(1.0, 2), leader_election=StandardStream(60.0, 3)
    )
    made = plan(streams, 4)
    assert [each.replicas for each in made.managed] == [1, 2, 4, 3]
    assert made.wanted == (1, 2, -1, 3)
    assert made.peers == 4


@given(st.floats(0.1, 3e8), st.integers(0, 9))
def test_ages_are_whole_nanoseconds(age: float, peers: int) -> None:
    (events, *_) = plan(dataclasses.replace(ON, events=StandardStream(age)), peers).managed
    written = events.document()["max_age"]
    assert isinstance(written, int)
    assert written == pytest.approx(age * 1e9)


ISSUERS = (Issuer("acme", "ab", "ACME"), Issuer("globex", "cd", "ACME"), Issuer("choria", "ef"), Issuer("x", "0", "X"))


@pytest.mark.parametrize(
    ("streams", "issuers", "accounts"),
    [
        (Streams(), (), ()),
        (Streams(), ISSUERS, ()),
        (ON, (), ("choria",)),
        (ON, ISSUERS, ("choria", "ACME", "X")),
    ],
)
def test_accounts_of_organizations_have_the_streams_too(
    streams: Streams, issuers: tuple[Issuer, ...], accounts: tuple[str, ...]
) -> None:
    settings = Settings(
        source=Path("/b.conf"),
        identity="b",
        tls=Tls(enabled=False, everywhere=False, verify_clients=False, files=None),
        network=Network(streams=streams, accounts=("OTHER",)),
        security=Security(issuers=issuers),
    )
    assert stream_accounts(settings) == accounts
