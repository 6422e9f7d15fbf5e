from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from aiohttp import web

from choria_broker.engine.pages import PageError, read_page
from choria_broker.engine.rundir import RunDirectory


async def answers(listener: socket.socket, address: str) -> str:
    async def show(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.path} {request.rel_url.raw_query_string}")

    app = web.Application()
    app.router.add_get("/varz", show)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        return (await read_page(address, "/varz?a=b%20c", 5)).decode()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("depth", [0, 12])
async def test_pages_are_asked_for_over_a_socket_in_the_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """A socket of a long path too, which the kernel does not take."""
    base = tmp_path.joinpath(*["a-long-name"] * depth)
    base.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(base))
    with RunDirectory() as directory:
        private = directory.listen("pages")
        assert (directory.path / "pages").is_socket()
        assert directory.path.stat().st_mode & 0o777 == 0o700
        assert private.listener is not None
        assert await answers(private.listener, private.address) == "/varz a=b%20c"
    assert not directory.path.exists()


def test_a_socket_that_cannot_be_made_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with RunDirectory() as directory:
        directory.write("pages", "")
        with pytest.raises(OSError, match="in use"):
            directory.listen("pages")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "answers with nothing"),
        (b"HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "404 Not Found"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}", "cut off"),
        (b"HTTP/1.0 200", ""),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", ""),
    ],
)
async def test_a_page_is_whole_or_an_error(tmp_path: Path, answer: bytes, problem: str) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /varz HTTP/1.0\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(reply, tmp_path / "pages"):
        if problem:
            with pytest.raises(PageError, match=problem):
                await read_page(str(tmp_path / "pages"), "/varz", 5)
        else:
            assert await read_page(str(tmp_path / "pages"), "/varz", 5) in {b"", b"{}"}


async def test_nobody_waits_for_a_page_for_ever(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_unix_server(silent, tmp_path / "pages"):
        with pytest.raises(TimeoutError):
            await read_page(str(tmp_path / "pages"), "/varz", 0.05)
        async with asyncio.timeout(5):
            await left.wait()
