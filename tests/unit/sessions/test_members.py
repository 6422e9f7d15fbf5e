from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from choria_broker.sessions.documents import Sightings
from choria_broker.sessions.members import (
    Member,
    answers_of,
    connections_of,
    has_others,
    member_of,
    missing,
    system_account,
)
from choria_broker.settings.broker import Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.links import Cluster, Gateway, GatewayRemote
from choria_broker.settings.network import Network, SystemUser
from choria_broker.settings.operator import Operator, OperatorAccount
from choria_broker.settings.secret import Secret
from choria_broker.settings.tls import RemoteTls
from choria_broker.values import replace
from support.ready_settings import settings as ready

SERVER = {"name": "broker2", "id": "NABC", "cluster": "CHORIA"}


def test_a_ping_names_a_server() -> None:
    answer = {"server": SERVER, "statsz": {"start": "2026-01-01T00:00:00.123456789Z", "mem": 1}}
    assert member_of(json.dumps(answer).encode()) == Member("broker2", "NABC", "CHORIA", 1767225600.123456)


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"server":{}}', b'{"server":{"name":1}}', b"\xff"])
def test_what_is_no_answer_names_none(answer: bytes) -> None:
    assert member_of(answer) is None


def test_a_server_that_does_not_say_when_it_started() -> None:
    assert member_of(json.dumps({"server": SERVER}).encode()) == Member("broker2", "NABC", "CHORIA", 0.0)


def test_answers_of_others_count_once() -> None:
    others = [Sightings("broker2", 1.0), Sightings("broker2", 2.0), Sightings("own", 1.0)]
    answers = [*map(msgspec.json.encode, others), b"{}", b"no"]
    assert answers_of(answers, "own") == [Sightings("broker2", 2.0)]


def test_a_page_of_connections_becomes_sessions() -> None:
    page = {
        "server": SERVER,
        "data": {
            "total": 3,
            "connections": [
                {
                    "cid": 5,
                    "kind": "Client",
                    "type": "nats",
                    "ip": "192.0.2.1",
                    "account": "choria",
                    "authorized_user": "up=bob",
                    "tls_version": "1.3",
                    "start": "2026-01-01T00:00:00Z",
                },
                {"cid": 6, "kind": "Client", "type": "websocket"},
                {"cid": 7, "kind": "Leafnode"},
            ],
        },
    }
    sessions, total = connections_of(json.dumps(page).encode())
    assert total == 3
    assert [(each.connection, each.kind, each.tls) for each in sessions] == [
        (5, "client", "anon"),
        (6, "websocket", "none"),
        (7, "leafnode", "none"),
    ]
    assert (sessions[0].username, sessions[0].account, sessions[0].since) == ("up=bob", "choria", 1767225600.0)
    with pytest.raises(msgspec.DecodeError):
        connections_of(b'{"error":{"code":400}}')


PEER = Endpoint("nats", "broker2", 5222)
LOGIN = SystemUser(user="root", password=Secret("x"))


def told(**network: Any) -> Settings:
    return ready(Network(**network))


@pytest.mark.parametrize(
    ("network", "others"),
    [
        ({}, False),
        ({"cluster": Cluster(peers=(PEER,))}, True),
        ({"cluster": Cluster(left_out=("x",))}, True),
        ({"gateway": Gateway(port=7222, remotes=(GatewayRemote(name="FAR", urls=(PEER,), tls=RemoteTls()),))}, True),
    ],
)
def test_who_can_have_others(network: dict[str, Any], others: bool) -> None:
    assert has_others(told(**network)) is others


def test_others_are_asked_over_the_system_account_where_there_is_a_login() -> None:
    account = OperatorAccount(name="SYS", key="A", token="token")
    known = replace(account, credentials=Path("/x"))
    store = Operator(name="o", directory=Path("/"), token="t")
    cases = [None, replace(store, system=account), replace(store, system=known)]
    assert [system_account(told(operator=each)) for each in cases] == ["", "", "system"]
    assert system_account(told(system_user=LOGIN)) == "system"


def test_members_that_are_not_there_are_counted() -> None:
    three = (PEER, replace(PEER, host="broker3"), replace(PEER, host="broker4"))
    there = [Member("broker2", "N", "CHORIA", 0.0), Member("far", "N", "FAR", 0.0)]
    for routes in (three, three[1:]):
        settings = told(cluster=Cluster(peers=three, routes=routes))
        assert [missing(settings, there[:count]) for count in (0, 1, 2)] == [2, 1, 1]
        assert missing(settings, [there[0]] * 9) == 0
    assert missing(told(cluster=Cluster(peers=three, routes=three, left_out=("x",))), there) == 2
    assert missing(told(), []) == 0
