"""Operator mode: who gets in, and where, is told by the store of an operator and the tokens of users."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from click.testing import CliRunner
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.client_end import let_go
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control.client import ask_status
from choria_broker.engine.own_transport import OwnTransport
from choria_broker.errors import ConfigurationError, NotReadyError
from support.leaflinks import Ears, ears, say
from support.leaks import leaks
from support.minting import mint
from support.nats_socket import ClosedError, wire
from support.stores import STREAMS, Store, copy_of_nscs, credentials
from support.testbed import (
    Authority,
    OrderedClient,
    bridge,
    client,
    configuration,
    free_port,
    ignore_error,
    settled,
)

DEADLINE = 60.0


def operated(
    folder: Path, authority: Authority, *, overrides: Overrides | None = None, **settings: str | int | bool | Path
) -> NetworkBroker:
    """Make a broker that serves the accounts of operator OPS."""
    path = configuration(folder, authority, network__operator_account="OPS", **settings)
    return NetworkBroker.from_file(path, overrides)


async def heard_by(listener: Ears, *payloads: str) -> dict[str, set[str]]:
    return {payload: await listener.of(payload) for payload in payloads}


async def test_tenants_with_equal_subjects_never_see_each_other(tmp_path: Path, authority: Authority) -> None:
    store = copy_of_nscs(tmp_path)
    async with (
        operated(tmp_path, authority) as broker,
        client(broker, authority.context(), **credentials(store, "ACME")) as acme,
        client(broker, authority.context(), **credentials(store, "GLOBEX")) as globex,
    ):
        at_acme, at_globex = await ears(acme), await ears(globex)
        await say(acme, "of acme", "orders.new", "mcollective.node.n1", "_INBOX.x", "$SYS.x", "$JS.API.INFO")
        await say(globex, "of globex", "orders.new", "mcollective.node.n1")
        assert await heard_by(at_globex, "of acme", "of globex") == {
            "of acme": set(),
            "of globex": {"orders.new", "mcollective.node.n1"},
        }
        assert (await heard_by(at_acme, "of acme", "of globex"))["of globex"] == set()
        assert "orders.new" in await at_acme.of("of acme")


async def test_what_one_exports_another_imports(tmp_path: Path, authority: Authority) -> None:
    store = copy_of_nscs(tmp_path)

    async def answer(request: Msg) -> None:
        await request.respond(b"42")

    async with (
        operated(tmp_path, authority) as broker,
        client(broker, authority.context(), **credentials(store, "ACME")) as acme,
        client(broker, authority.context(), **credentials(store, "GLOBEX")) as globex,
    ):
        await acme.subscribe("quote", cb=answer)
        await settled(acme)
        assert (await globex.request("acme.quote", b"", timeout=DEADLINE)).data == b"42"
        with pytest.raises(nats.errors.NoRespondersError):
            await globex.request("quote", b"", timeout=DEADLINE)
        at_globex = await ears(globex)
        await say(acme, "9.99", "prices.tea", "costs.tea")
        assert await at_globex.of("9.99") == {"acme.prices.tea"}


def strangers(folder: Path) -> Mapping[str, dict[str, Any]]:
    """Logins that must not let anybody in."""
    other = Store(folder / "elsewhere", "OPS", "ACME")
    store = Store(folder, "OPS", "ACME", "LATE")
    store.account("LATE", exp=int(time.time()) - 1)
    good, stolen = store.user("ACME"), store.user("ACME")
    return {
        "nothing": {},
        "a password": {"user": "bob", "password": "s3cret"},
        "the user of the gate's accounts": {"user": "choria", "password": "s3cret"},
        "a token of Choria": {"token": mint({"purpose": "choria_client_id"})},
        "a user of an account that another operator has": other.login("ACME"),
        "a user that is signed by itself": store.login("ACME", signer=other.key),
        "a user of an account that has expired": store.login("LATE"),
        "a user who has expired": store.login("ACME", exp=int(time.time()) - 1),
        "somebody else's token": {**good.login(), "signature_cb": stolen.key.sign},
    }


@contextlib.asynccontextmanager
async def attempt(url: str, context: ssl.SSLContext | None, **options: Any) -> AsyncIterator[Client]:
    """Connect to a URL, or to the path of a socket of the engine."""
    connection = OrderedClient()
    if url.startswith("/"):
        connection._transport, url = OwnTransport(url), "nats://bridge"
    try:
        await connection.connect(
            url, tls=context, connect_timeout=20, allow_reconnect=False, error_cb=ignore_error, **options
        )
        yield connection
    finally:
        if connection._flush_queue:
            await let_go(connection)


@pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")
@pytest.mark.parametrize("listener", ["client", "websocket", "bridge"])
async def test_nobody_gets_in_without_a_good_user(tmp_path: Path, authority: Authority, listener: str) -> None:
    logins = strangers(tmp_path)
    certified = authority.context(authority.issue("bob.mcollective"))
    async with operated(tmp_path, authority, network__websocket_port=free_port()) as broker:
        ports = broker.ports
        url = {
            "client": f"tls://127.0.0.1:{ports.client}",
            "websocket": f"wss://127.0.0.1:{ports.websocket}",
            "bridge": bridge(broker),
        }[listener]
        for login in logins.values():
            with pytest.raises((nats.errors.Error, OSError)):
                async with attempt(url, None if listener == "bridge" else certified, **login) as stranger:
                    # The client takes a connection that ends without a word for one that stands, until it is used.
                    await settled(stranger)


async def test_a_good_user_gets_in_everywhere(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    async with operated(tmp_path, authority, network__websocket_port=free_port()) as broker:
        for url, context in ((f"tls://127.0.0.1:{broker.ports.client}", authority.context()), (bridge(broker), None)):
            async with attempt(url, context, **store.login("ACME")) as connection:
                await settled(connection)


async def test_tls_stays_as_it_is_configured(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    user = store.login("ACME")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stranger = Authority(elsewhere)
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    unknown = stranger.issue("bob.mcollective")
    trusting.load_cert_chain(unknown.certificate, unknown.key)
    async with operated(tmp_path, authority) as broker:
        assert broker.is_tls
        assert broker.is_verified_tls
        known = authority.context(authority.issue("bob.mcollective"))
        for context in (authority.context(), known):
            async with attempt(f"tls://127.0.0.1:{broker.ports.client}", context, **user) as connection:
                await settled(connection)
        with pytest.raises((nats.errors.Error, OSError)):
            async with attempt(f"tls://127.0.0.1:{broker.ports.client}", trusting, **user):
                pass
        async with wire(broker.ports.client) as bare:
            nonce = user["signature_cb"](bare.nonce).decode()
            with pytest.raises(ClosedError):
                await bare.connect(jwt=user["user_jwt_cb"]().decode(), sig=nonce)


async def test_in_clear_text_users_are_verified_too(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    async with operated(tmp_path, authority, overrides=Overrides(disable_tls=True)) as broker:
        url = f"nats://127.0.0.1:{broker.ports.client}"
        async with attempt(url, None, **store.login("ACME")) as connection:
            await settled(connection)
        with pytest.raises(nats.errors.Error):
            async with attempt(url, None):
                pass


async def test_permissions_are_those_of_the_users_token(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    reader = store.login("ACME", pub={"deny": [">"]}, sub={"allow": ["news.>", "_INBOX.>"]})
    async with (
        operated(tmp_path, authority) as broker,
        client(broker, authority.context(), **reader) as limited,
        client(broker, authority.context(), **store.login("ACME")) as free,
    ):
        at_free, at_limited = await ears(free), Ears(limited)
        for subject in ("news.>", "orders.>"):
            await limited.subscribe(subject, cb=at_limited.take)
        await limited.publish("news.own", b"not allowed")
        with contextlib.suppress(TimeoutError):
            await limited.flush(timeout=5)
        await say(free, "hello", "news.1", "orders.1")
        async with asyncio.timeout(DEADLINE):
            while not at_limited.heard:
                await asyncio.sleep(0.01)
        assert at_limited.heard == [("news.1", "hello")]
        assert await at_free.of("not allowed") == set()


async def test_events_of_the_server_reach_the_system_account(tmp_path: Path, authority: Authority) -> None:
    store = copy_of_nscs(tmp_path)
    async with (
        operated(tmp_path, authority, network__system_account="SYS") as broker,
        client(broker, authority.context(), **credentials(store, "SYS")) as system,
    ):
        operator = broker.settings.network.operator
        acme = operator.account("ACME") if operator else None
        assert acme is not None
        events = await system.subscribe(f"$SYS.ACCOUNT.{acme.key}.CONNECT")
        await settled(system)
        async with client(broker, authority.context(), name="newcomer", **credentials(store, "ACME")):
            event = json.loads((await events.next_msg(timeout=DEADLINE)).data)
        assert event["client"]["name"] == "newcomer"


async def test_only_that_account_is_left_out_which_cannot_be_used(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME", "CORRUPT", "STOLEN", "LATE")
    other = Store(tmp_path / "elsewhere", "OPS")
    text = store.file("CORRUPT").read_text(encoding="ascii")
    store.file("CORRUPT").write_text(text[:-20] + "A" * 20, encoding="ascii")
    store.account("STOLEN", other.key)
    store.account("LATE", exp=int(time.time()) - 1)
    async with operated(tmp_path, authority) as broker:
        for account, gets_in in (("ACME", True), ("CORRUPT", False), ("STOLEN", False), ("LATE", False)):
            login = store.login(account)
            if gets_in:
                async with client(broker, authority.context(), **login) as connection:
                    await settled(connection)
                continue
            with pytest.raises(nats.errors.Error):
                async with attempt(f"tls://127.0.0.1:{broker.ports.client}", authority.context(), **login):
                    pass


async def test_the_brokers_own_connections_use_the_credentials_of_the_store(
    tmp_path: Path, authority: Authority
) -> None:
    store = copy_of_nscs(tmp_path)
    broker = operated(tmp_path, authority, network__choria_account="ACME")
    with pytest.raises(NotReadyError, match="not running"):
        await broker.connect()
    async with broker, client(broker, authority.context(), **credentials(store, "GLOBEX")) as globex:
        own, as_globex = await broker.connect(), await broker.connect("GLOBEX")
        system = await broker.connect("system")
        try:
            at_globex, at_own = await ears(globex), await ears(own)
            await say(own, "in acme", "orders.1")
            await say(as_globex, "in globex", "orders.1")
            assert await heard_by(at_globex, "in acme", "in globex") == {"in acme": set(), "in globex": {"orders.1"}}
            assert await heard_by(at_own, "in acme", "in globex") == {"in acme": {"orders.1"}, "in globex": set()}
            assert (await system.request("$SYS.REQ.SERVER.PING", b"", timeout=DEADLINE)).data
        finally:
            for connection in (own, as_globex, system):
                await let_go(connection)


async def test_without_credentials_the_broker_says_where_it_looked(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    async with operated(tmp_path, authority) as broker:
        with pytest.raises(NotReadyError, match="choria_account is not set"):
            await broker.connect()
        with pytest.raises(NotReadyError, match="no such account"):
            await broker.connect("NOBODY")
        with pytest.raises(NotReadyError, match=str(store.directory / "creds" / "ACME")):
            await broker.connect("ACME")


async def test_a_credentials_file_that_is_gone_is_told_of(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    file = store.credentials("ACME")
    async with operated(tmp_path, authority) as broker:
        await (await broker.connect("ACME")).close()
        file.unlink()
        with pytest.raises(NotReadyError, match=str(file)):
            await broker.connect("ACME")


async def test_the_standard_streams_are_made_in_the_chosen_account(tmp_path: Path, authority: Authority) -> None:
    store = copy_of_nscs(tmp_path)
    settings: dict[str, Any] = {"network__choria_account": "FLEET", "network__stream__store": tmp_path / "streams"}
    async with (
        operated(tmp_path, authority, **settings) as broker,
        client(broker, authority.context(), **credentials(store, "FLEET")) as fleet,
    ):
        async with asyncio.timeout(DEADLINE):
            while {report.state for report in broker.streams.ledger.reports if report.replicas} != {"ok"}:
                await asyncio.sleep(0.02)
        names = json.loads((await fleet.request("$JS.API.STREAM.NAMES", b"", timeout=DEADLINE)).data)
        assert {"CHORIA_EVENTS", "CHORIA_MACHINE", "KV_CHORIA_LEADER_ELECTION"} <= set(names["streams"])
        assert {report.account for report in broker.streams.ledger.reports} == {"FLEET"}


async def test_limits_of_streams_are_those_of_the_account(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    store.account("FLEET", limits=STREAMS)
    async with (
        operated(tmp_path, authority, network__stream__store=tmp_path / "streams") as broker,
        client(broker, authority.context(), **store.login("FLEET")) as fleet,
        client(broker, authority.context(), **store.login("ACME")) as acme,
    ):
        usage = json.loads((await fleet.request("$JS.API.INFO", b"", timeout=DEADLINE)).data)
        assert (usage["limits"]["max_memory"], usage["limits"]["max_streams"]) == (2**20, 8)
        stream = json.dumps({"name": "BIG", "subjects": ["big"], "max_bytes": 2**30}).encode()
        refused = json.loads((await fleet.request("$JS.API.STREAM.CREATE.BIG", stream, timeout=DEADLINE)).data)
        assert "storage" in refused["error"]["description"]
        none = json.loads((await acme.request("$JS.API.INFO", b"", timeout=DEADLINE)).data)
        assert none["error"]["description"] == "JetStream not enabled for account"


async def test_a_bad_store_is_refused_before_anything_is_bound(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    store.operator(exp=int(time.time()) - 1)
    with pytest.raises(ConfigurationError, match=r"OPS\.jwt: the operator has expired"):
        operated(tmp_path, authority)


async def test_what_the_commands_say(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME", "LATE")
    store.account("LATE", exp=int(time.time()) - 1)
    broker = operated(tmp_path, authority)
    config = str(tmp_path / "broker.conf")
    explained = CliRunner().invoke(main, ["explain", "--config", config])
    assert explained.exit_code == 2
    assert "operator OPS decides on connections" in explained.output
    checked = CliRunner().invoke(main, ["check", "--config", config])
    assert checked.exit_code == 0, checked.output
    assert f"{store.file('LATE')}: the account has expired; account LATE is not served" in checked.output
    assert "token of ACME" in checked.output
    assert store.file("ACME").read_text(encoding="ascii") not in checked.output
    async with broker:
        async with client(broker, authority.context(), **store.login("ACME")):
            status = await asyncio.to_thread(ask_status, tmp_path / "broker.conf")
        shown = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--config", config])
        assert (status.operator, status.accounts) == ("OPS", ("ACME", "SYS"))
        assert "Operator OPS: nats-server decides on connections" in shown.output
        assert "Accounts: ACME, SYS" in shown.output
        assert "Accepted" not in shown.output


async def test_refusals_of_the_engine_are_counted_and_told_of(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    other = Store(tmp_path / "elsewhere", "OPS", "ACME")
    async with operated(tmp_path, authority) as broker:
        for _ in range(12):
            with pytest.raises(nats.errors.Error):
                async with attempt(
                    f"tls://127.0.0.1:{broker.ports.client}", authority.context(), **other.login("ACME")
                ):
                    pass
        counted = {"identity": broker.settings.identity, "cause": "authentication"}
        async with asyncio.timeout(DEADLINE):
            while broker.registry.get_sample_value("choria_broker_engine_refusals_total", counted) != 12.0:
                await asyncio.sleep(0.01)
        async with client(broker, authority.context(), **store.login("ACME")) as connection:
            await settled(connection)
    lines = [record.getMessage() for record in caplog.records if "authentication error" in record.getMessage()]
    assert 1 <= len(lines) <= 5


async def test_the_log_has_neither_tokens_nor_seeds(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    store = copy_of_nscs(tmp_path)
    files = [path.read_text(encoding="ascii") for path in store.rglob("*.creds")]
    seeds = [line for text in files for line in text.splitlines() if line.startswith("SU")]
    broker = operated(tmp_path, authority, overrides=Overrides(debug=True), network__choria_account="ACME")
    async with broker, client(broker, authority.context(), **credentials(store, "GLOBEX")) as globex:
        await settled(globex)
        await (await broker.connect()).close()
        await broker.reload()
    assert "Authenticated JWT" in caplog.text
    assert len(seeds) == 4
    assert not leaks(caplog.text, *seeds)
