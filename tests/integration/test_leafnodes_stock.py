"""Leafnodes between the broker and stock nats-servers: as leaf, as hub with users, as hub with an operator."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from support.leaflinks import ears, hub, meet, remote, say, spoke
from support.nats_server import OperatorHub, plain, stock, tls_block
from support.settled import recent
from support.testbed import Authority, Identity, client, free_port
from support.topology import Node, configure, leafnodes, logged

HQ, SITE = "hq.example.net", "site.example.net"
SUBJECTS = ("probe", "mcollective.node.node1.example.net")


def leaf(authority: Authority, hq: Node, port: int, own: Identity | None, more: str = "") -> str:
    remote = f'{{ urls: ["nats-leaf://127.0.0.1:{hq.leafnode}"], {tls_block(authority, own)}{more} }}'
    return f'server_name: leaf\nlisten: "127.0.0.1:{port}"\nleafnodes {{ remotes: [ {remote} ] }}\n'


async def test_a_stock_server_joins_with_a_certificate(tmp_path: Path, authority: Authority) -> None:
    hq, port = Node(HQ), free_port()
    context = authority.context(authority.issue("bob.mcollective"))
    configuration = leaf(authority, hq, port, authority.issue("leaf.example.net"))
    async with (
        hub(tmp_path, authority, hq) as above,
        stock(tmp_path / "leaf", configuration),
        client(above, context) as here,
        plain(port) as there,
    ):
        await meet(here, there)
        at_hub, at_leaf = await ears(here), await ears(there)
        await meet(here, there)
        await say(there, "up", *SUBJECTS)
        await say(here, "down", *SUBJECTS)
        await meet(here, there)
        assert await at_hub.of("up") == set(SUBJECTS)
        assert await at_leaf.of("down") == set(SUBJECTS)
        (decision,) = [each for each in (await recent(above)) if each.kind == "leafnode"]
        assert (decision.account, decision.common_name) == ("choria", "leaf.example.net")


async def test_long_deny_lists_of_a_stock_server_have_room(tmp_path: Path, authority: Authority) -> None:
    hq, port = Node(HQ), free_port()
    denied = ", ".join(f'"site.secret{number}.department.>"' for number in range(50))
    lists = f", deny_exports: [{denied}], deny_imports: [{denied}]"
    configuration = leaf(authority, hq, port, authority.issue("leaf.example.net"), lists)
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        hub(tmp_path, authority, hq) as above,
        stock(tmp_path / "leaf", configuration),
        client(above, context) as here,
        plain(port) as there,
    ):
        await meet(here, there)
        at_hub = await ears(here, "site.>", "probe")
        await meet(here, there)
        await say(there, "up", "site.secret49.department.x", "probe")
        await meet(here, there)
        assert await at_hub.of("up") == {"probe"}


async def test_a_stock_server_without_a_certificate_does_not_join(tmp_path: Path, authority: Authority) -> None:
    hq = Node(HQ)
    async with (
        hub(tmp_path, authority, hq) as above,
        stock(tmp_path / "leaf", leaf(authority, hq, free_port(), None)) as server,
    ):
        await server.logs("Leafnode Error 'Authorization Violation'")
        assert (await recent(above))[-1].rule == "certificate-required"
        await leafnodes(hq, 0)


@pytest.mark.parametrize(("client_hosts", "joins"), [("127.0.0.1", True), ("192.0.2.1", False)])
async def test_only_a_stock_server_without_limits_may_be_the_hub(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, client_hosts: str, *, joins: bool
) -> None:
    hq, port = Node(HQ), free_port()
    configuration = leaf(authority, hq, port, authority.issue("leaf.example.net"), ", hub: true")
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        hub(tmp_path, authority, hq, network__client_hosts=client_hosts) as above,
        stock(tmp_path / "leaf", configuration) as server,
    ):
        if joins:
            async with client(above, context) as here, plain(port) as there:
                await meet(here, there)
        else:
            await server.logs("Leafnode Error 'Leafnode with limited permissions asks for the role of the hub")
            await logged(caplog, "Leafnode with limited permissions asks for the role of the hub")
            await leafnodes(hq, 0)


async def test_the_certificate_leads_into_an_account_of_a_stock_hub(tmp_path: Path, authority: Authority) -> None:
    site, port, listener = Node(SITE), free_port(), free_port()
    own = authority.issue("nats.example.net", "127.0.0.1")
    configuration = (
        f'server_name: hub\nlisten: "127.0.0.1:{port}"\n'
        f'leafnodes {{ listen: "127.0.0.1:{listener}", {tls_block(authority, own, "verify_and_map: true")}\n'
        f'  authorization {{ users: [ {{ user: "{SITE}", account: SITES }} ] }} }}\n'
        "accounts { SITES { users: [ { user: insider, password: s3cret } ] }\n"
        "  OTHERS { users: [ { user: outsider, password: s3cret } ] } }\n"
    )
    below = spoke(tmp_path, authority, site, **remote("HQ", listener))
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        stock(tmp_path / "hub", configuration),
        below,
        plain(port, user="insider", password="s3cret") as insider,
        plain(port, user="outsider", password="s3cret") as outsider,
        client(below, context) as there,
    ):
        await reaches_only(insider, outsider, there)


async def reaches_only(inside: Client, outside: Client, there: Client) -> None:
    """Hold that what is said at the spoke is heard by one client of the hub and not by the other."""
    await meet(inside, there)
    hears, nothing = await ears(inside), await ears(outside)
    await meet(inside, there)
    await say(there, "up", *SUBJECTS)
    await meet(inside, there)
    assert await hears.of("up") == set(SUBJECTS)
    assert not await nothing.of("up")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"credentials": "OPS"}, []),
        ({"credential": "OPS"}, ["it is used, although go-choria does not read it"]),
        ({"credential": "LAB", "credentials": "OPS"}, ["it is ignored"]),
    ],
)
async def test_credentials_in_either_spelling_lead_into_their_account(
    tmp_path: Path, authority: Authority, files: dict[str, str], told: list[str]
) -> None:
    above, site = OperatorHub(tmp_path, authority), Node(SITE)
    paths = {key: above.operator.user(name).credentials(tmp_path / f"{name}.creds") for key, name in files.items()}
    settings = remote("HQ", above.listener, **paths) | {
        "network__gateway_name": "SITE",
        "network__leafnode_remotes": "HQ",
    }
    path = configure(tmp_path, authority, site, **settings)
    findings = load(path, Overrides()).findings
    assert [finding.effect for finding in findings if finding.code == "alias-key"] == told
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        above.running(),
        NetworkBroker.from_file(path) as below,
        above.client("OPS") as insider,
        above.client("LAB") as outsider,
        client(below, context) as there,
    ):
        await reaches_only(insider, outsider, there)


async def test_expired_credentials_are_renewed_without_a_restart(tmp_path: Path, authority: Authority) -> None:
    above, site = OperatorHub(tmp_path, authority), Node(SITE)
    path = above.operator.user("OPS", exp=int(time.time()) - 5).credentials(tmp_path / "ops.creds")
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        above.running() as server,
        spoke(tmp_path, authority, site, **remote("HQ", above.listener, credentials=path)) as below,
        above.client("OPS") as insider,
        client(below, context) as there,
    ):
        await server.logs("authentication error")
        above.operator.user("OPS").credentials(tmp_path / "new.creds").replace(path)
        await meet(insider, there)


async def test_permissions_of_the_credentials_limit_the_leafnode(tmp_path: Path, authority: Authority) -> None:
    above, site = OperatorHub(tmp_path, authority), Node(SITE)
    limited = above.operator.user("OPS", pub={"deny": ["mcollective.>"]}).credentials(tmp_path / "ops.creds")
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        above.running(),
        spoke(tmp_path, authority, site, **remote("HQ", above.listener, credentials=limited)) as below,
        above.client("OPS") as insider,
        client(below, context) as there,
    ):
        hears = await ears(insider, *SUBJECTS, "mark")
        await leafnodes(site, 1)
        while not await hears.of("arrived"):
            await say(there, "up", *SUBJECTS)
            await say(there, "arrived", "mark")
        assert await hears.of("up") == {"probe"}


@pytest.mark.parametrize(
    ("listener", "scheme", "disable"),
    [
        ("leafnodes", "nats", "yes"),
        ("leafnodes", "leafnode", "True"),
        ("leafnodes", "nats", "on"),
        ("websocket", "ws", "1"),
    ],
)
async def test_clear_text_where_it_is_asked_for(
    tmp_path: Path, authority: Authority, listener: str, scheme: str, disable: str
) -> None:
    site, port, links = Node(SITE), free_port(), free_port()
    block = {"leafnodes": "", "websocket": "no_tls: true"}[listener]
    configuration = (
        f'server_name: hub\nlisten: "127.0.0.1:{port}"\n{listener} {{ listen: "127.0.0.1:{links}", {block} }}\n'
    )
    if listener == "websocket":
        configuration += f'leafnodes {{ listen: "127.0.0.1:{free_port()}" }}\n'
    settings = remote("HQ", f"{scheme}://127.0.0.1:{links}", tls__disable=disable)
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        stock(tmp_path / "hub", configuration),
        spoke(tmp_path, authority, site, **settings) as below,
        plain(port) as here,
        client(below, context) as there,
    ):
        await meet(here, there)
