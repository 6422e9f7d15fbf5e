"""Reload in operator mode: accounts come, change and go, and whoever is not concerned stays connected."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.control.client import ask_status
from choria_broker.errors import ConfigurationError, NotReadyError, ReloadError
from choria_broker.reload.desired import Desired, desire
from choria_broker.settings.finding_codes import Severity
from choria_broker.status.lines import lines as status_text
from choria_broker.values import replace
from support.command import started
from support.leaflinks import ears, meet, say
from support.nats_server import plain, stock, tls_block
from support.stores import STREAMS, UNLIMITED, Store
from support.testbed import Authority, OrderedClient, client, configuration, free_port, gets_nowhere, settled
from support.topology import Node, configure, leafnodes

DEADLINE = 60.0
NET = "plugin.choria.network."


def operated(folder: Path, authority: Authority, **settings: str | int | bool | Path) -> NetworkBroker:
    return NetworkBroker.from_file(configuration(folder, authority, network__operator_account="OPS", **settings))


class Watched:
    """A connection that must live on, or end.

    Attributes:
        client: the connection.
        lost: set when it ends.
    """

    def __init__(self, connection: Client, lost: asyncio.Event) -> None:
        """Take over a connection; use ``watched``."""
        self.client = connection
        self.lost = lost

    async def ends(self) -> None:
        """Wait until it has ended."""
        async with asyncio.timeout(DEADLINE):
            await self.lost.wait()

    async def lives(self) -> None:
        """Make sure that it is the connection it was."""
        await settled(self.client)
        assert not self.lost.is_set()


@contextlib.asynccontextmanager
async def watched(broker: NetworkBroker, authority: Authority, store: Store, account: str) -> AsyncIterator[Watched]:
    lost = asyncio.Event()

    async def note() -> None:
        lost.set()

    login = store.login(account)
    async with client(broker, authority.context(), disconnected_cb=note, closed_cb=note, **login) as connection:
        yield Watched(connection, lost)
        lost.clear()


async def refused(broker: NetworkBroker, authority: Authority, store: Store, account: str) -> None:
    """Make sure that no user of an account gets in."""
    await gets_nowhere(broker, authority, store.login(account))


async def test_accounts_come_and_go_and_others_stay(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME", "GLOBEX")
    streams = tmp_path / "streams"
    settings: dict[str, Any] = {"network__websocket_port": free_port(), "network__leafnode_port": free_port()}
    async with (
        operated(tmp_path, authority, network__stream__store=streams, **settings) as broker,
        watched(broker, authority, store, "ACME") as acme,
        watched(broker, authority, store, "GLOBEX") as globex,
    ):
        store.account("NEW")
        await refused(broker, authority, store, "NEW")
        assert await broker.reload() == ()
        async with watched(broker, authority, store, "NEW") as new:
            store.remove("GLOBEX")
            await broker.reload()
            await globex.ends()
            await refused(broker, authority, store, "GLOBEX")
            store.account("GLOBEX")
            await broker.reload()
            async with watched(broker, authority, store, "GLOBEX") as again:
                await again.lives()
            await new.lives()
        await acme.lives()
        operator = broker.settings.network.operator
        assert operator is not None
        assert {account.name for account in operator.accounts} == {"SYS", "ACME", "GLOBEX", "NEW"}


async def test_a_changed_account_is_in_force_without_a_reconnect(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME", "GLOBEX")
    async with (
        operated(tmp_path, authority, network__stream__store=tmp_path / "streams") as broker,
        watched(broker, authority, store, "ACME") as acme,
        watched(broker, authority, store, "GLOBEX") as globex,
    ):
        at_globex = await ears(globex.client)
        await say(acme.client, "before", "prices.tea")
        export = {"name": "prices", "subject": "prices.>", "type": "stream"}
        imported = {
            "name": "prices",
            "subject": "prices.>",
            "to": "acme",
            "type": "stream",
            "account": store.public("ACME"),
        }
        store.account("ACME", exports=[export], limits=STREAMS)
        store.account("GLOBEX", imports=[imported], limits=UNLIMITED | {"payload": 10})
        await broker.reload()
        await acme.lives()
        await globex.lives()
        await say(acme.client, "after", "prices.tea")
        assert (await at_globex.of("before"), await at_globex.of("after")) == (set(), {"acme.prices.tea"})
        usage = json.loads((await acme.client.request("$JS.API.INFO", b"", timeout=DEADLINE)).data)
        assert usage["limits"]["max_streams"] == 8
        await globex.client.publish("too.long", b"x" * 11)
        await globex.ends()


async def test_a_user_who_is_revoked_is_cut_off_and_others_are_not(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    good, bad = store.login("ACME"), store.user("ACME")
    lost = asyncio.Event()

    async def note() -> None:
        lost.set()

    options: dict[str, Any] = {"disconnected_cb": note, **bad.login()}
    async with (
        operated(tmp_path, authority) as broker,
        watched(broker, authority, store, "ACME") as other,
        client(broker, authority.context(), **good) as stays,
        client(broker, authority.context(), **options),
    ):
        store.account("ACME", revocations={bad.key.public: int(time.time())})
        await broker.reload()
        async with asyncio.timeout(DEADLINE):
            await lost.wait()
        await settled(stays)
        await other.lives()


async def test_leafnodes_stay_or_go_with_their_account(tmp_path: Path, authority: Authority) -> None:
    hub = Node("broker.example.net")
    folder = tmp_path / hub.identity
    folder.mkdir()
    store, ports = Store(folder, "OPS", "ACME", "GLOBEX"), {"ACME": free_port(), "GLOBEX": free_port()}
    path = configure(tmp_path, authority, hub, network__operator_account="OPS", network__leafnode_port=hub.leafnode)

    def leaf(account: str) -> str:
        file = store.user(account).credentials(tmp_path / f"{account}.creds")
        return (
            f'server_name: {account}\nlisten: "127.0.0.1:{ports[account]}"\nleafnodes {{ reconnect: "50ms", remotes: '
            f'[ {{ urls: ["nats-leaf://127.0.0.1:{hub.leafnode}"], credentials: "{file}", '
            f"{tls_block(authority, None)} }} ] }}\n"
        )

    async with (
        NetworkBroker.from_file(path) as broker,
        stock(tmp_path / "acme", leaf("ACME")),
        stock(tmp_path / "globex", leaf("GLOBEX")) as globex,
        client(broker, authority.context(), **store.login("ACME")) as above,
        plain(ports["ACME"]) as below,
    ):
        await leafnodes(hub, 2)
        await meet(above, below)
        store.remove("GLOBEX")
        await broker.reload()
        await leafnodes(hub, 1)
        await globex.logs("Authorization Violation")
        await meet(above, below)
        store.account("GLOBEX")
        await broker.reload()
        await leafnodes(hub, 2)
        async with (
            client(broker, authority.context(), **store.login("GLOBEX")) as returned,
            plain(ports["GLOBEX"]) as far,
        ):
            await meet(returned, far)


@pytest.mark.parametrize("fault", ["gone", "stranger", "expired", "changed", "no system account"])
async def test_a_bad_store_changes_nothing_and_says_why(tmp_path: Path, authority: Authority, fault: str) -> None:
    store, other = Store(tmp_path, "OPS", "ACME"), Store(tmp_path / "elsewhere", "OPS")
    async with (
        operated(tmp_path, authority, network__system_account="SYS") as broker,
        watched(broker, authority, store, "ACME") as acme,
    ):
        before, store_file = broker.settings, store.directory / "OPS.jwt"
        system: dict[str, Any] = {"system_account": store.public("SYS")}
        told: dict[str, tuple[Callable[[], object], str]] = {
            "gone": (store_file.unlink, "OPS.jwt: no such file"),
            "stranger": (
                lambda: store.operator(other.key, **system),
                "not signed by the operator or one of its signing keys",
            ),
            "expired": (lambda: store.operator(exp=int(time.time()) - 1, **system), "the operator has expired"),
            "changed": (lambda: store.operator(signing_keys=[other.key.public], **system), "the operator has changed"),
            "no system account": (lambda: store.remove("SYS"), "system account"),
        }
        break_it, words = told[fault]
        break_it()
        store.account("NEW")
        with pytest.raises(ConfigurationError, match=words):
            await broker.reload()
        assert broker.settings is before
        await refused(broker, authority, store, "NEW")
        await acme.lives()
        async with watched(broker, authority, store, "ACME") as again:
            await again.lives()


async def test_an_account_whose_file_turned_bad_stays_as_it_was(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME", "GLOBEX")
    async with (
        operated(tmp_path, authority) as broker,
        watched(broker, authority, store, "ACME") as acme,
        watched(broker, authority, store, "GLOBEX") as globex,
    ):
        store.file("ACME").write_text("half a file", encoding="ascii")
        store.account("GLOBEX", exp=int(time.time()) - 1)
        store.account("NEW")
        findings = await broker.reload()
        told = {(finding.severity, finding.code, finding.effect) for finding in findings}
        assert told == {
            (Severity.SKIP, "bad-operator-account", "account ACME stays unchanged"),
            (Severity.SKIP, "bad-operator-account", "account GLOBEX is not served"),
        }
        identity = {"identity": broker.settings.identity}
        sample = broker.registry.get_sample_value
        assert sample("choria_broker_config_errors", identity) == 2.0
        status = await asyncio.to_thread(ask_status, broker.settings.source)
        assert [each.code for each in status.left_out] == ["bad-operator-account"] * 2
        assert set(status.accounts) == {"SYS", "ACME", "NEW"}
        assert sample("choria_broker_reloads_total", identity | {"outcome": "applied"}) == 1.0
        store.account("ACME")
        store.account("GLOBEX")
        assert await broker.reload() == ()
        assert sample("choria_broker_config_errors", identity) == 0.0
        await globex.ends()
        await acme.lives()
        async with watched(broker, authority, store, "NEW") as new, watched(broker, authority, store, "ACME") as again:
            await new.lives()
            await again.lives()


async def test_what_needs_a_restart_is_told_until_the_old_value_is_back(tmp_path: Path, authority: Authority) -> None:
    Store(tmp_path, "OPS", "ACME")
    port = f"{NET}websocket_port"
    async with operated(tmp_path, authority) as broker:
        path, sample = broker.settings.source, broker.registry.get_sample_value
        identity = {"identity": broker.settings.identity}
        written = path.read_text(encoding="utf-8")
        path.write_text(f"{written}{port} = {free_port()}\n", encoding="utf-8")
        for _ in range(2):
            await broker.reload()
            status = await asyncio.to_thread(ask_status, path)
            pending = {each.key: each for each in status.pending_restart}
            assert set(pending) == {port}
            lines = path.read_text(encoding="utf-8").splitlines()
            for key, each in pending.items():
                assert each.file == str(path)
                assert lines[each.line - 1].startswith(key)
            assert (pending[port].old, pending[port].new) == ("", lines[pending[port].line - 1].partition(" = ")[2])
            shown = msgspec.to_builtins(broker._reporter.overview())["pending_restart"]
            assert list(shown) == [msgspec.to_builtins(each) for each in status.pending_restart]
            text = [line for line in status_text(status) if line.startswith("Restart needed, ")]
            assert text[0].endswith(f":{pending[port].line}: {port} is {pending[port].new}, in use: unset")
            assert all(sample("choria_broker_pending_restart", identity | {"key": key}) == 1.0 for key in pending)
        assert sample("choria_broker_reloads_total", identity | {"outcome": "partial"}) == 2.0
        path.write_text(written, encoding="utf-8")
        await broker.reload()
        assert (await asyncio.to_thread(ask_status, path)).pending_restart == ()
        assert sample("choria_broker_pending_restart", identity | {"key": port}) is None
        assert sample("choria_broker_reloads_total", identity | {"outcome": "unchanged"}) == 1.0


async def test_what_the_engine_refuses_is_taken_back(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    async with (
        operated(tmp_path, authority) as broker,
        watched(broker, authority, store, "ACME") as acme,
    ):
        store.account("NEW")

        def broken(*args: Any, **more: Any) -> Desired:
            found = desire(*args, **more)
            engine = replace(found.engine, text=found.engine.text + "resolver_preload: { X: no }\n")
            return replace(found, engine=engine)

        monkeypatch.setattr("choria_broker.reload.in_force.desire", broken)
        with pytest.raises(ReloadError, match="nothing has changed"):
            await broker.reload()
        await refused(broker, authority, store, "NEW")
        monkeypatch.undo()
        await broker.reload()
        async with watched(broker, authority, store, "NEW") as new:
            await new.lives()
        await acme.lives()


async def test_reloads_at_the_same_time_follow_one_another(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    async with operated(tmp_path, authority) as broker, watched(broker, authority, store, "ACME") as acme:
        store.account("NEW")
        assert await asyncio.gather(*(broker.reload() for _ in range(5))) == [()] * 5
        await acme.lives()
        async with watched(broker, authority, store, "NEW") as new:
            await new.lives()


async def test_only_a_running_broker_reloads(tmp_path: Path, authority: Authority) -> None:
    Store(tmp_path, "OPS", "ACME")
    with pytest.raises(NotReadyError):
        await operated(tmp_path, authority).reload()


@pytest.mark.slow
async def test_a_hang_up_reloads_the_program(tmp_path: Path, authority: Authority) -> None:
    store, port, log = Store(tmp_path, "OPS", "ACME"), free_port(), tmp_path / "broker.log"
    path = configuration(tmp_path, authority, network__operator_account="OPS", network__client_port=port, logfile=log)
    async with started("run", "--config", path, log=log) as program:
        await program.told("READY=1")
        store.account("NEW")
        program.send(signal.SIGHUP)
        assert (await program.logs("Reloaded the accounts of the operator"))["accounts"] == 3
        connection = OrderedClient()
        await connection.connect(f"tls://127.0.0.1:{port}", tls=authority.context(), **store.login("NEW"))
        store.operator(exp=int(time.time()) - 1)
        program.send(signal.SIGHUP)
        assert "OPS.jwt: the operator has expired" in str((await program.logs("the operator has expired"))["msg"])
        await program.logs("Reload refused, nothing has changed")
        await settled(connection)
        await let_go(connection)
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
