"""What the simulated fleet says can be read by those who read what real programs say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.adapters.unwrap import unwrap
from choria_broker.demo import messages
from choria_broker.demo.people import SERVERS

REPLY = "mcollective.reply.0c2f.1"


def asked(reply_to: str = REPLY) -> bytes:
    return messages.request("up=alice", "discovery", "ping", number="17", reply_to=reply_to, now=1000)


def test_a_request_is_read_back() -> None:
    read = unwrap(asked(), request=True)
    assert (read.sender, read.request, read.nanoseconds) == ("up=alice", "17", 1000 * 10**9)
    assert messages.asked_by(asked()) == messages.Asked("17", REPLY)


def test_an_answer_names_what_it_answers() -> None:
    read = unwrap(messages.reply(messages.Asked("17", REPLY), SERVERS[0], "pong", now=1000), request=False)
    assert (read.sender, read.request) == (SERVERS[0], "17")


@pytest.mark.parametrize(
    "subject",
    ["choria.lifecycle.event.startup.server", "", "mcollective.reply.*", "other.reply.a", "mcollective.reply.a b"],
)
def test_nobody_is_answered_elsewhere(subject: str) -> None:
    assert messages.asked_by(asked(subject)) is None


@pytest.mark.parametrize("number", ["x" * 1000, 17, None])
def test_nobody_is_answered_without_a_number_that_can_be_one(number: Any) -> None:
    sent = messages.request("up=alice", "discovery", "ping", number=number, reply_to=REPLY, now=1000)
    assert messages.asked_by(sent) is None


def test_subjects_of_requests() -> None:
    assert messages.fleet_subject("discovery") == "mcollective.broadcast.agent.discovery"
    assert messages.node_subject("web1.example.net") == "mcollective.node.web1.example.net"


@given(
    st.one_of(
        st.binary(),
        st.recursive(
            st.none() | st.text(),
            lambda inner: st.dictionaries(st.sampled_from(["data", "headers", "message", "reply-to"]), inner),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_garbage_gets_no_answer(message: bytes) -> None:
    assert messages.asked_by(message) is None


@pytest.mark.parametrize("kind", ["startup", "alive", "shutdown"])
def test_events_are_those_that_streams_keep(kind: str) -> None:
    subject, event = messages.event(kind, SERVERS[0], number="1", now=1000)
    told: dict[str, Any] = json.loads(event)
    assert subject == f"choria.lifecycle.event.{kind}.server"
    assert told["protocol"] == f"io.choria.lifecycle.v1.{kind}"
    assert told["identity"] == SERVERS[0]
