"""A connection of a companion: what it reads is handed out, whatever becomes of it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from nats.errors import ProtocolError

from choria_broker.companions.client import LeanClient
from choria_broker.companions.wire import Message


async def test_a_fault_of_who_listens_ends_neither_the_connection_nor_what_comes_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client, heard = LeanClient({}), list[bytes]()

    def take(batch: list[Message]) -> None:
        heard.extend(data for *_, data in batch)
        if heard[-1] == b"bad":
            raise RecursionError("too deep")

    client.heard = {1: take, 2: take}
    parser = cast("Any", client)._ps
    await parser.parse(b"MSG a 1 3\r\nbad\r\nMSG a 2 4\r\ngood\r\nMSG a 3 2\r\nno\r\n")
    await parser.parse(b"MSG a 1 4\r\nnext\r\n")
    assert heard == [b"bad", b"good", b"next"]
    assert [record.getMessage() for record in caplog.records] == ["Messages are lost because of a bug in this program"]


@pytest.mark.parametrize("line", [b"INFO " + b"[" * 100_000, b"INFO []", b"INFO 1", b"BAD", b"\r\n"])
async def test_whatever_a_broker_says_ends_the_connection_at_most(line: bytes) -> None:
    """The library stops to read on any other error, and stays connected."""
    with pytest.raises(ProtocolError):
        await cast("Any", LeanClient({}))._ps.parse(line + b"\r\n")
