from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.settings.streams import Streams
from choria_broker.streams.comparison import changes, update
from choria_broker.streams.standard import document, plan
from support.standard_streams import standard

STREAMS = {
    each.name: document(each)
    for each in plan(Streams(store=Path("/s"), standard=standard(executor=(3600.0, -1))), 0).managed
}
EVENTS = STREAMS["CHORIA_EVENTS"]
ELECTION = STREAMS["KV_CHORIA_LEADER_ELECTION"]


def told(desired: dict[str, object], **edited: object) -> dict[str, Any]:
    """The engine's own account of a stream: defaults and metadata of its own are added, empty fields left out."""
    age = desired["max_age"]
    assert isinstance(age, int)
    usual = {
        "duplicate_window": min(age, 120_000_000_000),
        "consumer_limits": {},
        "allow_msg_ttl": False,
        "metadata": {"_nats.level": "5", "_nats.req.level": "0", "_nats.ver": "2.15.2"},
    }
    document = copy.deepcopy(desired) | usual | edited
    return {name: value for name, value in document.items() if value is not False or name == "sealed"}


def test_what_another_member_keeps_of_brokers_stays() -> None:
    lifecycle, brokers = "choria.lifecycle.>", "choria.broker.event.>"
    both = [lifecycle, brokers]
    assert changes(EVENTS, told(EVENTS, subjects=both)) == ()
    assert update(EVENTS, told(EVENTS, subjects=[brokers]))["subjects"] == both
    assert update(EVENTS, told(EVENTS, subjects=[lifecycle, "other"]))["subjects"] == [lifecycle]
    (change,) = changes({**EVENTS, "subjects": both}, told(EVENTS))
    assert change.field == "subjects"


@pytest.mark.parametrize("name", STREAMS)
def test_what_was_made_needs_no_change(name: str) -> None:
    assert changes(STREAMS[name], told(STREAMS[name])) == ()
    assert update(STREAMS[name], told(STREAMS[name])) == STREAMS[name]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subjects", ["choria.lifecycle.>", "more"]),
        ("description", "mine"),
        ("retention", "interest"),
        ("discard", "new"),
        ("max_age", 1_000_000_000),
        ("max_msgs", 10),
        ("max_msgs_per_subject", 1),
        ("max_bytes", 1000),
        ("max_msg_size", 1000),
        ("max_consumers", 3),
        ("num_replicas", 3),
        ("duplicate_window", 1_000_000_000),
        ("no_ack", True),
        ("sealed", True),
        ("discard_new_per_subject", True),
        ("allow_rollup_hdrs", True),
        ("allow_direct", True),
        ("mirror_direct", True),
        ("compression", "s2"),
        ("placement", {"cluster": "CHORIA"}),
        ("mirror", {"name": "OTHER"}),
        ("sources", [{"name": "OTHER"}]),
        ("republish", {"src": ">", "dest": "copy.>"}),
        ("subject_transform", {"src": ">", "dest": "x.>"}),
        ("metadata", {"owner": "me", "_nats.ver": "2.15.2"}),
    ],
)
def test_every_edit_is_found_by_its_field_and_reverted(field: str, value: object) -> None:
    (change,) = changes(EVENTS, told(EVENTS, **{field: value}))
    assert change.field == field
    assert field in str(change)
    assert " from " in str(change)
    assert update(EVENTS, told(EVENTS, **{field: value})) == EVENTS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("storage", "memory"),
        ("deny_delete", True),
        ("deny_purge", True),
        ("allow_msg_ttl", True),
        ("allow_msg_schedules", True),
        ("persist_mode", "async"),
        ("allow_msg_counter", True),
    ],
)
def test_what_the_engine_never_changes_stays(field: str, value: object) -> None:
    existing = told(EVENTS, **{field: value})
    assert changes(EVENTS, existing) == ()
    assert update(EVENTS, existing) == EVENTS | {field: value}
    edited = existing | {"max_msgs": 5}
    assert [change.field for change in changes(EVENTS, edited)] == ["max_msgs"]
    assert update(EVENTS, edited)[field] == value


def test_a_bucket_without_protection_gets_it() -> None:
    existing = told(ELECTION)
    del existing["deny_delete"]
    assert [str(change) for change in changes(ELECTION, existing)] == ["deny_delete from false to true"]


def test_the_window_for_duplicates_follows_the_age_and_is_not_sent() -> None:
    shorter = ELECTION | {"max_age": 30_000_000_000}
    found = [change.field for change in changes(shorter, told(ELECTION))]
    assert found == ["duplicate_window", "max_age"]
    assert "duplicate_window" not in update(shorter, told(ELECTION))


@pytest.mark.parametrize(
    ("field", "existing", "words"),
    [
        ("subjects", ["a", "b"], "subjects from a, b to choria.lifecycle.>"),
        ("description", "mine", "description from mine to nothing"),
        ("allow_direct", True, "allow_direct from true to false"),
        ("max_msgs", 10, "max_msgs from 10 to -1"),
        ("max_age", 90_000_000_000, "max_age from 1m30s to 24h0m0s"),
        ("duplicate_window", 500_000_000, "duplicate_window from 500ms to 2m0s"),
        ("duplicate_window", "odd", "duplicate_window from odd to 2m0s"),
    ],
)
def test_changes_in_words(field: str, existing: object, words: str) -> None:
    (change,) = changes(EVENTS, told(EVENTS, **{field: existing}))
    assert str(change) == words


VALUES = (
    st.none() | st.booleans() | st.integers(-1, 10) | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
)


@given(st.sampled_from(sorted(STREAMS)), st.dictionaries(st.sampled_from(sorted(told(EVENTS))), VALUES, max_size=4))
def test_an_update_leaves_nothing_to_change(name: str, edits: dict[str, object]) -> None:
    desired = STREAMS[name]
    sent = update(desired, told(desired, **edits))
    assert changes(desired, told(sent)) == ()
