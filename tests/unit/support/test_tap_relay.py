"""The relay that other tests listen in with leaves nothing behind for them to stumble over."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

import pytest

from support.tap_relay import tapped


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_made_as_the_relay_ends_is_closed(turns: int) -> None:
    """Whatever turn of the loop the connection has reached."""

    async def connect_and_leave() -> None:
        async with tapped(9) as tap:
            caller.connect(("127.0.0.1", tap.port))
            for _ in range(turns):
                await asyncio.sleep(0)

    with socket.socket() as caller, warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        asyncio.run(connect_and_leave())
        gc.collect()
    assert [str(warning.message) for warning in left if warning.category is ResourceWarning] == []
