"""A page in a real browser, with nats.js, on the broker's websockets.

``make interop`` puts nats.js where it belongs when there is npm; the browser is any Chromium.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from choria_broker.broker import NetworkBroker
from support.chromium import chromium_options, chromium_program
from support.minting import ORGANIZATION, hex_of, mint
from support.minting import client as client_claims
from support.settled import recent
from support.testbed import IDENTITY, Authority, client, configuration, free_port, settled

PAGE = Path(__file__).parent / "browser"
DEADLINE = 30.0
ISSUER: dict[str, Any] = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
}


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A real browser."""
    return chromium_program()


@pytest.fixture(scope="session")
def nats_js() -> bytes:
    """The library of the page."""
    path = os.environ.get("NATS_JS", "")
    if not Path(path).is_file():
        pytest.skip("no nats.js: run `make interop` where npm is, or set NATS_JS to nats.ws/esm/nats.js")
    return Path(path).read_bytes()


_SITE = free_port()
ORIGIN = f"http://localhost:{_SITE}"
"""Of the page."""


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """A site that serves the page, and issues tokens to the keys of browsers.

    Attributes:
        url: of the page.
        told: what pages said, in order.
    """

    url: str
    told: asyncio.Queue[dict[str, str]]


@contextlib.asynccontextmanager
async def serving(library: bytes, url: str, login: str, *, knocks: bool = True) -> AsyncIterator[Site]:
    """Serve the page.

    Args:
        library: nats.js.
        url: where the page shall connect.
        login: ``token``, ``stolen`` for a token of another key, or ``nothing``.
        knocks: the page makes a plain request before it opens its websocket.
    """
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def script(_: web.Request) -> web.Response:
        return web.Response(body=library, content_type="text/javascript")

    async def task(_: web.Request) -> web.Response:
        return web.json_response({"url": url, "login": login, "knocks": knocks})

    async def issue(request: web.Request) -> web.Response:
        now = int(time.time())
        claims = client_claims(ou="choria", permissions={"org_admin": True}, nbf=None, jti=None)
        lifetime = {"iat": now - 60, "exp": now + 600}
        return web.Response(text=mint({**claims, **lifetime, "public_key": request.query["public"]}))

    async def take(request: web.Request) -> web.Response:
        await told.put(await request.json())
        return web.Response()

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/nats.js", script)
    app.router.add_get("/task", task)
    app.router.add_get("/token", issue)
    app.router.add_post("/told", take)
    app.router.add_static("/", PAGE)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", _SITE).start()
        yield Site(f"{ORIGIN}/", told)
    finally:
        await runner.cleanup()


def fingerprint(certificate: Path) -> str:
    """Hash the public key of a certificate as browsers want to be told it."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()


@contextlib.asynccontextmanager
async def browsing(chromium: Path, folder: Path, url: str, *trusted: Path) -> AsyncIterator[None]:
    """Have a browser show a page. It reaches nothing but this machine, and trusts the keys of these certificates."""
    options = [
        *chromium_options(folder),
        f"--ignore-certificate-errors-spki-list={','.join(map(fingerprint, trusted))}",
    ]
    with (folder / "browser.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            chromium, *options, url, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)}
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


@contextlib.asynccontextmanager
async def network(tmp_path: Path, authority: Authority, **settings: Any) -> AsyncIterator[tuple[NetworkBroker, str]]:
    """Run a broker with websockets and return it with the address for pages."""
    port = free_port()
    settings = {"network__websocket_origins": ORIGIN} | settings
    path = configuration(tmp_path, authority, network__websocket_port=port, **settings)
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(path) as broker:
        yield broker, f"wss://localhost:{port}"


@contextlib.asynccontextmanager
async def answering(friend: Client) -> AsyncIterator[Subscription]:
    """Answer what a page asks, and listen for its arrival."""

    async def answer(message: Msg) -> None:
        await message.respond(b"a program of the fleet")

    await friend.subscribe("fleet.question", cb=answer)
    arrivals = await friend.subscribe("fleet.arrival")
    await settled(friend)
    yield arrivals


async def heard(friend: Client, site: Site, arrivals: Subscription) -> None:
    """Wait until a page has said that it is here, answer it, be answered by it."""
    assert (await arrivals.next_msg(timeout=DEADLINE)).data == b"a browser is here"
    assert await site.told.get() == {"answer": "a program of the fleet", "server": IDENTITY}
    assert (await friend.request("browser.greeting", b"broker", timeout=DEADLINE)).data == b"hello broker"


async def test_a_page_with_a_token_of_its_own_meets_the_fleet(
    tmp_path: Path, authority: Authority, chromium: Path, nats_js: bytes
) -> None:
    """The key is made in the browser and never leaves it; the site issues a token for it; the page signs the nonce."""
    async with network(tmp_path, authority, **ISSUER) as (broker, url), serving(nats_js, url, "token") as site:
        friend = await broker.connect()
        try:
            async with answering(friend) as arrivals, browsing(chromium, tmp_path, site.url, certificate(tmp_path)):
                await heard(friend, site, arrivals)
        finally:
            await friend.close()
        decision = next(each for each in (await recent(broker)) if each.method != "in_process")
        assert (decision.rule, decision.account, decision.tls) == ("client-token", "choria", "anon")
        assert decision.username == "up=alice"


async def test_a_page_has_to_knock_where_certificates_are_asked_for(
    tmp_path: Path, authority: Authority, chromium: Path, nats_js: bytes
) -> None:
    """A browser ends a handshake in which it is asked for a certificate that nobody has chosen."""
    async with (
        network(tmp_path, authority, **ISSUER) as (broker, url),
        serving(nats_js, url, "token", knocks=False) as site,
        browsing(chromium, tmp_path, site.url, certificate(tmp_path)),
    ):
        assert (await site.told.get())["error"]
        assert not (await recent(broker))


async def test_a_page_need_not_knock_where_only_tokens_count(
    tmp_path: Path, authority: Authority, chromium: Path, nats_js: bytes
) -> None:
    async with (
        network(tmp_path, authority, **ISSUER, network__client_anon_tls=True) as (broker, url),
        serving(nats_js, url, "token", knocks=False) as site,
    ):
        friend = await broker.connect()
        try:
            async with answering(friend) as arrivals, browsing(chromium, tmp_path, site.url, certificate(tmp_path)):
                await heard(friend, site, arrivals)
        finally:
            await friend.close()


async def test_a_page_with_a_token_of_somebody_else_is_refused(
    tmp_path: Path, authority: Authority, chromium: Path, nats_js: bytes
) -> None:
    async with (
        network(tmp_path, authority, **ISSUER) as (broker, url),
        serving(nats_js, url, "stolen") as site,
        browsing(chromium, tmp_path, site.url, certificate(tmp_path)),
    ):
        told = await site.told.get()
        assert "AUTHORIZATION_VIOLATION" in told["code"]
        assert (await recent(broker))[-1].rule == "token-nonce"


async def test_a_page_of_a_site_that_is_not_named_is_refused(
    tmp_path: Path, authority: Authority, chromium: Path, nats_js: bytes
) -> None:
    async with (
        network(tmp_path, authority, **ISSUER, network__websocket_origins="https://elsewhere.example.net") as (
            broker,
            url,
        ),
        serving(nats_js, url, "token") as site,
        browsing(chromium, tmp_path, site.url, certificate(tmp_path)),
    ):
        assert (await site.told.get())["error"]
        assert not (await recent(broker))


async def test_a_page_that_presents_nothing_is_kept_in_the_unverified_account(
    tmp_path: Path, authority: Authority, chromium: Path, nats_js: bytes
) -> None:
    edge = {"network__accounts": "EDGE", "network__unverified_account": "EDGE"}
    async with (
        network(tmp_path, authority, **edge) as (broker, url),
        serving(nats_js, url, "nothing") as site,
        client(broker, authority.context()) as friend,
        answering(friend) as arrivals,
        browsing(chromium, tmp_path, site.url, certificate(tmp_path)),
    ):
        await heard(friend, site, arrivals)
        assert {decision.account for decision in (await recent(broker))} == {"EDGE"}


async def test_a_page_does_not_connect_to_a_broker_that_the_browser_does_not_trust(
    tmp_path: Path, authority: Authority, chromium: Path, nats_js: bytes
) -> None:
    other = Authority(tmp_path, "other").issue("other.example.net")
    async with (
        network(tmp_path, authority, **ISSUER) as (broker, url),
        serving(nats_js, url, "token") as site,
        browsing(chromium, tmp_path, site.url, other.certificate),
    ):
        assert (await site.told.get())["error"]
        assert not (await recent(broker))


async def test_a_page_does_not_run_another_nats_js_than_the_pinned_one(
    tmp_path: Path, authority: Authority, chromium: Path, nats_js: bytes
) -> None:
    changed = nats_js + b"\n// changed on the way\n"
    async with (
        network(tmp_path, authority, **ISSUER) as (broker, url),
        serving(changed, url, "token") as site,
        browsing(chromium, tmp_path, site.url, certificate(tmp_path)),
    ):
        assert "dynamically imported module" in (await site.told.get())["error"]
        assert not (await recent(broker))


def certificate(tmp_path: Path) -> Path:
    """Return the certificate that the configuration of the testbed gives the broker."""
    return tmp_path / f"{IDENTITY}.pem"
