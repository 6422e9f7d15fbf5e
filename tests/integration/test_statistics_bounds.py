"""The statistics port under peers that hold connections open: how many, and how long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

import psutil
import pytest
import uvloop
from aiohttp import web

from choria_broker.web.serving import Bounds, serve

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = 64 * 1024 * 1024
PATIENT = 60.0


def app() -> web.Application:
    async def small(_request: web.Request) -> web.Response:
        return web.Response(text="fine")

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(LARGE))

    made = web.Application()
    made.router.add_get("/", small)
    made.router.add_get("/large", large)
    return made


@contextlib.asynccontextmanager
async def opened(
    port: int, here: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(here, 0))
    try:
        yield reader, writer
    finally:
        writer.close()


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Ask for the small page; False when the connection was closed instead."""
    try:
        writer.write(GET)
        async with asyncio.timeout(PATIENT):
            return (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200")
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Wait for the end; the first bytes of what came."""
    head = b""
    async with asyncio.timeout(PATIENT):
        with contextlib.suppress(ConnectionError):
            while more := await reader.read(65536):
                head = (head + more)[:12]
    return head


async def closed(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(PATIENT):
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                continue


async def connections_beyond_the_most_are_closed_at_once_and_places_become_free() -> None:
    async with serve(app(), "127.0.0.1", 0, Bounds(connections=2, patience=PATIENT)) as port:
        async with opened(port) as first, opened(port) as second:
            assert await answered(*first)
            assert await answered(*second)
            async with opened(port) as third:
                assert not await answered(*third)
            assert await answered(*first)
        async with asyncio.timeout(PATIENT):
            while True:
                async with opened(port) as again:
                    if await answered(*again):
                        return


async def one_address_does_not_keep_others_out() -> None:
    """However many connections it holds, and whether it asks something on them or not."""
    async with (
        serve(app(), "127.0.0.1", 0, Bounds(connections=3, patience=PATIENT)) as port,
        opened(port) as silent,
        opened(port) as first,
        opened(port) as second,
    ):
        for each in (first, second):
            assert await answered(*each)
        async with opened(port, "127.0.0.2") as monitor:
            assert await answered(*monitor)
            await closed(silent[0])
            async with opened(port, "127.0.0.3") as another:
                assert await answered(*another)
                await closed(first[0])
                async with opened(port) as too_many:
                    assert not await answered(*too_many)
                for each in (second, monitor, another):
                    assert await answered(*each)


async def who_asks_nothing_gives_way() -> None:
    async with (
        serve(app(), "127.0.0.1", 0, Bounds(connections=3, patience=PATIENT)) as port,
        opened(port, "127.0.0.2") as silent,
        opened(port, "127.0.0.3") as busy,
        opened(port, "127.0.0.4") as quiet,
    ):
        assert await answered(*busy)
        async with opened(port, "127.0.0.5") as another, opened(port, "127.0.0.6") as last:
            for each in (another, last):
                assert await answered(*each)
            await closed(silent[0])
            await closed(quiet[0])
            async with opened(port, "127.0.0.7") as too_many:
                assert not await answered(*too_many)
            for each in (busy, another, last):
                assert await answered(*each)


async def a_header_has_to_be_complete_in_time() -> None:
    async with serve(app(), "127.0.0.1", 0, Bounds(patience=0.2)) as port:
        for sent in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n", GET[:-1], GET + b"GET / HT"):
            async with opened(port) as (reader, writer):
                writer.write(sent)
                await closed(reader)


async def a_header_that_trickles_in_gets_no_more_time() -> None:
    async with serve(app(), "127.0.0.1", 0, Bounds(patience=0.3)) as port, opened(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        async with asyncio.timeout(PATIENT):
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"X-More: y\r\n")
                    await writer.drain()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1), 0.05)


async def a_header_in_pieces_is_a_header() -> None:
    async with serve(app(), "127.0.0.1", 0, Bounds(patience=PATIENT)) as port, opened(port) as (reader, writer):
        for byte in GET[:-1]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(GET[-1:])
        async with asyncio.timeout(PATIENT):
            assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200")


async def what_has_no_end_is_refused_and_not_kept() -> None:
    """Headers, trailers and bodies, of the first request and of later ones; each is 800 kB of a stranger."""
    first, piece = GET.removesuffix(b"\r\n"), b"y" * 8000
    many = b"".join(b"X-%d: %s\r\n" % (number, piece) for number in range(100))
    chunked = first + b"Transfer-Encoding: chunked\r\n\r\n"
    kinds = {
        "header": first + many,
        "one field": first + b"X: " + 100 * piece,
        "small fields": first + b"".join(b"X%d:\r\n" % number for number in range(60_000)),
        "no line": 100 * piece,
        "second header": GET + first + many,
        "trailers": chunked + b"0\r\n" + many,
        "body": first + b"Content-Length: 99999999\r\n\r\n" + 100 * piece,
    }
    async with serve(app(), "127.0.0.1", 0, Bounds(patience=PATIENT)) as port:
        before = psutil.Process().memory_info().rss
        for kind, sent in kinds.items():
            async with contextlib.AsyncExitStack() as stack:
                held = [await stack.enter_async_context(opened(port)) for _ in range(50)]
                for _, writer in held:
                    writer.write(sent)
                heads = [await ended(reader) for reader, _ in held]
            assert kind in {"second header", "trailers", "body"} or {b"HTTP/1.1 431", b""} >= set(heads), kind
        # What they sent is 280 MB.
        assert psutil.Process().memory_info().rss - before < 60e6
        async with opened(port) as again:
            assert await answered(*again)


async def a_long_header_within_the_bound_is_a_header() -> None:
    cookie = b"Cookie: " + b"c" * 7_000 + b"\r\n"
    sent = GET.removesuffix(b"\r\n") + cookie + b"X" + cookie + b"\r\n"
    async with serve(app(), "127.0.0.1", 0, Bounds(patience=PATIENT)) as port, opened(port) as (reader, writer):
        for _ in range(3):
            writer.write(sent)
            async with asyncio.timeout(PATIENT):
                assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200")


async def an_answer_that_nobody_reads_is_not_kept_for_ever() -> None:
    bounds = Bounds(connections=1, patience=0.2)
    async with serve(app(), "127.0.0.1", 0, bounds) as port, opened(port) as (_, writer):
        writer.write(GET.replace(b"/ ", b"/large ", 1))
        async with asyncio.timeout(PATIENT):
            while True:  # The only place is free again as soon as the connection was given up.
                async with opened(port) as again:
                    if await answered(*again):
                        return


async def a_large_answer_is_read_in_full_by_who_reads() -> None:
    async with serve(app(), "127.0.0.1", 0) as port, opened(port) as (reader, writer):
        writer.write(GET.replace(b"/ ", b"/large ", 1))
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(PATIENT):
            assert len(await reader.readexactly(LARGE)) == LARGE


async def both_families_are_taken_where_every_address_is_meant() -> None:
    async with serve(app(), "::", 0) as port:
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                assert await answered(reader, writer)
            finally:
                writer.close()


@pytest.mark.parametrize(
    "scenario",
    [
        connections_beyond_the_most_are_closed_at_once_and_places_become_free,
        one_address_does_not_keep_others_out,
        who_asks_nothing_gives_way,
        a_header_has_to_be_complete_in_time,
        a_header_that_trickles_in_gets_no_more_time,
        a_header_in_pieces_is_a_header,
        what_has_no_end_is_refused_and_not_kept,
        a_long_header_within_the_bound_is_a_header,
        an_answer_that_nobody_reads_is_not_kept_for_ever,
        a_large_answer_is_read_in_full_by_who_reads,
        both_families_are_taken_where_every_address_is_meant,
    ],
)
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_the_port_cannot_be_worn_out(
    loop: Callable[[], asyncio.AbstractEventLoop], scenario: Callable[[], Coroutine[object, object, None]]
) -> None:
    """The program runs on uvloop, programs that embed the broker on any loop."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


def test_the_usual_bounds() -> None:
    assert Bounds() == Bounds(connections=256, patience=10.0, header=16_384, more=81_920)
