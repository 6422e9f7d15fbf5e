"""Every frame of the gate as a document, which the engine's tests read too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from choria_broker.access.request import Authority, Certificate, ConnectRequest, Intermediate
from choria_broker.access.session import Busy, BusySession, Departed, Holder, Session
from choria_broker.engine.gate import codec, frames
from support.value_fields import field_names

VECTORS = Path(__file__).parents[3] / "vectors" / "gate"
BROKER, ENGINE = (sorted(VECTORS.glob(f"{side}/*.json")) for side in ("broker", "engine"))


def written(frame: frames.BrokerFrame | frames.EngineFrame) -> Any:
    return json.loads(msgspec.json.encode(frame))


def filled(document: Any) -> Any:
    """Leave out what says nothing, which the engine does not write and the broker does."""
    if not isinstance(document, dict):
        return document
    return {name: filled(value) for name, value in document.items() if value not in ("", None, False)}


@pytest.mark.parametrize("vector", BROKER, ids=lambda path: path.stem)
def test_what_the_broker_sends(vector: Path) -> None:
    frame = msgspec.json.decode(vector.read_bytes(), type=frames.BrokerFrame)
    data = codec.encode(frame)
    assert json.loads(data[codec.LENGTH.size :]) == json.loads(vector.read_bytes())
    assert codec.LENGTH.unpack_from(data) == (len(data) - codec.LENGTH.size,)


@pytest.mark.parametrize("vector", ENGINE, ids=lambda path: path.stem)
def test_what_the_engine_sends(vector: Path) -> None:
    frame = codec.decode(vector.read_bytes())
    assert filled(written(frame)) == filled(json.loads(vector.read_bytes()))


def test_every_frame_and_every_field_has_a_vector() -> None:
    seen: dict[str, set[str]] = {}
    for path in (*BROKER, *ENGINE):
        document = json.loads(path.read_bytes())
        frame = f"{path.parent.name} {document.pop('type')}"
        seen.setdefault(frame, set()).update(document)
    declared = {
        f"{side} {each.__struct_config__.tag}": {field.name for field in msgspec.structs.fields(each)}
        for side, union in (("broker", frames.BrokerFrame), ("engine", frames.EngineFrame))
        for each in union.__args__
    }
    assert seen == declared


CERTIFICATE = ("request", "certificate")


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (ConnectRequest, ("request",)),
        (Certificate, CERTIFICATE),
        (Intermediate, (*CERTIFICATE, "intermediates", 0)),
        (Authority, (*CERTIFICATE, "authority")),
    ],
)
def test_the_question_has_every_field_of_a_request(kind: type[Any], place: tuple[str, ...]) -> None:
    document = json.loads((VECTORS / "engine" / "question.json").read_bytes())
    for name in place:
        document = document[name]
    assert set(document) == set(field_names(kind))


def test_sessions_and_holders_have_every_field() -> None:
    listed = json.loads((VECTORS / "engine" / "listed.json").read_bytes())["sessions"][0]
    ended = json.loads((VECTORS / "engine" / "listed-ended.json").read_bytes())["sessions"][0]
    assert set(listed) == set(Session.__struct_fields__)
    assert set(listed["holder"]) == set(Holder.__struct_fields__)
    assert set(listed | ended) == set(Departed.__struct_fields__)
    busiest = json.loads((VECTORS / "engine" / "listed-busiest.json").read_bytes())
    assert set(busiest["sessions"][0]) == set(BusySession.__struct_fields__)
    assert set(busiest["busy"]) == set(Busy.__struct_fields__)


@pytest.mark.parametrize(
    ("vector", "kind"),
    [("listed", Session), ("listed-ended", Departed), ("listed-none", Session), ("listed-busiest", BusySession)],
)
def test_sessions_are_read(vector: str, kind: type[Any]) -> None:
    text = (VECTORS / "engine" / f"{vector}.json").read_bytes()
    page = codec.decode(text)
    assert isinstance(page, frames.Listed)
    told = json.loads(msgspec.json.encode(codec.listed_sessions(page, kind)))
    assert [{name: value for name, value in each.items() if value not in (0, {}, None)} for each in told] == json.loads(
        text
    )["sessions"]
