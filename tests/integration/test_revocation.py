"""Who is revoked is out, on every listener, and nobody else is: with a running engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats.errors
import pytest
import trustme
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.errors import ConfigurationError
from choria_broker.reload.watcher import Pace
from support.leaflinks import remote, spoke
from support.minting import ORGANIZATION, hex_of, ksuid, mint, proof
from support.minting import client as claims
from support.revoking import RevokingAuthority, crl, last_rule, refused
from support.settled import recent
from support.testbed import Identity, client, configuration, free_port, gone, settled
from support.topology import Node, blamed, broker, gateways, joined, leafnodes, linked, peers, shows
from support.websockets import websocket_client

pytestmark = pytest.mark.filterwarnings(
    "ignore:parameter 'timeout' of type 'float':DeprecationWarning"  # nats-py asks aiohttp in the old way.
)
DEADLINE = 60.0
ISSUER: dict[str, Any] = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
}


@pytest.mark.parametrize(
    ("key_type", "pss"),
    [(trustme.KeyType.ECDSA, False), (trustme.KeyType.RSA, False), (trustme.KeyType.RSA, True)],
    ids=["ec", "rsa", "rsa-pss"],
)
async def test_certificates_on_every_listener_of_clients(tmp_path: Path, key_type: trustme.KeyType, pss: bool) -> None:
    authority = RevokingAuthority(tmp_path, key_type=key_type, pss=pss)
    authority.revoke()
    hq, site, websocket = Node("hq.example.net"), Node("site.example.net"), free_port()
    ports: dict[str, Any] = {
        "network__leafnode_port": hq.leafnode,
        "network__websocket_port": websocket,
        "network__gateway_name": "HQ",
    }
    one = broker(tmp_path, authority, hq, **ports, network__crl=authority.crl)
    other = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode))
    bad, worse, good = (authority.issue(f"{name}.example.net") for name in ("bad", "worse", "good"))
    async with (
        one,
        other,
        client(one, authority.context(bad)) as first,
        websocket_client(websocket, authority.context(worse)) as second,
        client(one, authority.context(good)) as third,
    ):
        await leafnodes(hq, 1)
        of_site = Identity(tmp_path / "site.example.net.pem", tmp_path / "site.example.net.key")
        authority.revoke(bad, worse, of_site)
        began = time.monotonic()
        await one.reload()
        await gone(first, second)
        assert one.enforcement.ended["revoked-certificate"] == 3
        assert one.reloads.latest
        assert one.reloads.latest.ended == 3
        assert time.monotonic() - began < DEADLINE
        await refused(hq.client, authority.context(bad))
        decision = next(each for each in reversed(await recent(one)) if each.common_name == "bad.example.net")
        assert decision.rule == "revoked-certificate"
        assert str(authority.crl) in decision.remedy
        with pytest.raises((nats.errors.Error, OSError)):
            async with websocket_client(websocket, authority.context(worse)):
                pass
        await shows(hq, "/leafz", lambda leafz: not leafz.get("leafnodes"))
        await settled(third)


async def test_a_bad_list_changes_nothing(tmp_path: Path) -> None:
    authority = RevokingAuthority(tmp_path)
    bad = authority.issue("bad.example.net")
    authority.revoke(bad)
    one = NetworkBroker.from_file(configuration(tmp_path, authority, network__crl=authority.crl))
    one.reloads.settling = 0.05
    whole = authority.crl.read_bytes()
    async with one:
        for broken in (b"", whole[:-50], crl(authority.root, delta=True), crl(trustme.CA(), [1])):
            authority.crl.write_bytes(broken)
            with pytest.raises(ConfigurationError):
                await one.reload()
            await refused(one.ports.client, authority.context(bad))
            assert last_rule(one) == "revoked-certificate"
        authority.crl.unlink()
        with pytest.raises(ConfigurationError):
            await one.reload()
        await refused(one.ports.client, authority.context(bad))
        authority.crl.write_bytes(crl(authority.root, number=99))
        await one.reload()
        async with client(one, authority.context(bad)):
            pass


async def test_links_of_revoked_brokers_end_and_do_not_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = RevokingAuthority(tmp_path)
    authority.revoke()
    one, two, far = Node("one.example.net"), Node("two.example.net"), Node("far.example.net")
    lists = {"network__crl": authority.crl}
    here = gateways(one, "HERE", FAR=[far]) | peers(one, two)
    first = broker(tmp_path, authority, one, **here, **lists)
    second = broker(tmp_path, authority, two, **peers(one, two), **gateways(two, "HERE", FAR=[far]))
    third = broker(tmp_path, authority, far, **gateways(far, "FAR", HERE=[one]))
    async with first, second, third:
        await linked(one, two)
        await joined(one, "FAR")
        for node in (two, far):
            authority.revoke(Identity(tmp_path / f"{node.identity}.pem", tmp_path / f"{node.identity}.key"))
        await first.reload()
        await shows(one, "/routez", lambda routez: not routez.get("routes"))
        await shows(
            one, "/gatewayz", lambda found: not found.get("outbound_gateways") and not found.get("inbound_gateways")
        )
        for kind in ("route", "gateway"):
            refused_again = f"TLS {kind} handshake error: certificate"
            async with asyncio.timeout(2 * DEADLINE):
                while not any(refused_again in each.getMessage() for each in caplog.records):
                    await asyncio.sleep(0.02)
        assert not (await shows(one, "/routez", lambda _: True)).get("routes")
        assert not (await shows(one, "/gatewayz", lambda _: True)).get("inbound_gateways")
        for port in (two.peer, far.gateway):
            await blamed(first, port, "revoked")


async def test_a_cluster_with_lists_forms_and_lives_through_reloads(tmp_path: Path) -> None:
    authority = RevokingAuthority(tmp_path)
    authority.revoke(authority.issue("bad.example.net"))
    one, two = Node("one.example.net"), Node("two.example.net")
    lists = {"network__crl": authority.crl}
    first = broker(tmp_path, authority, one, **peers(one, two), **lists)
    second = broker(tmp_path, authority, two, **peers(one, two), **lists)
    async with first, second:
        await linked(one, two)
        before = {route["rid"] for route in (await shows(one, "/routez", lambda _: True))["routes"]}
        authority.revoke(authority.issue("worse.example.net"))
        for each in (first, second, first):
            await each.reload()
        after = {route["rid"] for route in (await shows(one, "/routez", lambda _: True))["routes"]}
        assert before == after


@contextlib.asynccontextmanager
async def told(one: NetworkBroker, authority: RevokingAuthority, **more: Any) -> AsyncIterator[Client]:
    """Connect a client with a token."""
    token = mint(claims(nbf=None, permissions={"org_admin": True}, **more))
    connected = client(one, authority.context(), token=token, signature_cb=lambda nonce: proof(nonce=nonce).encode())
    async with connected as connection:
        yield connection


async def test_tokens_keys_and_callers(tmp_path: Path) -> None:
    authority, file = RevokingAuthority(tmp_path), tmp_path / "revoked"
    one = NetworkBroker.from_file(configuration(tmp_path, authority, **ISSUER, network__revocations=file))
    now = int(time.time())
    times = {"iat": now - 60, "exp": now + 600}
    async with (
        one,
        told(one, authority, ou="choria", jti=ksuid(now - 60, 1), **times) as first,
        told(one, authority, ou="choria", jti=ksuid(now - 60, 2), callerid="up=eve", **times) as second,
    ):
        file.write_text(f"token {ksuid(now - 60, 1)}\n")
        await one.reload()
        await gone(first)
        assert one.enforcement.ended["revoked-token"] == 1
        await settled(second)
        file.write_text("caller up=eve until=2020-01-01T00:00:00Z\n")
        await one.reload()
        await settled(second)
        file.write_text("caller up=eve\n")
        await one.reload()
        await gone(second)


async def test_a_changed_file_counts_by_itself(tmp_path: Path) -> None:
    authority, file = RevokingAuthority(tmp_path), tmp_path / "revoked"
    authority.revoke()
    settings: dict[str, Any] = {"network__revocations": file, "network__crl": authority.crl}
    one = NetworkBroker.from_file(configuration(tmp_path, authority, **settings))
    one.watcher.pace = Pace(look=0.05)
    bob, eve = (authority.issue(f"{name}.example.net") for name in ("bob", "eve"))
    async with (
        one,
        client(one, authority.context(bob)) as first,
        client(one, authority.context(eve)) as second,
    ):
        file.write_text("identity bob.example.net\n")
        await gone(first)
        await settled(second)
        authority.revoke(eve)
        await gone(second)


async def test_sessions_end_with_their_token(tmp_path: Path) -> None:
    authority = RevokingAuthority(tmp_path)
    one = NetworkBroker.from_file(configuration(tmp_path, authority, **ISSUER, network__enforce_expiry=True))
    now = int(time.time())
    async with (
        one,
        told(one, authority, ou="choria", iat=now - 60, exp=now + 2) as short,
        told(one, authority, ou="choria", iat=now - 60, exp=now + 900) as long,
    ):
        await settled(short)
        await gone(short)
        assert time.time() >= now + 2
        await settled(long)
        assert one.enforcement.ended["expired"] == 1


async def asked(port: int, *options: str | Path) -> str:
    """Ask with openssl, as a program that keeps sessions would."""
    arguments = ["s_client", "-connect", f"127.0.0.1:{port}", *map(str, options)]
    process = await asyncio.create_subprocess_exec(
        "openssl",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(DEADLINE):
        said, _ = await process.communicate(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return said.decode(errors="replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_no_session_can_be_resumed(tmp_path: Path, version: str) -> None:
    authority = RevokingAuthority(tmp_path)
    authority.revoke()
    websocket, kept = free_port(), tmp_path / "session"
    settings: dict[str, Any] = {"network__websocket_port": websocket, "network__crl": authority.crl}
    one = NetworkBroker.from_file(configuration(tmp_path, authority, **settings))
    bad = authority.issue("bad.example.net")
    own = (version, "-CAfile", authority.ca, "-cert", bad.certificate, "-key", bad.key, "-ign_eof")
    async with one:
        first = await asked(websocket, *own, "-sess_out", kept)
        assert "New, TLSv1" in first, first
        if kept.exists() and kept.stat().st_size:
            second = await asked(websocket, *own, "-sess_in", kept)
            assert "Reused, " not in second, second
        assert "TLS session ticket:" not in first
        context = authority.context(bad)
        context.maximum_version = ssl.TLSVersion.TLSv1_2 if version == "-tls1_2" else ssl.TLSVersion.TLSv1_3
        assert await asyncio.to_thread(resumed, one.ports.client, context) is False


def resumed(port: int, context: ssl.SSLContext) -> bool:
    """Begin two sessions on the client port, the second with what is left of the first."""
    session: ssl.SSLSession | None = None
    reused = False
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as plain:
            plain.recv(4096)  # INFO
            with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as secured:
                secured.sendall(b"PING\r\n")
                secured.recv(1024)
                reused = bool(secured.session_reused)
                session = secured.session
    return reused


async def test_random_histories_with_a_real_engine(tmp_path: Path) -> None:
    """Never a session of somebody who is revoked, never an end for somebody who is not."""
    authority, file = RevokingAuthority(tmp_path), tmp_path / "revoked"
    authority.revoke()
    settings: dict[str, Any] = {"network__revocations": file, "network__crl": authority.crl}
    one = NetworkBroker.from_file(configuration(tmp_path, authority, **settings))
    seed = time.time_ns()
    logging.getLogger(__name__).info("seed %d", seed)
    dice = random.Random(seed)  # noqa: S311 - no secret
    people = {name: authority.issue(f"{name}.example.net") for name in "abcdef"}
    listed: set[str] = set()
    async with one, contextlib.AsyncExitStack() as stack:
        live: dict[str, list[Client]] = {name: [] for name in people}
        named: set[str] = set()
        for _ in range(12):
            name = dice.choice(sorted(people))
            match dice.choice(["connect", "connect", "file", "list"]):
                case "connect" if name in named | listed:
                    await refused(one.ports.client, authority.context(people[name]))
                case "connect":
                    connected = client(one, authority.context(people[name]))
                    live[name].append(await stack.enter_async_context(connected))
                case "file":
                    named ^= {name}
                    file.write_text("".join(f"identity {each}.example.net\n" for each in sorted(named)))
                    await one.reload()
                case "list":
                    listed.add(name)
                    authority.revoke(people[name])
                    await one.reload()
            for each in named | listed:
                await gone(*live[each])
                live[each].clear()
            for each in set(people) - named - listed:
                for connection in live[each]:
                    await settled(connection)
