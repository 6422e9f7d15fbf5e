"""Leafnode remotes with real engines: local accounts, addresses, websockets, own TLS, and bad ones among good."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.leaflinks import ears, hub, meet, remote, say, spoke
from support.minting import HOLDER, ORGANIZATION, hex_of, mint, proof
from support.minting import client as claims
from support.nats_socket import wire
from support.settled import recent
from support.testbed import Authority, client, free_port
from support.topology import Node, Setting, configure, leafnodes, page

HQ, SITE = "hq.example.net", "site.example.net"
SUBJECTS = ("probe", "mcollective.node.node1.example.net")
NOW = int(time.time())
TOKEN = mint(claims(ou="acme", permissions={"org_admin": True}) | {"iat": NOW - 60, "exp": NOW + 3600, "nbf": NOW - 60})


def token_login() -> dict[str, Any]:
    """Options of a client that logs in with the token."""
    return {"token": TOKEN, "user_jwt_cb": TOKEN.encode, "signature_cb": lambda nonce: proof(HOLDER, nonce).encode()}


async def reaches_only(hq: Client, inside: Client, outside: Client) -> None:
    """Hold that a client at the hub meets one of two at the spoke, in both directions, and not the other."""
    await meet(hq, inside)
    at_hub, within, without = await ears(hq, *SUBJECTS), await ears(inside, *SUBJECTS), await ears(outside, *SUBJECTS)
    await meet(hq, inside)
    await say(inside, "from inside", *SUBJECTS)
    await say(outside, "from outside", *SUBJECTS)
    await say(hq, "from the hub", *SUBJECTS)
    await meet(hq, inside)
    assert await at_hub.of("from inside") == set(SUBJECTS)
    assert not await at_hub.of("from outside")
    assert await within.of("from the hub") == set(SUBJECTS)
    assert not await within.of("from outside")
    assert not await without.of("from the hub")
    assert not await without.of("from inside")


async def test_a_remote_of_an_organizations_account(tmp_path: Path, authority: Authority) -> None:
    hq, site = Node(HQ), Node(SITE)
    below = spoke(
        tmp_path,
        authority,
        site,
        **remote("HQ", hq.leafnode, account="ACME"),
        plugin__security__issuer__names="acme",
        plugin__security__issuer__acme__public=hex_of(ORGANIZATION),
        plugin__security__issuer__acme__account="ACME",
    )
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        hub(tmp_path, authority, hq) as above,
        below,
        client(above, context) as bob,
        client(below, context, **token_login()) as acme,
    ):
        assert (await recent(below))[-1].account == "ACME"
        fleet = await below.connect()
        await reaches_only(bob, acme, fleet)
        (link,) = (await page(site, "/leafz"))["leafs"]
        assert link["account"] == "ACME"
        await fleet.close()


async def test_a_remote_of_the_system_account(tmp_path: Path, authority: Authority) -> None:
    hq, site = Node(HQ), Node(SITE)
    login = {"network__system__user": "system", "network__system__password": "s3cret"}
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode, account="system"), **login)
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        hub(tmp_path, authority, hq) as above,
        below,
        client(above, context) as bob,
        client(below, context, user="system", password="s3cret") as system,
        client(below, context) as fleet,
    ):
        await reaches_only(bob, system, fleet)


async def test_remotes_of_two_accounts_to_one_broker_do_not_mix_at_the_spoke(
    tmp_path: Path, authority: Authority
) -> None:
    hq, site = Node(HQ), Node(SITE)
    below = spoke(
        tmp_path,
        authority,
        site,
        **remote("FLEET", hq.leafnode),
        **remote("EDGE", hq.leafnode, account="EDGE"),
        network__accounts="EDGE",
        network__unverified_account="EDGE",
    )
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        hub(tmp_path, authority, hq) as above,
        below,
        client(above, context) as bob,
        client(below, None) as edge,
    ):
        fleet = await below.connect()
        for one in (fleet, edge):
            await meet(bob, one)
        heard, other = await ears(fleet), await ears(edge)
        await say(fleet, "of the fleet", *SUBJECTS)
        await say(edge, "of the edge", *SUBJECTS)
        for one in (fleet, edge):
            await meet(bob, one)
        assert not await heard.of("of the edge")
        assert not await other.of("of the fleet")
        await fleet.close()


async def test_bad_remotes_are_left_out_and_named_and_the_good_one_links(tmp_path: Path, authority: Authority) -> None:
    hq, site = Node(HQ), Node(SITE)
    bad: dict[str, dict[str, Setting]] = {
        "nowhere": {},
        "noport": remote("noport", "hub"),
        "twoways": remote("twoways", f"127.0.0.1:{hq.leafnode}, ws://127.0.0.1:{free_port()}"),
        "nobody": remote("nobody", hq.leafnode, account="NOBODY"),
        "nofile": remote("nofile", hq.leafnode, credentials=tmp_path / "missing.creds"),
        "nocreds": remote("nocreds", hq.leafnode, credentials=authority.ca),
        "noca": remote("noca", hq.leafnode, tls__ca=tmp_path / "missing.pem"),
        "again": remote("again", hq.leafnode),
    }
    settings: dict[str, Setting] = {"network__leafnode_remotes": ", ".join(["nowhere", "good", *bad])}
    for each in (remote("good", hq.leafnode), remote("unlisted", hq.leafnode), *bad.values()):
        settings |= each
    path = configure(tmp_path, authority, site, network__gateway_name="SITE", **settings)
    checked = CliRunner().invoke(main, ["check", "--config", str(path)])
    assert checked.exit_code == 0
    for name in bad:
        assert f"leafnode remote {name} is not used" in checked.stderr
    assert "unlisted is not in plugin.choria.network.leafnode_remotes" in checked.stderr
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        hub(tmp_path, authority, hq) as above,
        NetworkBroker.from_file(path) as below,
        client(above, context) as here,
        client(below, context) as there,
    ):
        assert below.registry.get_sample_value("choria_broker_config_errors", {"identity": SITE}) == len(bad)
        assert [each.name for each in below.settings.network.leafnodes.remotes] == ["good"]
        await meet(here, there)


async def test_a_remote_finds_whichever_of_its_addresses_lives(tmp_path: Path, authority: Authority) -> None:
    first, second, site = Node("hq1.example.net"), Node("hq2.example.net"), Node(SITE)
    urls = f"127.0.0.1:{first.leafnode}, localhost:{second.leafnode}"
    context = authority.context(authority.issue("bob.mcollective"))
    async with spoke(tmp_path, authority, site, **remote("HQ", urls)) as below, client(below, context) as there:
        for node in (first, second):
            async with hub(tmp_path, authority, node) as above, client(above, context) as here:
                await meet(here, there)
            await leafnodes(site, 0)


@pytest.mark.parametrize("scheme", ["wss", "ws"])
async def test_leafnodes_over_websockets(tmp_path: Path, authority: Authority, scheme: str) -> None:
    hq, site, port = Node(HQ), Node(SITE), free_port()
    above = hub(tmp_path, authority, hq, network__websocket_port=port)
    below = spoke(tmp_path, authority, site, **remote("HQ", f"{scheme}://127.0.0.1:{port}"))
    context = authority.context(authority.issue("bob.mcollective"))
    async with above, below, client(above, context) as here, client(below, context) as there:
        await meet(here, there)
        (decision,) = [each for each in (await recent(above)) if each.kind == "leafnode"]
        assert (decision.tls, decision.account, decision.common_name) == ("mtls", "choria", SITE)


PUBLIC_URLS = [
    ("", None),
    ("choria.example.net:4222", "choria.example.net"),
    ("nats://choria.example.net:4222", "choria.example.net"),
    ("choria.example.net", "choria.example.net"),
    ("[2001:db8::1]:4222", "2001:db8::1"),
    ("wss://choria.example.net", "choria.example.net"),
]


@pytest.mark.parametrize(("public_url", "host"), PUBLIC_URLS)
async def test_the_listener_tells_the_public_name_with_its_own_port(
    tmp_path: Path, authority: Authority, public_url: str, host: str | None
) -> None:
    hq = Node(HQ)
    settings: dict[str, Setting] = {"network__public_url": public_url} if public_url else {}
    async with hub(tmp_path, authority, hq, **settings), wire(hq.leafnode) as peer:
        assert (peer.info["host"], peer.info["port"]) == (host or "127.0.0.1", hq.leafnode)
        assert peer.info["tls_required"]
        # Older leafnodes give up where this is missing.
        told = f"[{host}]" if host and ":" in host else host or "127.0.0.1"
        assert peer.info["leafnode_urls"] == [f"{told}:{hq.leafnode}"]


Files = Callable[[Path, Authority], dict[str, Setting]]


def own_files(_: Path, authority: Authority) -> dict[str, Setting]:
    own = authority.issue("special.example.net")
    return {"tls__cert": own.certificate, "tls__key": own.key, "tls__ca": authority.ca}


def own_files_unverified(folder: Path, authority: Authority) -> dict[str, Setting]:
    own = authority.issue("special.example.net")
    foreign = Authority(folder, "foreign")
    return {"tls__cert": own.certificate, "tls__key": own.key, "tls__ca": foreign.ca, "tls__verify": "False"}


def nothing_verified(_: Path, __: Authority) -> dict[str, Setting]:
    return {"tls__verify": "no"}


@pytest.mark.parametrize(
    ("settings", "name"),
    [(own_files, "special.example.net"), (own_files_unverified, "special.example.net"), (nothing_verified, SITE)],
)
async def test_tls_of_a_remote(tmp_path: Path, authority: Authority, settings: Files, name: str) -> None:
    hq, site = Node(HQ), Node(SITE)
    # A name that is not in the hub's certificate, so that verifying it would fail.
    address = f"127.0.0.2:{hq.leafnode}" if "nothing" in settings.__name__ else f"127.0.0.1:{hq.leafnode}"
    above = hub(tmp_path, authority, hq, network__listen_address="0.0.0.0")  # noqa: S104 - any of 127.0.0.0/8
    below = spoke(tmp_path, authority, site, **remote("HQ", address, **settings(tmp_path, authority)))
    context = authority.context(authority.issue("bob.mcollective"))
    async with above, below, client(above, context) as here, client(below, context) as there:
        await meet(here, there)
        (decision,) = [each for each in (await recent(above)) if each.kind == "leafnode"]
        assert (decision.tls, decision.common_name) == ("mtls", name)
