"""Pages of the engine become readings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.stats.readings import (
    Gateway,
    Leafnode,
    Route,
    Server,
    Streams,
    read_gateways,
    read_leafnodes,
    read_routes,
)

SAMPLES = Path(__file__).parents[2] / "golden/samples"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


def test_the_server() -> None:
    assert Server.read(sample("varz.json")) == Server(
        name="broker1.example.net",
        id="NDTAEQCYKVBN6WY6NPRIATHLAYPYKWKI4VFI4TW76OIXFSQ2IBIA2NZN",
        version="2.10.10",
        connections=42,
        total_connections=44,
        leafnodes=1,
        in_msgs=33,
        out_msgs=33,
        in_bytes=6879,
        out_bytes=18630,
        subscriptions=95,
        memory=57024512,
    )


def test_leafnodes() -> None:
    assert read_leafnodes(sample("leafz.json")) == (
        Leafnode("broker2.example.net", "choria", "127.0.0.1", 59466, rtt_ms=0.372, subscriptions=5),
    )


def test_streams() -> None:
    assert Streams.read(sample("jsz.json")) == Streams(
        enabled=True,
        memory_max=18957385728,
        store_max=62115449856,
        store_used=37138,
        streams=4,
        messages=31,
        message_bytes=37138,
    )


def test_streams_that_are_off_are_all_zero() -> None:
    assert Streams.read({"disabled": True, "config": {"max_memory": 0}, "memory": 0}) == Streams(enabled=False)


@pytest.mark.parametrize("rtt", ["0s", "", None, "soon", 3])
def test_a_round_trip_time_that_was_not_measured_is_none(rtt: object) -> None:
    assert Leafnode.read({"rtt": rtt}).rtt_ms is None


def test_links() -> None:
    routes = {"routes": [{"remote_name": "b2"}, {"remote_id": "NB3"}, {}]}
    assert read_routes(routes) == (Route("b2"), Route("NB3"))
    dialled = {"remote_name": "b2", "remote_id": "NB2", "did_solicit": True, "ip": "192.0.2.2", "port": 5222}
    assert read_routes({"routes": [dialled]}) == (Route("b2", "192.0.2.2", 5222, solicited=True),)
    facts = {"rtt": "1.5ms", "answered": "2.5s", "remote_version": "2.15.2"}
    assert read_routes({"routes": [{**dialled, **facts}]}) == (
        Route("b2", "192.0.2.2", 5222, solicited=True, rtt_ms=1.5, answered=2.5, version="2.15.2"),
    )
    assert read_leafnodes({"leafs": [{"name": "e", **facts}]}) == (
        Leafnode("e", rtt_ms=1.5, answered=2.5, version="2.15.2"),
    )
    tokyo = {"connection": {"rtt": "1.5ms", "ip": "192.0.2.3", "port": 7222}, "remote_name": "t1", **facts}
    outbound = {"TOKYO": tokyo, "OSAKA": {}}
    assert read_gateways({"outbound_gateways": outbound, "inbound_gateways": {"LONDON": []}}) == {
        "TOKYO": Gateway("t1", "192.0.2.3", 7222, 1.5, 2.5, "2.15.2"),
        "OSAKA": Gateway(),
    }


@given(JSON, st.sampled_from(["connections", "leafs", "rtt", "config", "routes", "outbound_gateways", "port"]))
def test_whatever_the_engine_says_is_read(value: object, key: str) -> None:
    for page in (value, {key: value}, {"leafs": [value]}, {"routes": [value, {"remote_name": value}]}):
        assert isinstance(read_leafnodes(page), tuple)
        assert all(isinstance(name, str) for name in read_gateways(page))
        assert all(route.name for route in read_routes(page))
        for reading in (Server.read(page), Streams.read(page), Leafnode.read(page), Route.read(page)):
            for field in msgspec.structs.fields(reading):
                found = getattr(reading, field.name)
                assert isinstance(found, type(field.default)) or field.name == "rtt_ms"


@pytest.mark.parametrize("strange", [None, "7", [], {}, True, 1.5])
def test_a_field_of_another_type_is_zero_and_the_others_stay(strange: object) -> None:
    found = Server.read({"connections": strange, "routes": 2})
    assert found.connections == (1 if strange == 1.5 else 0)
    assert found.routes == 2


@pytest.mark.parametrize("leafs", [None, {}, "x", 3])
def test_a_list_of_another_type_is_empty(leafs: object) -> None:
    assert read_leafnodes({"leafs": leafs}) == ()
