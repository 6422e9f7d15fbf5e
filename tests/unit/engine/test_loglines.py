from __future__ import annotations

import logging

import pytest

from choria_broker.engine.loglines import LogLine, parse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[12] [INF] Server is ready", LogLine(logging.INFO, "Server is ready")),
        ("[12] [DBG] detail", LogLine(logging.DEBUG, "detail")),
        ("[12] [TRC] detail", LogLine(logging.DEBUG, "detail")),
        ("[12] [WRN] careful", LogLine(logging.WARNING, "careful")),
        ("[12] [ERR] 127.0.0.1:1 - cid:1 - TLS", LogLine(logging.ERROR, "127.0.0.1:1 - cid:1 - TLS")),
        (
            '[12] [ERR] Address "::" can not be resolved properly',
            LogLine(
                logging.INFO,
                'Address "::" can not be resolved properly (this host has only loopback addresses, so the engine '
                "announces no address to others; all listeners work)",
            ),
        ),
        ("[12] [ERR] Address by address", LogLine(logging.ERROR, "Address by address")),
        ("[12] [FTL] dead", LogLine(logging.CRITICAL, "dead")),
        ("[12] [NEW] unknown level", LogLine(logging.INFO, "unknown level")),
        ("panic: runtime error", LogLine(logging.ERROR, "panic: runtime error")),
        ("", LogLine(logging.ERROR, "")),
    ],
)
def test_engine_lines_keep_their_level_and_lose_their_prefix(line: str, expected: LogLine) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("127.0.0.1:5222 - rid:9 - TLS route handshake error: tls: first record", "plugin.choria.network.peer_tls"),
        ("127.0.0.1:5222 - rid:9 - TLS route handshake error: EOF", "plugin.choria.network.peer_tls"),
        ("127.0.0.1:33644 - rid:9 - link refused: it sent another password than this cluster's", "peer_password"),
        ("127.0.0.1:33644 - rid:9 - link refused: no name in its certificate", "plugin.choria.network.peers"),
        ("127.0.0.1:33644 - gid:9 - link refused: no name in its certificate", "plugin.choria.network.gateway_remote"),
        ("127.0.0.1:33644 - rid:9 - authentication error", "the line before says why"),
        ("127.0.0.1:5222 - rid:9 - Route Error 'Authorization Violation'", "peer_password"),
        ("127.0.0.1:5222 - gid:9 - Gateway Error 'Authorization Violation'", "no name of this broker's certificate"),
        (
            "127.0.0.1:7001 - gid:9 - TLS gateway handshake error: tls: first record",
            "plugin.choria.network.gateway_tls",
        ),
        ("127.0.0.1:7001 - gid:9 - TLS gateway handshake error: EOF", "plugin.choria.network.gateway_tls"),
        (
            "127.0.0.1:7422 - lid:9 - TLS leafnode handshake error: tls: failed to verify certificate",
            "plugin.choria.network.leafnode_remote",
        ),
        ("127.0.0.1:7422 - lid:9 - Leafnode Error 'Authorization Violation'", "credentials"),
        (
            "127.0.0.1:7422 - lid:9 - Leafnode connection dropped with same cluster name error. Delaying attempt",
            "plugin.choria.network.gateway_name",
        ),
        ("127.0.0.1:33644 - lid:9 - authentication error", ""),
        ("127.0.0.1:33644 - cid:9 - authentication error", ""),
    ],
)
def test_failed_links_name_the_settings_to_compare(text: str, setting: str) -> None:
    shown = parse(f"[12] [ERR] {text}").text
    assert shown.startswith(text)
    assert setting in shown
    assert (shown == text) is (not setting)


ROUTE = "127.0.0.1:5222 - rid:9 - TLS route handshake error: "
CLIENT = "127.0.0.1:5222 - cid:9 - TLS handshake error: "
VERIFY = "tls: failed to verify certificate: x509: "


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (VERIFY + "certificate specifies an incompatible key usage (CN=a SHA-256: 00)", "clientAuth"),
        (
            VERIFY + "certificate is valid for a.example.net, not b.example.net",
            "by a name that is not in its certificate",
        ),
        (VERIFY + "certificate is valid for 200 names, but none matched b", "by a name that is not in its certificate"),
        (
            VERIFY + "cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs",
            "list it by its name",
        ),
        (VERIFY + "certificate is valid for 3 IP SANs, but none matched 10.0.0.1", "list it by its name"),
        (VERIFY + "certificate relies on legacy Common Name field, use SANs instead", "only in the common name"),
        (VERIFY + "certificate is not valid for any names, but wanted to match b", "only in the common name"),
        (VERIFY + "certificate signed by unknown authority", "not in the CA file here"),
        (
            VERIFY + 'certificate signed by unknown authority (possibly because of "x509: cannot verify signature: '
            'insecure algorithm SHA1-RSA" while trying to verify candidate authority certificate "root")',
            "SHA-1",
        ),
        (
            VERIFY + 'certificate signed by unknown authority (possibly because of "x509: cannot verify signature: '
            'insecure algorithm MD5-RSA" while trying to verify candidate authority certificate "root")',
            "MD5",
        ),
        (
            VERIFY + 'certificate signed by unknown authority (possibly because of "x509: invalid signature: parent '
            'certificate cannot sign this kind of certificate" while trying to verify candidate "root")',
            "is not a CA",
        ),
        (VERIFY + "certificate is not authorized to sign other certificates", "is not a CA"),
        (VERIFY + "too many intermediates for path length constraint", "fewer intermediate CAs"),
        (
            VERIFY + "a root or intermediate certificate is not authorized to sign for this name: DNS name",
            "does not permit",
        ),
        (
            VERIFY + "certificate has expired or is not yet valid: current time 2026-01-02 is before 2027-01-01",
            "not valid yet",
        ),
        (
            VERIFY + "certificate has expired or is not yet valid: current time 2026-01-02 is after 2025-01-01",
            "has expired",
        ),
        (VERIFY + "unhandled critical extension", "critical extension"),
        ("tls: failed to parse certificate from server: x509: negative serial number", "negative serial number"),
        ("tls: server sent certificate containing RSA key larger than 8192 bits", "8192"),
        ("tls: client didn't provide a certificate", "sent no certificate"),
        ("tls: first record does not look like a TLS handshake", "does not use TLS"),
        ("tls: peer doesn't support any of the certificate's signature algorithms", "this broker's kind of key"),
        ("tls: client offered only unsupported versions: [301]", "1.2 is required"),
        ("remote error: tls: bad certificate", "refused this broker's certificate"),
        ("remote error: tls: unknown certificate authority", "is not in the other side's CA file"),
        ("remote error: tls: expired certificate", "has expired"),
        ("remote error: tls: certificate required", "sent none"),
    ],
)
def test_failed_tls_is_explained_in_plain_words(text: str, cause: str) -> None:
    assert cause in parse(f"[1] [ERR] {CLIENT}{text}").text.rpartition(" (")[2]
    route = parse(f"[1] [ERR] {ROUTE}{text}").text
    assert cause in route
    assert ("plugin.choria.network.peer_tls" in route) is ("first record" in text)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:1 - cid:9 - TLS handshake error: EOF",
        "127.0.0.1:1 - cid:9 - Client parser ERROR, state=0: certificate signed by unknown authority",
        "Server is ready",
        "TLS required for client connections",
    ],
)
def test_what_needs_no_explanation(text: str) -> None:
    assert parse(f"[1] [INF] {text}").text == text


@pytest.mark.parametrize(
    "text",
    [
        'Address "0.0.0.0" can not be resolved properly',
        'Could not find any non-local IP for leafnode\'s listen specification "::"',
        'Could not find any non-local IP for gateway "A" with listen specification "0.0.0.0"',
    ],
)
def test_a_host_without_further_addresses_is_no_error(text: str) -> None:
    shown = parse(f"[1] [ERR] {text}")
    assert shown.level == logging.INFO
    assert shown.text.endswith("all listeners work)")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ('1.2.3.4:1 - rid:7 - TLS route handshake error: certificate 4f of "CN=CA" is revoked', "a new certificate"),
        ('Ended a link: identity "b2" is revoked by /etc/choria/revoked:3', "remove the revocation"),
        ('Ended cid 7: certificate 4f of "CN=CA" is revoked', "a new certificate"),
        (
            'gid:7 - TLS gateway handshake error: the list of revoked certificates of "CN=CA" is out of date',
            "have the CA write a new list",
        ),
    ],
)
def test_revoked_links_have_a_remedy_of_their_own(text: str, advice: str) -> None:
    told = parse(f"[12] [ERR] {text}").text
    assert told.startswith(f"{text} (")
    assert advice in told
    assert "compare" not in told
