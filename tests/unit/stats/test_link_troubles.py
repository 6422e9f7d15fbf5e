"""What the engine's lines tell of links that ended or do not come about."""

from __future__ import annotations

import pytest

from choria_broker.stats.link_troubles import _CAUSES, CAUSES, MOST, LinkTroubles, recognise

X509 = "x509: certificate signed by unknown authority"


@pytest.mark.parametrize(
    ("line", "kind", "place", "cause"),
    [
        (
            "Error trying to connect to route (attempt 1): dial tcp 127.0.0.1:5222: connect: connection refused",
            "route",
            "127.0.0.1:5222",
            "refused",
        ),
        ("Error trying to connect to route (attempt 7): lookup b2: no such host", "route", "", "unknown-host"),
        (
            "Error trying to connect to route b2:5222 (attempt 7): lookup b2: no such host",
            "route",
            "b2:5222",
            "unknown-host",
        ),
        (
            'Error connecting to explicit gateway "TOKYO" (h:7) at [::1]:7 (attempt 1): dial tcp [::1]:7: i/o timeout',
            "gateway",
            "TOKYO",
            "timeout",
        ),
        (
            (
                'Error trying to connect as leafnode to remote server "hq:7" '
                "(attempt 1): dial tcp 1.2.3.4:7: no route to host"
            ),
            "leafnode",
            "hq:7",
            "unreachable",
        ),
        ("127.0.0.1:5222 - rid:7 - Router connection closed: Stale Connection - Remote: b2", "route", "b2", "stale"),
        ("127.0.0.1:5222 - gid:7 - Gateway connection closed: Read Error", "gateway", "127.0.0.1", "ended"),
        (f"127.0.0.1:5222 - rid:9 - TLS route handshake error: tls: {X509}", "route", "127.0.0.1", "x509"),
        ("127.0.0.1:5222 - rid:9 - TLS route handshake error: read tcp: i/o timeout", "route", "127.0.0.1", "timeout"),
        (
            "127.0.0.1:5222 - rid:9 - TLS route handshake error: tls: first record does not look like a TLS handshake",
            "route",
            "127.0.0.1",
            "tls",
        ),
        (
            "127.0.0.1:5222 - rid:9 - TLS route handshake error: remote error: tls: bad certificate",
            "route",
            "127.0.0.1",
            "x509",
        ),
        ("127.0.0.1:5222 - rid:9 - link refused: no name in its certificate is listed", "route", "127.0.0.1", "x509"),
        ("127.0.0.1:5222 - rid:9 - TLS route handshake error: EOF (see certificates)", "route", "127.0.0.1", "ended"),
        (
            "127.0.0.1:5222 - rid:9 - Route Error 'Authorization Violation' (no name of this broker's certificate)",
            "route",
            "127.0.0.1",
            "login",
        ),
        ("[::1]:7422 - lid:9 - Leafnode Error 'Something'", "leafnode", "::1", "other"),
        ("127.0.0.1:3 - rid:9 - link refused: it sent another password", "route", "127.0.0.1", "login"),
    ],
)
def test_a_trouble_is_recognised(line: str, kind: str, place: str, cause: str) -> None:
    found = recognise(line)

    assert found is not None
    assert (found.kind, found.place, found.cause) == (kind, place, cause)


@pytest.mark.parametrize(
    "line",
    [
        "Server is ready",
        "127.0.0.1:5222 - cid:7 - Client connection closed: Stale Connection",
        "127.0.0.1:5222 - rid:7 - Route connection created",
        "127.0.0.1:5222 - rid:7 - Router connection closed: Duplicate Route",
        "127.0.0.1:5222 - rid:7 - Router connection closed: TLS Handshake Failure",
        "127.0.0.1:5222 - rid:7 - Router connection closed: Authentication Failure",
        "127.0.0.1:5222 - rid:7 - Router connection closed: Client Closed - Remote: b2",
    ],
)
def test_other_lines_are_none(line: str) -> None:
    assert recognise(line) is None
    assert LinkTroubles().hear(line, 1.0) is None


def test_the_same_is_counted_and_the_latest_comes_first() -> None:
    book = LinkTroubles()
    for number in range(MOST + 1):
        book.hear(f"1.2.3.{number}:1 - rid:7 - Router connection closed: Stale Connection", float(number))
    book.hear("1.2.3.9:5 - rid:8 - Router connection closed: Stale Connection", 99.0)

    assert len(book.latest) == MOST
    assert [(each.place, each.times, each.first, each.last) for each in book.latest[:2]] == [
        ("1.2.3.9", 2, 9.0, 99.0),
        (f"1.2.3.{MOST}", 1, float(MOST), float(MOST)),
    ]
    assert book.latest[-1].place == "1.2.3.1"


def test_a_port_belongs_to_the_place_where_this_broker_connects_to_it() -> None:
    book = LinkTroubles({5222})
    book.hear(f"[::1]:5222 - rid:9 - TLS route handshake error: tls: {X509}", 1.0)
    book.hear(f"[::1]:41234 - rid:9 - TLS route handshake error: tls: {X509}", 2.0)

    assert [each.place for each in book.latest] == ["::1", "[::1]:5222"]


def test_every_cause_has_words() -> None:
    assert {cause for cause, _ in _CAUSES} | {"other"} == set(CAUSES)
