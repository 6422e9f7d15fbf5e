from __future__ import annotations

import time

import msgspec

from choria_broker.access.request import Authority, Certificate
from choria_broker.access.session import Departed, Holder, Session
from support.sessions import departed, session

CERTIFICATE = Certificate("web1", "0a", "CN=ca", "f" * 64, 1_827_052_526, (), Authority("CN=ca", "d" * 64))


def test_what_says_nothing_takes_no_room() -> None:
    assert msgspec.json.encode(Holder()) == b"{}"
    assert msgspec.json.encode(Holder(method="mtls", rule="mtls")) == b'{"method":"mtls","rule":"mtls"}'


def test_a_session_is_read_whatever_a_later_broker_wrote() -> None:
    text = b"""{"connection": 3, "kind": "client", "address": "", "account": "choria", "username": "", "tls": "none",
        "since": 1.5, "a field of later": 1, "holder": {"method": "mtls", "a field of later": []}}"""
    session = msgspec.json.decode(text, type=Session)
    assert (session.connection, session.since, session.generation) == (3, 1.5, 0)
    assert session.holder == Holder(method="mtls")


def test_a_departed_one_is_a_session() -> None:
    left = departed(3, number=1, holder=Holder(certificate=CERTIFICATE))
    assert msgspec.json.decode(msgspec.json.encode(left), type=Departed) == left
    assert isinstance(left, Session)


def test_ten_thousand_are_written_and_read_in_no_time() -> None:
    sessions = [
        session(
            number,
            username=f"web{number}",
            since=float(number),
            generation=1,
            holder=Holder(identity=f"web{number}", method="mtls", rule="mtls", certificate=CERTIFICATE),
        )
        for number in range(10_000)
    ]
    begun = time.process_time()
    read = msgspec.json.decode(msgspec.json.encode(sessions), type=list[Session])
    assert time.process_time() - begun < 2.0
    assert read == sessions
