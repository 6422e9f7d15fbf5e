"""A control socket without a broker behind it, with an answer to give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest

from choria_broker.audit.decided import Decision
from choria_broker.control import server
from support import statuses

STATUS = msgspec.structs.replace(statuses.STATUS, identity="broker.example.net", source="/etc/choria/broker.conf")


def nobody(_connection: int) -> Decision | None:
    return None


SOURCES = server.Sources(status=lambda: STATUS, find=nobody)


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """An environment that leads to a place of the test's own."""
    return {"RUNTIME_DIRECTORY": str(tmp_path)}


@pytest.fixture
async def socket_path(tmp_path: Path, environ: Mapping[str, str]) -> AsyncIterator[Path]:
    """A control socket with an answer to give."""
    async with server.serve(tmp_path / "broker.conf", SOURCES, environ=environ) as path:
        yield path
