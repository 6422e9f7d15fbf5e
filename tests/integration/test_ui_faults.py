"""A fault of the dashboard itself: a page with a sentence, and a line of the log that tells the fault."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import NoReturn, cast

import aiohttp
import pytest
from aiohttp import web

from choria_broker.errors import BrokerError
from choria_broker.ui import render
from choria_broker.ui.page import Knowledge
from choria_broker.web import ui
from choria_broker.web.serving import serve
from choria_broker.web.ui import dashboard
from support.scene import knowledge

SECRET = "a fault with its inner words"
SAYS = "This page cannot be shown because of a bug in the broker."


def faulty(*_: object, **__: object) -> NoReturn:
    raise ZeroDivisionError(SECRET)


@contextlib.asynccontextmanager
async def site(**faults: object) -> AsyncIterator[aiohttp.ClientSession]:
    """Serve the dashboard of a broker some of whose knowledge is at fault."""
    known = cast("Knowledge", SimpleNamespace(**{**vars(cast("SimpleNamespace", knowledge())), **faults}))
    app = web.Application()
    for path, handler in dashboard(known, lambda _: "").items():
        app.router.add_route("*", path, handler)
    async with (
        serve(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession(base_url=f"http://127.0.0.1:{port}/ui/") as session,
    ):
        yield session


@pytest.mark.parametrize(
    ("path", "fault", "title"),
    [("acts", "acts", "Acts"), ("settings", "settings_now", "Settings"), ("bundle.tar.gz", "bundle", "Bundle")],
)
async def test_a_fault_is_told_on_the_page_and_only_the_log_describes_it(
    path: str, fault: str, title: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        method = "POST" if fault == "bundle" else "GET"
        async with site(**{fault: faulty}) as session, session.request(method, path) as answer:
            text = await answer.text()
    assert (answer.status, answer.content_type) == (500, "text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert SAYS in text
    assert f"<h1>{title}</h1>" in text
    assert 'href="health"' in text
    assert SECRET not in text
    assert "Traceback" not in text
    assert [each.exc_info[0] for each in caplog.records if each.exc_info] == [ZeroDivisionError]


async def test_programs_and_open_pages_are_told_too() -> None:
    async with site(acts=faulty) as session:
        async with session.get("acts.json") as answer:
            told = await answer.json()
            assert (answer.status, told["error"]) == (500, SAYS)
        async with session.get("acts", headers={"Choria-Part": "live"}) as answer:
            assert answer.headers["Choria-Part"] == "live"
            assert '<div id="live"' in await answer.text()


async def test_a_template_that_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "page", faulty)
    async with site() as session, session.get("health") as answer:
        assert (answer.status, answer.content_type) == (500, "text/html")
        assert SAYS in await answer.text()


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [("health", 500, SAYS), ("bundle.tar.gz", 500, SAYS), ("nothing", 404, "There is no such page.")],
)
async def test_what_all_pages_have_in_common_is_at_fault(path: str, status: int, says: str) -> None:
    method = "POST" if path == "bundle.tar.gz" else "GET"
    async with site(status=faulty, bundle=faulty) as session, session.request(method, path) as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (status, "text/plain")
        assert text.startswith(says)
        assert SECRET not in text
        assert answer.headers["Cache-Control"] == "no-store"


async def test_why_there_is_no_bundle_stands_under_its_own_title() -> None:
    async def busy() -> NoReturn:
        raise BrokerError("another bundle is being made at this moment")

    async with site(bundle=busy) as session, session.post("bundle.tar.gz") as answer:
        text = await answer.text()
        assert answer.status == 503
        assert "Another bundle is being made at this moment." in text
        assert "Not found" not in text


async def test_an_engine_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is too busy is another thing, and has another sentence."""

    async def silent(*_: object) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(ui, "_ENGINE_PATIENCE", 0.05)
    async with site(look=silent, find=silent) as session:
        for path in ("connections", "find?text=web1"):
            async with session.get(path) as answer:
                text = await answer.text()
                assert answer.status == 503
                assert "The engine did not answer within 0.05 s." in text
        async with session.get("connections.json") as answer:
            assert "see the page Health." in (await answer.json())["remedy"]
