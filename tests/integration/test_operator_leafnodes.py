"""Leafnodes in operator mode: the ones that join the broker, and the brokers it joins."""

from __future__ import annotations

from pathlib import Path

from choria_broker.broker import NetworkBroker
from support.leaflinks import ears, meet, remote, say, spoke
from support.nats_server import OperatorHub, plain, stock, tls_block
from support.stores import Store, copy_of_nscs, credentials
from support.testbed import Authority, client, configuration, free_port
from support.topology import Node, Setting, leafnodes


def operated(folder: Path, authority: Authority, **settings: str | int | bool | Path) -> NetworkBroker:
    """Make a broker that serves the accounts of operator OPS."""
    return NetworkBroker.from_file(configuration(folder, authority, network__operator_account="OPS", **settings))


async def test_a_leafnode_is_bound_to_the_account_of_its_credentials(tmp_path: Path, authority: Authority) -> None:
    store, listener, port = copy_of_nscs(tmp_path), free_port(), free_port()
    file = store / "creds" / "ACME" / "broker.creds"
    leaf = (
        f'server_name: leaf\nlisten: "127.0.0.1:{port}"\nleafnodes {{ remotes: [ {{ urls: ["nats-leaf://127.0.0.1:'
        f'{listener}"], credentials: "{file}", {tls_block(authority, None)} }} ] }}\n'
    )
    async with (
        operated(tmp_path, authority, network__leafnode_port=listener) as broker,
        stock(tmp_path / "leaf", leaf),
        client(broker, authority.context(), **credentials(store, "ACME")) as acme,
        client(broker, authority.context(), **credentials(store, "GLOBEX")) as globex,
        plain(port) as there,
    ):
        await meet(acme, there)
        at_globex, at_acme = await ears(globex, "orders.>"), await ears(acme, "orders.>")
        await meet(acme, there)
        await say(there, "from the leaf", "orders.1")
        await meet(acme, there)
        assert await at_acme.of("from the leaf") == {"orders.1"}
        assert await at_globex.of("from the leaf") == set()


async def test_a_leafnode_without_good_credentials_stays_outside(tmp_path: Path, authority: Authority) -> None:
    copy_of_nscs(tmp_path)
    listener = free_port()
    other = Store(tmp_path / "elsewhere", "OPS", "ACME")
    other.credentials("ACME")
    login = f'credentials: "{other.directory}/creds/ACME/broker.creds"'
    for number, more in enumerate(("", login)):
        leaf = (
            f'server_name: leaf\nlisten: "127.0.0.1:{free_port()}"\nleafnodes {{ remotes: [ {{ urls: ["nats-leaf://'
            f'127.0.0.1:{listener}"], {tls_block(authority, authority.issue("leaf.example.net"))}, {more} }} ] }}\n'
        )
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        async with (
            operated(tmp_path, authority, network__leafnode_port=listener),
            stock(folder, leaf) as server,
        ):
            await server.logs("Authorization Violation")


async def test_the_broker_joins_others_for_accounts_of_its_store(tmp_path: Path, authority: Authority) -> None:
    site, hub = Node("site.example.net"), OperatorHub(tmp_path, authority)
    folder = tmp_path / site.identity
    folder.mkdir()
    store = Store(folder, "OPS", "ACME", "GLOBEX")
    above = hub.operator.user("OPS").credentials(tmp_path / "ops.creds")
    links = remote("HQ", hub.listener, account="GLOBEX", credentials=above)
    links |= remote("LAB", hub.listener, credentials=hub.operator.user("LAB").credentials(tmp_path / "lab.creds"))
    links |= {"network__leafnode_remotes": "HQ, LAB"}
    below = spoke(
        tmp_path,
        authority,
        site,
        network__operator_account="OPS",
        network__choria_account=store.public("ACME"),
        **links,
    )
    async with (
        hub.running(),
        below,
        hub.client("OPS") as ops,
        hub.client("LAB") as lab,
        client(below, authority.context(), **store.login("GLOBEX")) as globex,
        client(below, authority.context(), **store.login("ACME")) as acme,
    ):
        await meet(ops, globex)
        await meet(lab, acme)
        at_ops, at_lab = await ears(ops, "orders.>"), await ears(lab, "orders.>")
        await meet(ops, globex)
        await meet(lab, acme)
        await say(globex, "of globex", "orders.1")
        await say(acme, "of acme", "orders.1")
        await meet(ops, globex)
        await meet(lab, acme)
        assert (await at_ops.of("of globex"), await at_ops.of("of acme")) == ({"orders.1"}, set())
        assert (await at_lab.of("of globex"), await at_lab.of("of acme")) == (set(), {"orders.1"})


async def test_a_remote_goes_and_comes_with_its_account(tmp_path: Path, authority: Authority) -> None:
    site, hub = Node("site.example.net"), OperatorHub(tmp_path, authority)
    folder = tmp_path / site.identity
    folder.mkdir()
    store = Store(folder, "OPS", "ACME", "GLOBEX")
    links: dict[str, Setting] = {"network__leafnode_remotes": "ONE, TWO", "network__operator_account": "OPS"}
    for name, account, above in (("ONE", "ACME", "OPS"), ("TWO", "GLOBEX", "LAB")):
        file = hub.operator.user(above).credentials(tmp_path / f"{name}.creds")
        links |= remote(name, hub.listener, account=account, credentials=file)
    async with (
        hub.running(),
        spoke(tmp_path, authority, site, **links) as below,
        hub.client("OPS") as ops,
        client(below, authority.context(), **store.login("ACME")) as acme,
    ):
        await leafnodes(site, 2)
        await meet(ops, acme)
        store.remove("GLOBEX")
        (finding,) = await below.reload()
        assert finding.effect == "leafnode remote TWO is not used"
        await leafnodes(site, 1)
        await meet(ops, acme)
        store.account("GLOBEX")
        assert await below.reload() == ()
        await leafnodes(site, 2)
        await meet(ops, acme)
