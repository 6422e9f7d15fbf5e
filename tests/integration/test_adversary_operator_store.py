"""What somebody who may write in an operator's store, and nothing else, must not be able to do to a broker."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.control.client import ask_status
from choria_broker.engine.bridge import login_with
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding
from support.stores import Store
from support.testbed import Authority, client, configuration, free_port, settled

DEADLINE = 60.0


def operated(folder: Path, authority: Authority, **settings: str | int | bool | Path) -> NetworkBroker:
    return NetworkBroker.from_file(configuration(folder, authority, network__operator_account="OPS", **settings))


async def reloaded(broker: NetworkBroker) -> tuple[Finding, ...]:
    async with asyncio.timeout(DEADLINE):
        return await broker.reload()


@pytest.mark.parametrize("broken", ["a pipe", "dashes", "a device", "a directory"])
async def test_a_file_that_is_none_keeps_nobody_waiting(tmp_path: Path, authority: Authority, broken: str) -> None:
    store = Store(tmp_path, "OPS", "ACME", "OTHER")
    async with operated(tmp_path, authority) as broker:
        file = store.file("OTHER")
        file.unlink()
        match broken:
            case "a pipe":
                os.mkfifo(file)
            case "dashes":
                file.write_bytes(b"-" * 1_000_000 + b"\n")
            case "a device":
                file.symlink_to("/dev/zero")
            case _:
                file.mkdir()
        store.account("NEW")
        findings = await reloaded(broker)
        assert [(each.severity, each.code) for each in findings] == [(Severity.SKIP, "bad-operator-account")]
        async with client(broker, authority.context(), **store.login("NEW")) as connection:
            await settled(connection)


async def test_a_pipe_in_place_of_credentials_does_not_stop_the_start(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    good = store.credentials("ACME")
    os.mkfifo(good.with_name("a.creds"))
    async with asyncio.timeout(DEADLINE):
        broker = await asyncio.to_thread(operated, tmp_path, authority, network__choria_account="ACME")
    operator = broker.settings.network.operator
    assert operator is not None
    assert operator.choria is not None
    assert operator.choria.credentials == good
    assert login_with(good)["user_jwt_cb"]()


async def test_a_name_that_is_no_text_ends_nothing(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    os.mkdir(os.fsencode(store.directory / "accounts") + b"/\xff")  # noqa: PTH102 - no text, so no Path
    credentials = store.credentials("ACME")
    os.rename(credentials, os.fsencode(credentials.parent) + b"/\xfe.creds")  # noqa: PTH104 - the same
    port = free_port()
    async with operated(tmp_path, authority, network__choria_account="ACME", plugin__choria__stats_port=port) as broker:
        status = await asyncio.to_thread(ask_status, tmp_path / "broker.conf")
        assert [each.problem.removeprefix(str(store.directory)) for each in status.left_out] == [
            r"/accounts/\xff/\xff.jwt: its name is not UTF-8"
        ]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/choria/status") as answer,
        ):
            assert answer.status == 200
        assert not broker.stopping
        operator = broker.settings.network.operator
        assert operator is not None
        assert operator.choria is not None
        assert operator.choria.credentials is None
