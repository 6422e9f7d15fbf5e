"""Events as messages."""

from __future__ import annotations

import json

import pytest

from choria_broker.audit.events import Event, EventPage, Kind
from choria_broker.audit.publishing import messages, subject


@pytest.mark.parametrize(
    ("broker", "wanted"),
    [
        ("b1.example.net", "choria.broker.event.act.b1.example.net"),
        ("a b>*", "choria.broker.event.act.a_b__"),
        ("x..y", "choria.broker.event.act.x._.y"),
    ],
)
def test_subjects_are_subjects(broker: str, wanted: str) -> None:
    assert subject("act", broker) == wanted


def test_losses_are_told_before_what_is_left() -> None:
    event = Event(number=9, time=1.0, kind=Kind.ACT, what="reload", identity="root", facts={"why": "x"})
    page = EventPage(time=2.0, broker="b1", events=(event,), after={"act": 9}, lost={"act": 7})
    told = [(place, json.loads(payload)) for place, payload in messages(page)]
    common = {"protocol": "io.choria.broker.v1.event", "broker": "b1"}
    assert told == [
        ("choria.broker.event.loss.b1", common | {"time": 2.0, "kind": "loss", "of": "act", "lost": 7}),
        (
            "choria.broker.event.act.b1",
            common
            | {"id": "act-9", "number": 9, "time": 1.0, "kind": "act", "what": "reload", "identity": "root"}
            | {"facts": {"why": "x"}},
        ),
    ]
