"""Which addresses are of this machine only."""

from __future__ import annotations

import pytest

from choria_broker.web.host_guard import is_loopback


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("::ffff:127.0.0.1", True),
        ("fe80::1%eth0", False),
        ("::1%lo", True),
        ("::", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to judge, not to listen on
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback
