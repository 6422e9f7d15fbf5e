"""What clients and other users of the machine must not get out of the place for streams that are kept."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.stats.service import BrokerStatistics
from choria_broker.streams.trouble import TroubleKind
from support.testbed import Authority, client, configuration

DEADLINE = 60.0


@pytest.fixture
def usual_mask() -> Iterator[None]:
    """Let everybody read what is made without a mode of its own, as most services do."""
    before = os.umask(0o022)
    yield
    os.umask(before)


async def stocked(path: Path, authority: Authority, *streams: str) -> None:
    """Run a broker once, and leave streams with messages in its store."""
    context = authority.context(authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(path) as broker, client(broker, context) as connection:
        for name in streams:
            await connection.jetstream().add_stream(name=name, subjects=[f"of.{name}"])
            await connection.jetstream().publish(f"of.{name}", b"private")


@pytest.mark.usefixtures("usual_mask")
async def test_other_users_see_no_names_of_accounts_and_streams(tmp_path: Path, authority: Authority) -> None:
    store = tmp_path / "store"
    path = configuration(tmp_path, authority, network__stream__store=store)
    await stocked(path, authority, "SALARIES")
    (store / "jetstream/choria/streams/SALARIES/msgs").rename(tmp_path / "msgs")
    (store / "jetstream/choria/streams/SALARIES/msgs").write_text("no directory")
    async with NetworkBroker.from_file(path), asyncio.timeout(DEADLINE):
        while not list((store / "kept").glob("choria.SALARIES.*")):
            await asyncio.sleep(0.01)
        assert stat.S_IMODE((store / "kept").stat().st_mode) == 0o700
        assert stat.S_IMODE((store / "broker.json").stat().st_mode) == 0o600


async def test_what_a_client_deletes_as_soon_as_it_can_is_deleted(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    path = configuration(tmp_path, authority, network__stream__store=store)
    await stocked(path, authority, "SALARIES")
    broker = NetworkBroker.from_file(path)
    context = authority.context(authority.issue("bob.mcollective"))
    read = BrokerStatistics.read_certificates

    async def read_while_a_client_deletes(statistics: BrokerStatistics) -> None:
        # The listeners are open, and the broker is still busy with other things than its streams.
        async with client(broker, context) as connection:
            assert await connection.jetstream().delete_stream("SALARIES")
        await read(statistics)

    monkeypatch.setattr(BrokerStatistics, "read_certificates", read_while_a_client_deletes)
    async with broker, asyncio.timeout(DEADLINE):
        while any("SALARIES" in each.name for each in store.rglob("*")):
            await asyncio.sleep(0.01)
    assert TroubleKind.KEPT not in {noted.trouble.kind for noted in broker.streams.ledger.troubles}
