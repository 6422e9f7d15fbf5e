"""Websocket clients of a running broker: with and without TLS, certificates and tokens, and what else may knock."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import struct
import time
from pathlib import Path
from typing import Any

import aiohttp
import nats.errors
import pytest
from nats.aio.client import Client

from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.settings.finding_codes import Severity
from support.minting import HOLDER, STRANGER, mint, proof
from support.minting import client as client_claims
from support.nats_socket import ClosedError
from support.settled import recent
from support.testbed import (
    Authority,
    client,
    engine_pages,
    settled,
)
from support.websockets import DEADLINE, ISSUER, broker_with_websockets, websocket_client, websocket_wire

pytestmark = pytest.mark.filterwarnings(
    "ignore:parameter 'timeout' of type 'float':DeprecationWarning"  # nats-py asks aiohttp in the old way.
)

EDGE: dict[str, Any] = {"network__accounts": "EDGE", "network__unverified_account": "EDGE"}
COMPRESSED = 0x40
"""Bit of the first byte of a frame."""
CLOSE = b"\x88"
"""First byte of the frame that ends a websocket."""
DEFLATE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def token(**claims: Any) -> str:
    """Issue a client token that is valid now."""
    now = int(time.time())
    permitted = client_claims(ou="choria", permissions={"org_admin": True}, nbf=None, jti=None, **claims)
    return mint({**permitted, "iat": now - 60, "exp": now + 3600})


async def meet(one: Client, other: Client) -> None:
    """Exchange messages in both directions, one of them a large one."""
    for sender, receiver, payload in ((one, other, b"hello"), (other, one, os.urandom(100_000))):
        subscription = await receiver.subscribe("fleet.meeting")
        await settled(receiver)
        await sender.publish("fleet.meeting", payload)
        assert (await subscription.next_msg(timeout=DEADLINE)).data == payload
        await subscription.unsubscribe()


async def test_a_websocket_client_with_a_certificate_meets_the_fleet(tmp_path: Path, authority: Authority) -> None:
    broker, port = broker_with_websockets(tmp_path, authority)
    bob = authority.context(authority.issue("bob.mcollective"))
    async with broker, websocket_client(port, bob) as one:
        decision = (await recent(broker))[-1]
        assert (decision.rule, decision.account, decision.tls) == ("mtls", "choria", "mtls")
        assert (decision.common_name, decision.address) == ("bob.mcollective", "127.0.0.1")
        async with client(broker, bob) as plain:
            await meet(one, plain)


async def test_a_websocket_client_with_a_token_meets_the_fleet(tmp_path: Path, authority: Authority) -> None:
    broker, port = broker_with_websockets(tmp_path, authority, **ISSUER)
    login: dict[str, Any] = {"token": token(), "signature_cb": lambda nonce: proof(HOLDER, nonce).encode()}
    async with broker, websocket_client(port, authority.context(), **login) as one:
        decision = (await recent(broker))[-1]
        assert (decision.rule, decision.account, decision.tls) == ("client-token", "choria", "anon")
        async with client(broker, authority.context(), **login) as plain:
            await meet(one, plain)


async def test_tokens_are_held_to_the_same_rules(tmp_path: Path, authority: Authority) -> None:
    broker, port = broker_with_websockets(tmp_path, authority, **ISSUER)
    good = token()
    async with broker:
        for fields, rule in (
            ({"auth_token": good}, "token-nonce"),
            ({"auth_token": good, "sig": proof(STRANGER, "another nonce")}, "token-nonce"),
            ({"auth_token": mint({"exp": 1}, STRANGER)}, "token-purpose"),
        ):
            async with websocket_wire(port, authority.context()) as peer:
                with pytest.raises(ClosedError, match="Authorization Violation"):
                    await peer.connect(**fields)
            assert (await recent(broker))[-1].rule == rule


async def test_a_websocket_client_that_presents_nothing_is_refused(tmp_path: Path, authority: Authority) -> None:
    broker, port = broker_with_websockets(tmp_path, authority)
    async with broker:
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            async with websocket_client(port, authority.context()):
                pass
        assert (await recent(broker))[-1].rule == "certificate-required"


async def test_a_certificate_of_a_foreign_ca_does_not_get_as_far_as_a_websocket(
    tmp_path: Path, authority: Authority
) -> None:
    broker, port = broker_with_websockets(tmp_path, authority)
    mallory = authority.context(Authority(tmp_path, "foreign").issue("mallory.mcollective"))
    async with broker:
        with pytest.raises((aiohttp.ClientError, OSError)):
            async with websocket_wire(port, mallory):
                pass
        assert not (await recent(broker))


async def test_clear_websockets_are_for_unverified_clients_of_a_broker_without_tls(
    tmp_path: Path, authority: Authority
) -> None:
    broker, port = broker_with_websockets(tmp_path, authority, Overrides(disable_tls=True), **EDGE)
    async with broker, websocket_client(port, None) as one, client(broker, None) as plain:
        assert [decision.account for decision in (await recent(broker))] == ["EDGE", "EDGE"]
        await meet(one, plain)
        async with websocket_wire(port, None) as peer:
            with pytest.raises(ClosedError):
                await peer.connect(auth_token=token(), sig=proof(HOLDER, peer.nonce))
        assert not (await recent(broker))[-1].allowed


async def test_a_broker_without_tls_lets_no_websocket_client_in_by_itself(tmp_path: Path, authority: Authority) -> None:
    broker, port = broker_with_websockets(tmp_path, authority, Overrides(disable_tls=True))
    async with broker:
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            async with websocket_client(port, None):
                pass
        assert (await recent(broker))[-1].rule == "certificate-required"


async def test_where_clear_text_is_let_in_websockets_have_tls_all_the_same(
    tmp_path: Path, authority: Authority
) -> None:
    broker, port = broker_with_websockets(tmp_path, authority, **EDGE)
    async with broker, client(broker, None) as plain:
        with pytest.raises(aiohttp.ClientError):
            async with websocket_wire(port, None):
                pass
        async with websocket_client(port, authority.context()) as one:
            assert (await recent(broker))[-1].account == "EDGE"
            await meet(one, plain)


async def test_the_listener_takes_ipv6(tmp_path: Path, authority: Authority) -> None:
    bob = authority.context(authority.issue("bob.mcollective"))
    broker, port = broker_with_websockets(tmp_path, authority, network__listen_address="::1")
    async with broker, websocket_wire(port, bob, host="[::1]") as peer:
        await peer.connect()
        assert ((await recent(broker))[-1].rule, (await recent(broker))[-1].address) == ("mtls", "::1")


async def test_an_address_in_a_header_is_not_believed(tmp_path: Path, authority: Authority) -> None:
    """Proxies say in a header for whom they speak, and so can anybody: client_hosts looks at the connection."""
    bob = authority.context(authority.issue("bob.mcollective"))
    broker, port = broker_with_websockets(tmp_path, authority, network__client_hosts="192.0.2.0/24")
    async with broker, websocket_wire(port, bob, X_Forwarded_For="192.0.2.1") as peer:
        await peer.connect()
        assert (await recent(broker))[-1].address == "127.0.0.1"
        assert await peer.publish(["mcollective.node.n1"], "x") == {"mcollective.node.n1"}


async def opened(port: int, context: ssl.SSLContext, *headers: str) -> tuple[asyncio.StreamReader, Any, str]:
    """Open a websocket by hand and return both ends of the socket and the answer's headers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
    key = base64.b64encode(os.urandom(16)).decode()
    usual = ("Host: broker", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}")
    lines = ("GET / HTTP/1.1", *usual, "Sec-WebSocket-Version: 13", *headers, "", "")
    writer.write("\r\n".join(lines).encode())
    return reader, writer, (await reader.readuntil(b"\r\n\r\n")).decode()


async def frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one frame and return its first byte and what it carries."""
    first, length = await reader.readexactly(2)
    if length == 126:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack(">Q", await reader.readexactly(8))
    return first, await reader.readexactly(length)


def masked(payload: bytes) -> bytes:
    """Write a short binary frame as a client has to; a mask of zeros leaves the payload as it is."""
    return bytes((0x82, 0x80 | 126)) + struct.pack(">H", len(payload)) + bytes(4) + payload


@pytest.mark.parametrize("offered", [True, False])
async def test_messages_are_not_compressed_and_clients_that_ask_for_it_do_without(
    tmp_path: Path, authority: Authority, *, offered: bool
) -> None:
    """The engine keeps unfinished compressed messages, of strangers too."""
    bob = authority.context(authority.issue("bob.mcollective"))
    broker, port = broker_with_websockets(tmp_path, authority)
    asking = (f"Sec-WebSocket-Extensions: {DEFLATE}",) if offered else ()
    payload = b"choria " * 5_000
    async with asyncio.timeout(DEADLINE), broker:
        inside = await broker.connect()
        reader, writer, answer = await opened(port, bob, *asking)
        try:
            assert "Sec-WebSocket-Extensions" not in answer
            assert (await frame(reader))[1].startswith(b"INFO ")
            writer.write(masked(b'CONNECT {"verbose":false}\r\nSUB x 1\r\nPING\r\n'))
            assert await frame(reader) == (0x82, b"PONG\r\n")
            await inside.publish("x", payload)
            await inside.flush()
            assert await frame(reader) == (0x82, b"MSG x 1 %d\r\n%b\r\n" % (len(payload), payload))
            writer.write(bytes((COMPRESSED | 2, 0x81)) + bytes(5))
            assert (await reader.read())[:1] in {b"", CLOSE}
        finally:
            writer.close()
            await inside.close()


async def test_what_is_no_websocket_gets_an_orderly_answer(tmp_path: Path, authority: Authority) -> None:
    bob = authority.context(authority.issue("bob.mcollective"))
    broker, port = broker_with_websockets(tmp_path, authority)
    async with asyncio.timeout(DEADLINE), broker, aiohttp.ClientSession(f"https://127.0.0.1:{port}") as session:
        for method, path, status in (
            ("GET", "/", 400),
            ("GET", "/choria/", 400),
            ("POST", "/", 405),
            ("GET", "/mqtt", 404),
        ):
            async with session.request(method, path, ssl=bob) as answer:
                assert (answer.status, answer.content_type) == (status, "text/plain")
        # Leafnodes have a path of their own, and come in only where there is a listener for leafnodes.
        async with session.ws_connect("/leafnode", ssl=bob) as socket:
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED
        # Every other path is as good as any.
        async with websocket_wire(port, bob, path="/some/where") as peer:
            await peer.connect()
        assert [decision.rule for decision in (await recent(broker))] == ["mtls"]


@pytest.mark.parametrize(
    ("nonsense", "told", "logged"),
    [
        (b"\x82\x05hello", b"", "mask bit missing"),
        (b"\xf2\x80" + bytes(4), b"", "RSV2 and RSV3 must be clear"),
        (b"GET / HTTP/1.1\r\n\r\n", b"", "compressed frame received without negotiated permessage-deflate"),
        (masked(b"GET / HTTP/1.1\r\n"), b"-ERR 'Authorization Violation'", ""),
    ],
)
async def test_nonsense_in_frames_ends_that_connection_alone(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, nonsense: bytes, told: bytes, logged: str
) -> None:
    bob = authority.context(authority.issue("bob.mcollective"))
    broker, port = broker_with_websockets(tmp_path, authority)
    async with asyncio.timeout(DEADLINE), broker, websocket_client(port, bob) as other:
        reader, writer, _ = await opened(port, bob)
        try:
            assert (await frame(reader))[1].startswith(b"INFO ")
            writer.write(nonsense)
            rest = await reader.read()
            # The frame that says why does not always get out before the end.
            assert told in rest if told else rest[:1] in {b"", CLOSE}
        finally:
            writer.close()
        await settled(other)
    assert not logged or any(logged in record.getMessage() for record in caplog.records)


async def test_a_connection_that_asks_for_nothing_is_ended(tmp_path: Path, authority: Authority) -> None:
    bob = authority.context(authority.issue("bob.mcollective"))
    broker, port = broker_with_websockets(tmp_path, authority)
    async with broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=bob, server_hostname="127.0.0.1")
        try:
            begun = time.monotonic()
            assert await asyncio.wait_for(reader.read(), DEADLINE) == b""
            assert time.monotonic() - begun < 4  # The engine gives a handshake two seconds.
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("ws.example.net:8443", "ws.example.net:8443"),
        ("wss://ws.example.net:8443/", "ws.example.net:8443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("wss://[2001:db8::1]:443", "[2001:db8::1]:443"),
    ],
)
async def test_an_address_to_advertise_is_taken_in_every_form(
    tmp_path: Path, authority: Authority, written: str, used: str
) -> None:
    broker, port = broker_with_websockets(tmp_path, authority, network__websocket_advertise=written)
    broker.http_app()  # Turns the engine's pages on.
    (found,) = [each for each in load(tmp_path / "broker.conf", Overrides()).findings if each.code == "no-effect"]
    assert (found.severity, found.key) == (Severity.INFO, "plugin.choria.network.websocket_advertise")
    async with (
        broker,
        engine_pages(broker) as session,
        session.get("/varz") as answer,
        websocket_wire(port, authority.context()) as peer,
    ):
        assert (await answer.json())["websocket"]["advertise"] == used
        # As in every cluster of Choria, nobody is told of addresses: what is said of it is only what is true.
        assert not {"connect_urls", "ws_connect_urls"} & set(peer.info)
