from __future__ import annotations

import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from choria_broker.engine.pages import asking
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
        async with asking(address, aiohttp.ClientTimeout(total=5)) as session, session.get("/varz?a=b%20c") as answer:
            return await answer.text()
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
