"""Clusters of real brokers: forming, what is on the wire, who is kept out, members lost and returned."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.values import replace
from support.command import Program, started
from support.tap_relay import tapped
from support.testbed import Authority, client, free_port
from support.topology import (
    Node,
    Setting,
    answered,
    blamed,
    broker,
    carried,
    client_of,
    configure,
    formed,
    linked,
    logged,
    nodes,
    peers,
    routes,
    running,
    shows,
)

LOGIN: dict[str, Setting] = {"network__peer_user": "cluster", "network__peer_password": "s3cret p@ss/%41:word"}
HANDSHAKE = 0x16
"""First byte of a TLS connection."""
SOON = 6.0
"""Seconds that discovery and the start of a broker may take together."""


@pytest.mark.parametrize("size", [2, 3, 5])
async def test_members_form_a_cluster_and_carry_messages(tmp_path: Path, authority: Authority, size: int) -> None:
    members = nodes(size)
    brokers = [broker(tmp_path, authority, member, **peers(*members)) for member in members]
    bob = authority.context(authority.issue("bob.mcollective"))
    async with running(brokers), contextlib.AsyncExitStack() as stack:
        await formed(*members)
        first, *others = [await stack.enter_async_context(client(each, bob)) for each in brokers]
        for other in others:
            await carried(first, other)
            await carried(other, first)


@pytest.mark.parametrize("host", ["LocalHost.", "[::ffff:127.0.0.1]"])
async def test_spellings_of_hosts_do_not_keep_members_apart(tmp_path: Path, authority: Authority, host: str) -> None:
    """Without a login, names of certificates are compared with the peers."""
    members = tuple(replace(node, host=host) for node in nodes(3))
    settings = peers(*members)
    settings["network__peers"] = f"{settings['network__peers']}, bro ker:5222, [fe80::1%lo]:5222, localhost.:0"
    brokers = [broker(tmp_path, authority, member, **settings) for member in members]
    async with running(brokers):
        await formed(*members)


async def test_a_request_is_answered_by_a_client_of_another_member(tmp_path: Path, authority: Authority) -> None:
    members = nodes(2)
    one, two = (broker(tmp_path, authority, member, **peers(*members)) for member in members)
    bob = authority.context(authority.issue("bob.mcollective"))
    async with one, two, client(one, bob) as server, client(two, bob) as caller:
        assert await answered(caller, server) == b"pong"


async def on_the_wire(folder: Path, authority: Authority, **settings: Setting) -> tuple[bytes, set[int]]:
    """Send a message through a cluster of two; return all their routes carried, and first bytes of connections."""
    one, two = nodes(2)
    async with tapped(one.peer) as to_one, tapped(two.peer) as to_two:
        first = broker(folder, authority, one, **peers(one, replace(two, peer=to_two.port)), **settings)
        second = broker(folder, authority, two, **peers(replace(one, peer=to_one.port), two), **settings)
        bob = authority.context(authority.issue("bob.mcollective"))
        async with first, second, client(first, bob) as here, client(second, bob) as there:
            await formed(one, two)
            await carried(here, there, "mcollective.wiretap")
        openers = [opener for opener, _ in (*to_one.connections, *to_two.connections)]
        return to_one.heard + to_two.heard, {opener[0] for opener in openers if opener}


async def test_routes_carry_nothing_in_clear_text(tmp_path: Path, authority: Authority) -> None:
    heard, beginnings = await on_the_wire(tmp_path, authority, **LOGIN)
    assert beginnings == {HANDSHAKE}
    for text in (b"s3cret", b"mcollective.wiretap", b"across", b"CONNECT", b"INFO"):
        assert text not in heard


async def test_without_peer_tls_routes_are_clear_text(tmp_path: Path, authority: Authority) -> None:
    heard, beginnings = await on_the_wire(tmp_path, authority, network__peer_tls=False)
    assert HANDSHAKE not in beginnings
    assert b"mcollective.wiretap" in heard


def _has(others: set[str]) -> Callable[[Any], bool]:
    return lambda routez: routes(routez) == others


@contextlib.asynccontextmanager
async def pair_and_stranger(one: Node, two: Node, brokers: list[NetworkBroker], odd: Node) -> AsyncIterator[None]:
    """Run a cluster of two, then one more broker, which finds no way in; on exit that is certain."""
    *pair, stranger = brokers
    async with running(pair):
        await formed(one, two)
        async with stranger:
            yield
            for member, others in ((one, {two.identity}), (two, {one.identity}), (odd, set())):
                # Until it is refused a link is on the page, and it is tried again and again.
                await shows(member, "/routez", _has(others))


@pytest.mark.parametrize(
    ("kind", "complaint", "says"),
    [
        (
            "clear text",
            "first record does not look like a TLS handshake",
            "compare plugin.choria.network.peer_tls on both sides",
        ),
        (
            "another CA",
            "certificate signed by unknown authority",
            "the CA that issued the other side's certificate is not in the CA file here)",
        ),
        (
            "certificate of a fleet node",
            "link refused",
            'no name in its certificate is listed here; names: "web17.example.net" (if it is a member, list it',
        ),
    ],
)
async def test_a_stranger_gets_no_route(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, kind: str, complaint: str, says: str
) -> None:
    one, two, odd = nodes(3)
    settings = peers(one, two, odd)
    brokers = [broker(tmp_path, authority, member, **settings) for member in (one, two)]
    if kind == "another CA":
        (tmp_path / "foreign").mkdir()
        authority = Authority(tmp_path / "foreign")
    elif kind == "clear text":
        settings["network__peer_tls"] = False
    else:
        own = authority.issue("web17.example.net")
        settings["plugin__security__file__certificate"] = own.certificate
        settings["plugin__security__file__key"] = own.key
    (tmp_path / "odd").mkdir()
    brokers.append(broker(tmp_path / "odd", authority, odd, **settings))
    async with pair_and_stranger(one, two, brokers, odd):
        assert says in await logged(caplog, complaint)
        await blamed(brokers[0], odd.peer, "tls" if kind == "clear text" else "x509")


@pytest.mark.parametrize("tls", [True, False])
async def test_a_login_is_for_members_that_have_it(tmp_path: Path, authority: Authority, *, tls: bool) -> None:
    members = nodes(3)
    settings = peers(*members) | LOGIN | {"network__peer_tls": tls}
    brokers = [broker(tmp_path, authority, member, **settings) for member in members]
    bob = authority.context(authority.issue("bob.mcollective"))
    async with running(brokers), client(brokers[0], bob) as here, client(brokers[2], bob) as there:
        await formed(*members)
        await carried(here, there)


@pytest.mark.slow
@pytest.mark.parametrize("tls", [True, False])
async def test_a_wrong_password_is_refused_and_seen_on_both_sides(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, *, tls: bool
) -> None:
    one, two, odd = nodes(3)
    settings = peers(one, two, odd) | LOGIN | {"network__peer_tls": tls}
    brokers = [broker(tmp_path, authority, member, **settings) for member in (one, two)]
    brokers.append(broker(tmp_path, authority, odd, **(settings | {"network__peer_password": "hunter2"})))
    async with pair_and_stranger(one, two, brokers, odd):
        assert "it sent another password than this cluster's (compare" in await logged(caplog, "link refused")
        assert "the other side refused" in await logged(caplog, "rid:", "Route Error 'Authorization Violation'")
        await blamed(brokers[0], odd.peer, "login")
        await blamed(brokers[2], two.peer, "login")


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(("broker1.example.net:{one}", "localhost:{two}"), id="self by identity"),
        pytest.param(("LocalHost:{one}", "localhost:{two}"), id="self by a name of its address"),
        pytest.param(("127.0.0.1:{one}", "localhost:{two}"), id="self by address"),
        pytest.param(("nats://localhost:{one}", "localhost:{two}", "nats://localhost:{two}"), id="a peer twice"),
        pytest.param(("localhost:{two}",), id="not in its own list"),
    ],
)
async def test_a_member_knows_itself(tmp_path: Path, authority: Authority, listed: tuple[str, ...]) -> None:
    one, two = nodes(2)
    texts = [text.format(one=one.peer, two=two.peer) for text in listed]
    first = broker(tmp_path, authority, one, network__peers=", ".join(texts))
    assert [route.authority for route in first.settings.network.cluster.routes] == [f"localhost:{two.peer}"]
    async with first, broker(tmp_path, authority, two, **peers(one, two)):
        await formed(one, two)


async def test_a_member_that_cannot_know_itself_meets_itself_and_the_cluster_forms(
    tmp_path: Path, authority: Authority
) -> None:
    one, two = nodes(2)
    async with tapped(one.peer) as itself:
        seen_from_outside = replace(one, peer=itself.port)
        first = broker(tmp_path, authority, one, **peers(seen_from_outside, two))
        assert len(first.settings.network.cluster.routes) == 2
        async with first, broker(tmp_path, authority, two, **peers(one, two)):
            await formed(one, two)
            assert itself.heard


async def test_peers_that_nobody_knows_hold_nothing_up(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = nodes(2)
    settings = peers(one, two)
    settings["network__peers"] = f"{settings['network__peers']}, nowhere.invalid:5222, localhost:{free_port()}"
    begin = time.monotonic()
    first = broker(tmp_path, authority, one, **settings)
    async with first, broker(tmp_path, authority, two, **settings):
        assert time.monotonic() - begin < 2 * SOON
        await formed(one, two)
        await logged(caplog, "Error trying to connect to route", "nowhere.invalid")
        await logged(caplog, "Error trying to connect to route", "connection refused")


@contextlib.asynccontextmanager
async def program(config: Path) -> AsyncIterator[Program]:
    """Run a member as an operator does; it is ready on entry."""
    async with started("broker", "run", "--config", config, log=config.parent / "broker.log") as running_program:
        await running_program.told("READY=1")
        yield running_program


@pytest.mark.slow
async def test_a_member_is_lost_and_returns(tmp_path: Path, authority: Authority) -> None:
    one, two, three = members = nodes(3)
    configs = [
        configure(tmp_path, authority, node, logfile=tmp_path / node.identity / "broker.log", **peers(*members))
        for node in members
    ]
    bob = authority.context(authority.issue("bob.mcollective"))

    async with program(configs[0]), program(configs[1]):
        async with program(configs[2]) as lost, client_of(one, bob) as here, client_of(three, bob) as there:
            await formed(*members)
            await carried(here, there)
            lost.send(signal.SIGKILL)
            await lost.ended()
        await linked(one, two)
        await linked(two, one)
        async with client_of(one, bob) as here, client_of(two, bob) as there:
            await carried(here, there)
            await carried(there, here)
            async with program(configs[2]), client_of(three, bob) as returned:
                await formed(*members)
                await carried(here, returned)
                await carried(returned, there)
