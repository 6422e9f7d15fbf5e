"""How a connection is made: whose certificates are accepted."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import re
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from choria_broker.companions.dialling import Dial, DialError, _context, _words
from choria_broker.settings.companions import Side, SideTls


def shaken_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Have both ends agree, or raise."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="broker.example.net"),
        server.wrap_bio(there, back, server_side=True),
    ]
    while ends:
        for end in tuple(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


@pytest.mark.parametrize("trusted", ["root", "intermediate", "both"])
def test_each_certificate_of_the_ca_file_is_an_anchor_as_in_go(tmp_path: Path, trusted: str) -> None:
    root = trustme.CA()
    intermediate = root.create_child_ca()
    own = intermediate.issue_cert("broker.example.net")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.configure_cert(server)
    pems = {"root": [root], "intermediate": [intermediate], "both": [intermediate, root]}[trusted]
    (tmp_path / "ca.pem").write_bytes(b"".join(each.cert_pem.bytes() for each in pems))
    shaken_hands(server, _context(SideTls(ca=str(tmp_path / "ca.pem"))))


def test_others_are_refused(tmp_path: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("broker.example.net").configure_cert(server)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken_hands(server, _context(SideTls(ca=str(tmp_path / "ca.pem"))))
    shaken_hands(server, _context(SideTls(ca=str(tmp_path / "ca.pem"), verify=False)))


def test_no_more_is_wanted_of_a_certificate_than_go_wants(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert not _context(SideTls(ca=str(tmp_path / "ca.pem"))).verify_flags & ssl.VERIFY_X509_STRICT


async def nobody(_record: str) -> tuple[str, ...]:
    return ()


@contextlib.asynccontextmanager
async def broker() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serve the handshake on loopback, until an event that ends all connections."""
    end = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","max_payload":1048576}\r\n')
        while not (await reader.readline()).startswith(b"PING"):
            continue
        writer.write(b"PONG\r\n")
        await end.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", end
        end.set()


async def test_an_attempt_that_fails_ends_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "shuffle", lambda _places: None)
    ends = asyncio.Queue[None]()

    async def closed() -> None:
        ends.put_nowait(None)

    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = f"127.0.0.1:{free.getsockname()[1]}"
    async with asyncio.timeout(60), broker() as (place, end):
        with pytest.raises(DialError, match="127"):
            await Dial(Side(name="x", servers=(dead, dead)), None, nobody)("name", closed)
        dial = Dial(Side(name="x", servers=(dead, place)), None, nobody)
        client, url = await dial("name", closed)
        try:
            assert url == f"nats://{place}"
            assert ends.empty()
            end.set()
            await ends.get()
        finally:
            await client.close()
        assert ends.empty()


@pytest.mark.parametrize(
    ("trusts", "words"),
    [
        ("own", ""),
        ("other", "its certificate is not accepted"),
        ("expired", "certificate has expired"),
        ("none", "certificate is not accepted"),
    ],
)
async def test_a_handshake_that_fails_is_told_at_once(tmp_path: Path, trusts: str, words: str) -> None:
    """The library waits for ever for the end of such a connection; all others to that network would wait with it."""
    authority, other = trustme.CA(), trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    until = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) if trusts == "expired" else None
    authority.issue_cert("localhost", not_after=until).configure_cert(server)
    (other if trusts == "other" else authority).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = None if trusts == "none" else SideTls(ca=str(tmp_path / "ca.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","max_payload":1048576,"tls_required":true}\r\n')
        with contextlib.suppress(OSError):
            await writer.start_tls(server)
            while not (await reader.readline()).startswith(b"PING"):
                continue
            writer.write(b"PONG\r\n")
            await reader.read()
        writer.close()

    async def closed() -> None:
        pass

    async with asyncio.timeout(60), await asyncio.start_server(serve, "127.0.0.1") as listening:
        place = f"localhost:{listening.sockets[0].getsockname()[1]}"
        dial = Dial(Side(name="x", servers=(place,), tls=tls), None, nobody)
        if not words:
            client, _ = await dial("name", closed)
            await client.close()
        else:
            with pytest.raises(DialError, match=words):
                await dial("name", closed)


def test_who_ends_a_connection_without_a_word_may_not_accept_the_certificate() -> None:
    assert "does not accept the certificate" in _words(ConnectionResetError("Connection lost"))
    assert _words(ConnectionRefusedError(111, "Connection refused")) == "Connection refused"


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    gone, other = tmp_path / "gone.pem", tmp_path / "other.pem"
    other.write_text("x", encoding="ascii")
    for tls, words in (
        (SideTls(ca=str(gone)), f"{gone}: No such file or directory"),
        (SideTls(ca=str(other)), f"{other}: TLS says: no certificate or crl found"),
        (SideTls(certificate=str(gone), key=str(other)), f"{gone} and {other}: No such file or directory"),
        (SideTls(certificate=str(other), key=str(other)), f"{other} and {other}: TLS says: not in pem form"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            _context(tls)
