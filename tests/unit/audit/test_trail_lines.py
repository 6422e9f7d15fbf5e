"""What the trail makes of lines of the engine: few about one peer, and nothing of what a peer has sent."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.audit.throttle import Bounds
from choria_broker.audit.trail import Audit
from choria_broker.stats.measured import Measured
from support.metrics import value
from support.trail import Clock, fields

IDENTITY = "broker.example.net"
PEER = "192.0.2.1:4711 - cid:7"


def is_logged(audit: Audit, level: int, text: str) -> bool:
    """Hand the trail a line of the engine, and tell whether there is anything to log of it."""
    return audit.engine_line(level, text) is not None


@pytest.mark.parametrize(
    ("level", "text", "logged"),
    [
        (logging.ERROR, f'{PEER} - authentication error - User "bob"', 0),
        (logging.ERROR, "[2001:db8::1]:4711 - lid_ws:7 - authentication error", 0),
        (logging.ERROR, f"{PEER} - TLS handshake error: EOF", 2),
        (logging.ERROR, f"{PEER} - read error: reset", 2),
        (logging.INFO, f"{PEER} - read error: reset", 5),
        (logging.ERROR, "192.0.2.1:4711 - rid:7 - Router connection closed", 2),
        (logging.ERROR, "192.0.2.1:4711 - gid:7 - TLS gateway handshake error: EOF (compare the settings)", 2),
        (logging.ERROR, "192.0.2.1:4711 - rid:7 - authentication error (compare the settings)", 2),
        (logging.ERROR, '10.0.0.1/192.0.2.1:4711 - wid:7 - authentication error - User "x"', 0),
        (logging.ERROR, "10.0.0.1/192.0.2.1:4711 - wid:7 - read error: authentication error", 0),
        (logging.ERROR, "[2001:db8::7]/192.0.2.1:4711 - wid:7 - read error: reset", 2),
        (logging.ERROR, "192.0.2.1:4711 - websocket handshake error: invalid value for header 'Upgrade'", 2),
        (logging.ERROR, "websocket: TLS handshake error from [2001:db8::1]:4711: EOF", 2),
        (logging.ERROR, "pipe - cid:7 - authentication error", 0),
        (logging.ERROR, "pipe - cid:7 - read error: reset", 2),
        (logging.INFO, "pipe - cid:7 - Slow Consumer", 5),
        (logging.ERROR, "JetStream failed", 2),
        (logging.ERROR, "Refusing cid 7: CONNECT has an account", 2),
        (logging.INFO, "Server is ready", 5),
        (logging.DEBUG, f"{PEER} - Client connection created", 5),
    ],
)
def test_lines_of_the_engine_about_one_peer_are_bounded(
    audit: Audit, clock: Clock, lines: list[logging.LogRecord], level: int, text: str, logged: int
) -> None:
    assert sum(is_logged(audit, level, text) for _ in range(5)) == logged
    clock.now += 60
    audit.engine_refused("timeout", 1, "192.0.2.9")
    assert len(lines) == (2 if logged == 2 else 1)


def test_refused_handshakes_are_refusals_of_their_address(audit: Audit) -> None:
    audit.engine_line(logging.ERROR, "[2001:db8::1]:4711 - cid:7 - TLS handshake error: EOF")

    (refused,) = audit.recently_refused(10)
    assert (refused.address, refused.rules) == ("2001:db8::/64", {"tls-handshake": 1})


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1:4711 - cid:7 - authentication error",
        '192.0.2.1:4711 - cid:7 - "v1:go" - "AKEY/ACME/jwt:UKEY" - authentication error - JWT User "UKEY"',
    ],
)
def test_refusals_of_an_engine_that_asks_nobody_are_told_of_and_counted(
    clock: Clock, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    trail = Audit(asked=False, clock=clock)
    told = [trail.engine_line(logging.ERROR, text) for _ in range(7)]

    (refused,) = trail.recently_refused(10)
    assert (refused.address, refused.rules) == ("192.0.2.1", {"authentication": 7})
    at = Measured(identity=IDENTITY, audit=trail.counts)
    assert value(at, "choria_broker_engine_refusals_total", cause="authentication") == 7.0
    lines = [line for line in told if line is not None]
    assert len(lines) == 5
    assert all("authentication error" in line for line in lines)
    assert not [line for line in lines if "JWT User" in line]
    assert not [record for record in caplog.records if "authentication error" in record.getMessage()]


@pytest.mark.parametrize(
    ("text", "address", "rule"),
    [
        ("websocket: TLS handshake error from 192.0.2.1:4711: EOF", "192.0.2.1", "tls-handshake"),
        ("websocket: http: TLS handshake error from [2001:db8::1]:4711: EOF", "2001:db8::/64", "tls-handshake"),
        ("192.0.2.1:4711 - websocket handshake error: key missing", "192.0.2.1", "websocket-handshake"),
        ("10.0.0.1/192.0.2.1:4711 - websocket handshake error: key missing", "192.0.2.1", "websocket-handshake"),
        (
            '192.0.2.1:4711 - websocket handshake error: origin not allowed: "https://TLS" is foreign to "b"',
            "192.0.2.1",
            "websocket-origin",
        ),
        ("10.0.0.1/192.0.2.1:4711 - lid_ws:7 - TLS leafnode handshake error: EOF", "192.0.2.1", "tls-handshake"),
    ],
)
def test_what_a_proxy_claims_is_not_the_address_that_counts(audit: Audit, text: str, address: str, rule: str) -> None:
    audit.engine_line(logging.ERROR, text)

    (refused,) = audit.recently_refused(10)
    assert (refused.address, refused.rules) == (address, {rule: 1})


def test_invented_addresses_before_the_slash_share_the_lines_of_the_real_one(audit: Audit) -> None:
    told = [is_logged(audit, logging.ERROR, f"10.0.0.{host}/{PEER} - read error: reset") for host in range(5)]

    assert told == [True, True, False, False, False]


@pytest.mark.parametrize("kind", ["lid", "lid_ws", "rid", "gid"])
def test_links_that_come_and_go_are_seen_and_a_flood_of_them_is_summed_up(
    audit: Audit, clock: Clock, lines: list[logging.LogRecord], kind: str
) -> None:
    told = [
        is_logged(audit, logging.INFO, f"192.0.2.1:{port} - {kind}:{port} - Leafnode connection {event}")
        for port in range(20)
        for event in ("created", "closed: Read Error")
    ]
    assert told == [True] * 8 + [False] * 32
    assert is_logged(audit, logging.INFO, f"192.0.2.2:1 - {kind}:1 - Leafnode connection created")

    clock.now += 60
    assert is_logged(audit, logging.INFO, f"192.0.2.1:1 - {kind}:1 - Leafnode connection created")
    (summary,) = lines
    assert (summary.levelno, summary.getMessage()) == (logging.INFO, "Further log lines of the engine")
    assert (fields(summary)["remote"], fields(summary)["left_out"]) == ("192.0.2.1", 32)


def test_lines_about_no_connection_are_counted_together_by_how_they_begin(
    audit: Audit, clock: Clock, lines: list[logging.LogRecord]
) -> None:
    told = [is_logged(audit, logging.ERROR, f"Refusing cid {cid}: CONNECT has an account") for cid in range(50)]
    assert sum(told) == 2
    assert is_logged(audit, logging.ERROR, "JetStream failed")

    clock.now += 60
    assert is_logged(audit, logging.ERROR, "JetStream failed")
    (summary,) = lines
    assert fields(summary)["wording"] == "Refusing cid N: CONNECT has an account"
    assert fields(summary)["left_out"] == 48


def test_the_stack_of_a_dying_engine_is_logged(audit: Audit) -> None:
    server = "github.com/nats-io/nats-server/v2"
    stack = ["panic: runtime error", "", "goroutine 7 [running]:"]
    for number, function in enumerate(("readLoop", "parse", "processPub", "processInboundMsg")):
        stack += [
            f"{server}/server.(*client).{function}(0xc0001)",
            f"\t/go/pkg/{server}/server/client.go:{number} +0x1f",
        ]

    assert [audit.engine_line(logging.ERROR, line) for line in stack] == stack


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('192.0.2.1:1 - rid:7 - authentication error - User "eyJ"', "192.0.2.1:1 - rid:7 - authentication error"),
        (
            '192.0.2.1:1 - gid:7 - authentication error - User "a \\"b\\" - c" (compare the settings)',
            "192.0.2.1:1 - gid:7 - authentication error (compare the settings)",
        ),
        ('192.0.2.1:1 - rid:7 - authentication error - Nkey "UABC"', "192.0.2.1:1 - rid:7 - authentication error"),
    ],
)
def test_what_a_peer_sent_as_its_user_is_not_logged(audit: Audit, text: str, shown: str) -> None:
    assert [audit.engine_line(logging.ERROR, text) for _ in range(5)] == [shown, shown, None, None, None]


@given(st.text(), st.sampled_from([logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]))
def test_no_line_is_too_strange_and_none_repeats_without_end(text: str, level: int) -> None:
    audit = Audit(bounds=Bounds(in_full=2), clock=Clock())
    assert sum(is_logged(audit, level, f"{PEER} - {text}") for _ in range(20)) <= 8
    assert level < logging.WARNING or sum(is_logged(audit, level, text) for _ in range(20)) <= 2


@pytest.mark.parametrize("rest", ['secret"', "secret... (60000 bytes more)", 'sec\\"ret... (1 bytes more)', "secret\\"])
def test_the_user_of_a_peer_is_left_out_of_a_line_that_the_engine_cut(rest: str) -> None:
    line = f'192.0.2.1:4000 - cid:7 - maximum connections exceeded - User "{rest}'
    assert Audit().engine_line(logging.ERROR, line) == "192.0.2.1:4000 - cid:7 - maximum connections exceeded"


def test_a_token_in_a_line_of_the_engine_is_not_logged(audit: Audit) -> None:
    token = "eyJhbGciOiJFZERTQSJ9.eyJjYWxsZXJpZCI6ImIifQ.c2lnbmF0dXJl"
    line = audit.engine_line(logging.ERROR, f"{PEER} - parser ERROR, proto='{token}'")
    assert line == f"{PEER} - parser ERROR, proto='*****'"
