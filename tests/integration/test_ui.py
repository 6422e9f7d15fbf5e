"""The dashboard of a running broker, as programs see it: who may read it, its headers, its answers to bad input."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from choria_broker.broker import NetworkBroker
from support.nats_socket import ClosedError, wire
from support.testbed import IDENTITY, Authority, client, configuration, free_port

DEADLINE = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


class Site:
    """The dashboard of a broker."""

    def __init__(self, port: int, session: aiohttp.ClientSession, broker: NetworkBroker) -> None:
        self.port = port
        self.session = session
        self.broker = broker

    async def get(self, path: str, method: str = "GET", data: object = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}/ui/{path}"
        async with self.session.request(method, url, headers=named, data=data, allow_redirects=False) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)


@contextlib.asynccontextmanager
async def site(tmp_path: Path, authority: Authority, **settings: str | int | bool | Path) -> AsyncIterator[Site]:
    port = free_port()
    path = configuration(tmp_path, authority, plugin__choria__stats_port=port, **settings)
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(path) as broker,
        aiohttp.ClientSession() as session,
    ):
        yield Site(port, session, broker)


async def test_the_first_page_tells_the_health(tmp_path: Path, authority: Authority) -> None:
    async with site(tmp_path, authority) as ui:
        for path in ("", "health"):
            page = await ui.get(path)
            assert page.status == 200
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert page.text.startswith("<!doctype html>")
            assert "All is well." in page.text
            assert IDENTITY in page.text
        told = await ui.get("health.json")
        assert json.loads(told.text)["condition"] == "ok"
        async with ui.session.get(f"http://127.0.0.1:{ui.port}/ui", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, "/ui/")


async def test_an_open_page_gets_only_what_may_have_changed(tmp_path: Path, authority: Authority) -> None:
    async with site(tmp_path, authority) as ui:
        part = await ui.get("health", Choria_Part="live")
        assert part.headers["Choria-Part"] == "live"
        assert part.text.strip().startswith('<div id="live"')
        assert "<html" not in part.text


async def test_nothing_of_elsewhere_is_loaded_and_nobody_frames_a_page(tmp_path: Path, authority: Authority) -> None:
    async with site(tmp_path, authority) as ui:
        for path in ("", "health", "nothing", "health.json"):
            headers = (await ui.get(path)).headers
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["Cache-Control"] == "no-store"


async def test_files_are_told_apart_by_their_tags(tmp_path: Path, authority: Authority) -> None:
    async with site(tmp_path, authority) as ui:
        for name, kind in (("style.css", "text/css"), ("live.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
            file = await ui.get(f"assets/{name}")
            assert (file.status, file.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
            again = await ui.get(f"assets/{name}", If_None_Match=file.headers["ETag"])
            assert (again.status, again.text) == (304, "")
        for name in ("nothing.css", "..%2frender.py", "style.css/"):
            assert (await ui.get(f"assets/{name}")).status == 404


@pytest.mark.parametrize(
    ("path", "method", "status", "says"),
    [
        ("nothing", "GET", 404, "There is no such page."),
        ("nothing/below", "GET", 404, "There is no such page."),
        ("health.xml", "GET", 404, "There is no such page."),
        ("health", "POST", 405, "This page only shows something."),
        ("health", "DELETE", 405, "This page only shows something."),
        ("health.json", "PUT", 405, "This page only shows something."),
        ("%3Cimg%20onerror%3Dx%3E", "GET", 404, "There is no such page."),
    ],
)
async def test_what_makes_no_sense_gets_a_sentence(
    tmp_path: Path, authority: Authority, path: str, method: str, status: int, says: str
) -> None:
    async with site(tmp_path, authority) as ui:
        page = await ui.get(path, method)
        assert page.status == status
        assert says in page.text
        assert "<img" not in page.text


async def test_other_names_and_other_machines_see_nothing(tmp_path: Path, authority: Authority) -> None:
    async with site(tmp_path, authority) as ui:
        for path in ("", "health", "assets/style.css", "nothing"):
            assert (await ui.get(path, Host="evil.example")).status == 403
            assert (await ui.get(path, Host=f"{IDENTITY}:{ui.port}")).status != 403


async def test_a_client_and_a_stranger_are_found_on_all_pages(tmp_path: Path, authority: Authority) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    async with site(tmp_path, authority) as ui:
        async with client(ui.broker, authority.context(authority.issue("web.example.net"))):
            found = json.loads((await ui.get("connections.json")).text)
            assert [each["holder"]["identity"] for each in found["connections"]] == ["web.example.net"]
            number = found["connections"][0]["connection"]
            page = await ui.get(f"connection?cid={number}")
            assert (page.status, page.text.count("web.example.net") >= 3, "mtls" in page.text) == (200, True, True)
            assert f'href="connection?cid={number}"' in (await ui.get("find?text=WEB.example")).text
        async with wire(ui.broker.ports.client, authority.context()) as stranger:
            with pytest.raises(ClosedError):
                await stranger.connect(name=hostile)
        for page in (await ui.get("refusals"), await ui.get(f"connection?cid={number + 1}")):
            assert (page.status, "certificate-required" in page.text, hostile in page.text) == (200, True, False)
            assert "&lt;img src=x onerror=alert(1)&gt;" in page.text


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("connections?page=9", 404, "There is only one page"),
        ("connections?sort=%3Cb%3E", 400, "cannot be sorted by &lt;b&gt;"),
        ("connections?address=x", 400, "An address is an IP address"),
        ("connection?cid=9", 404, "The broker knows nothing of connection 9."),
        ("connection", 400, "No connection is named."),
        ("refusals?rule=x", 400, "There is no rule x."),
        (f"find?text={'x' * 257}", 400, "too long"),
        ("find?" + "&".join(["a=b"] * 65), 400, "Too many values were sent"),
    ],
)
async def test_a_question_that_makes_no_sense_says_what_to_do(
    tmp_path: Path, authority: Authority, path: str, status: int, says: str
) -> None:
    async with site(tmp_path, authority) as ui:
        page = await ui.get(path)
        assert (page.status, says in page.text) == (status, True)
        name, _, query = path.partition("?")
        told = await ui.get(f"{name}.json?{query}")
        assert told.status == status
        assert set(json.loads(told.text)) == {"error", "remedy"}


async def test_a_described_connection_is_explained_and_secrets_stay_away(tmp_path: Path, authority: Authority) -> None:
    pem = authority.issue("web.example.net").certificate.read_text()
    async with site(tmp_path, authority) as ui:
        form = {"certificate": pem, "publish": "choria.x", "address": "192.0.2.1"}
        page = await ui.get("explain", "POST", form)
        assert (page.status, "mtls" in page.text, "broker.conf:" in page.text) == (200, True, True)
        assert pem.splitlines()[1] not in page.text
        told = json.loads((await ui.get("explain.json", "POST", form)).text)
        assert (told["verdict"]["rule"], told["allowed"]) == ("mtls", True)
        page = await ui.get("explain", "POST", {"token": "eyJsecret.x.y", "password": "hunter2"})
        assert (page.status, "eyJsecret" in page.text, "hunter2" in page.text) == (200, False, False)


@pytest.mark.parametrize(
    ("data", "headers", "status", "says"),
    [
        ({"address": "x"}, {}, 400, "not an IP address"),
        ({"address": "x"}, {"Origin": "https://evil.example"}, 403, "a page of another site"),
        ({"address": "x"}, {"Origin": "null"}, 403, "a page of another site"),
        (b"{}", {"Content_Type": "application/json"}, 415, "not a form"),
        (b"a=\xff", {"Content_Type": "application/x-www-form-urlencoded"}, 400, "is not text"),
        ({"connection": "99"}, {}, 404, "is no longer kept"),
    ],
)
async def test_forms_that_cannot_be_taken(
    tmp_path: Path, authority: Authority, data: object, headers: dict[str, str], status: int, says: str
) -> None:
    async with site(tmp_path, authority) as ui:
        page = await ui.get("explain", "POST", data, **headers)
        assert (page.status, says in page.text) == (status, True), page.text


LONG = {
    "token": "e30." * 2_000,
    "certificate": "-----BEGIN CERTIFICATE-----\n" + "YQ+/\n" * 2_300,
    "publish": "x.y\n" * 490,
}
"""As much as the form lets somebody send, more than a packet of any network takes."""


async def test_a_form_that_is_as_long_as_it_may_be_is_read_whole(tmp_path: Path, authority: Authority) -> None:
    async with site(tmp_path, authority) as ui:
        page = await ui.get("explain", "POST", LONG)
        assert (page.status, "Certificate: a certificate in the file is damaged." in page.text) == (400, True), (
            page.text
        )
        page = await ui.get("explain", "POST", {"token": "a" * 60_000})
        assert (page.status, "Token is longer than 8192 characters." in page.text) == (400, True), page.text
        page = await ui.get("explain", "POST", {"token": "a" * 70_000})
        assert (page.status, "The form is too long." in page.text) == (413, True), page.text


async def test_a_form_that_comes_in_pieces_is_read_whole(tmp_path: Path, authority: Authority) -> None:
    form = b"address=192.0.2.7&publish=first.subject&subscribe=" + b"%0a".join(b"s%d.x" % at for at in range(60))
    head = (
        b"POST /ui/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(form)
    )
    async with site(tmp_path, authority) as ui:
        reader, writer = await asyncio.open_connection("127.0.0.1", ui.port)
        writer.write(head + form[:30])
        await writer.drain()
        assert (await ui.get("health")).status == 200  # Meanwhile the first piece has been read.
        writer.write(form[30:])
        text = (await reader.read()).decode()
        writer.close()
        assert text.startswith("HTTP/1.1 200 ")
        assert "first.subject" in text
        assert "s59.x" in text


async def test_a_question_that_is_too_long_gets_a_sentence(tmp_path: Path, authority: Authority) -> None:
    async with site(tmp_path, authority) as ui:
        reader, writer = await asyncio.open_connection("127.0.0.1", ui.port)
        writer.write(b"GET /ui/ HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"c" * 20_000)
        text = (await reader.read()).decode()
        writer.close()
        assert text.startswith("HTTP/1.1 431 ")
        assert text.endswith("This question is too long. Ask for less at once.\n")
