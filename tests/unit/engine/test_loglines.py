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
        ("127.0.0.1:33644 - rid:9 - authentication error", "peer_password"),
        ("127.0.0.1:7001 - gid:9 - TLS gateway handshake error: tls", "plugin.choria.network.gateway_tls"),
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
