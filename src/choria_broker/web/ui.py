"""The dashboard on the statistics port: who may see it, what is asked, and how an answer is sent."""

from __future__ import annotations

import asyncio
import urllib.parse
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from choria_broker.errors import BrokerError
from choria_broker.log.structured import component
from choria_broker.status.document import Status
from choria_broker.status.words import bundle_name
from choria_broker.ui.page import Asked, BadInputError, Knowledge, Page
from choria_broker.web.host_guard import Readers

if TYPE_CHECKING:
    from choria_broker.ui.render import Asset

_Row: TypeAlias = Page[Any, Any]

_log = component("network")

FOLDER = "/ui"

_PART = "Choria-Part"
"""Header with which an open page asks for what may have changed, and with which it is answered."""

_AT_ONCE = 2
"""Pages that are made at the same time, each in a thread."""

_PATIENCE = 10.0
"""Seconds in which a page has to be made."""

_ENGINE_PATIENCE = 8.0
"""Seconds of these in which the engine has to tell what the page shows."""

_MOST_VALUES = 64
"""Values in one question."""

_LARGEST_FORM = 65_536
"""Bytes of a form; the port takes a little more at once, so that there is an answer to it."""

_READING = frozenset({"GET", "HEAD"})

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Without any referrer a browser does not tell of a form which page it is from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE_HEADERS = {**_HEADERS, "Cache-Control": "no-store"}
_ASSET_HEADERS = {**_HEADERS, "Cache-Control": "no-cache"}


def dashboard(known: Knowledge, readers: Readers) -> dict[str, Handler]:
    """Make what answers below ``/ui/``, by path and for every method.

    Args:
        known: what the broker knows.
        readers: who may see it.
    """
    made = _Dashboard(known, readers)
    return {
        FOLDER: made.to_folder,
        f"{FOLDER}/": made.page,
        f"{FOLDER}/assets/{{name:.+}}": made.asset,
        f"{FOLDER}/bundle.tar.gz": made.bundle,
        f"{FOLDER}/{{name:.*}}": made.page,
    }


class _Dashboard:
    def __init__(self, known: Knowledge, readers: Readers) -> None:
        self._known = known
        self._readers = readers
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def to_folder(self, request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently(f"{request.path}/")

    def _admit(self, request: web.Request) -> None:
        refusal = self._readers(request)
        if refusal:
            raise web.HTTPForbidden(text=refusal)

    async def asset(self, request: web.Request) -> web.Response:
        """Send a file that pages refer to."""
        self._admit(request)
        found = await asyncio.to_thread(_asset, request.match_info["name"])
        if found is None or request.method not in _READING:
            raise web.HTTPNotFound(text="There is no such file.\n", headers=_HEADERS)
        headers = {**_ASSET_HEADERS, "ETag": found.tag}
        if request.headers.get("If-None-Match") == found.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.content, content_type=found.content_type, charset="utf-8", headers=headers)

    async def bundle(self, request: web.Request) -> web.Response:
        """Send the file for a ticket; a page of another site cannot have it made."""
        self._admit(request)
        form, row = _Form(json=False, part=False), None
        try:
            row = await asyncio.to_thread(_row, "bundle")
            content = await self._bundled(request)
        except BadInputError as error:
            return await self._problem(row, error, form)
        except BrokerError as error:
            why = f"{str(error)[:1].upper()}{str(error)[1:]}."
            remedy = "Try again in a moment, or run choria-broker bundle on the broker's machine."
            return await self._problem(row, BadInputError(why, remedy, 503), form)
        except Exception:  # noqa: BLE001 - a fault of a page must not be a bare answer
            return await self._fault(row, form)
        name = f"{bundle_name(self._known.settings().identity, self._known.clock())}.tar.gz"
        headers = {**_PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=content, content_type="application/gzip", headers=headers)

    async def _bundled(self, request: web.Request) -> bytes:
        if request.method != "POST":
            raise BadInputError("The bundle is made when it is asked for with POST.", "Use the page Bundle.", 405)
        _of_the_dashboard(request)
        return await self._known.bundle()

    async def page(self, request: web.Request) -> web.Response:
        """Answer with a page, with what it shows as JSON, or with what was wrong with the question."""
        self._admit(request)
        name, dot, ending = request.match_info.get("name", "").partition(".")
        form = _Form(json=ending == "json", part=_PART in request.headers)
        row = None
        try:
            async with asyncio.timeout(_PATIENCE):
                row = await asyncio.to_thread(_row, name if not dot or form.json else "-")
                asked = await _asked(request, row, self._known.clock())
                text = await self._made(row, asked, form)
        except BadInputError as error:
            return await self._problem(row, error, form)
        except BrokerError as error:
            why = f"{str(error)[:1].upper()}{str(error)[1:]}."
            return await self._problem(row, BadInputError(why, "Try again in a moment; see Health.", 503), form)
        except TimeoutError:
            busy = BadInputError("The broker is too busy to make this page in time.", "Try again in a moment.", 503)
            return await self._problem(row, busy, form)
        except Exception:  # noqa: BLE001 - a fault of a page must not be a bare answer
            return await self._fault(row, form)
        return _answer(text, form)

    async def _made(self, row: _Row, asked: Asked, form: _Form) -> str | bytes:
        try:
            async with asyncio.timeout(_ENGINE_PATIENCE):
                facts = await row.facts(self._known, asked)
        except TimeoutError:
            problem = f"The engine did not answer within {_ENGINE_PATIENCE:g} s."
            raise BadInputError(problem, "Try again in a moment; see the page Health.", 503) from None
        async with self._places:
            return await asyncio.to_thread(_make, row, facts, asked, self._known.status(), form)

    async def _fault(self, row: _Row | None, form: _Form) -> web.Response:
        """Say that a page has a fault, which only the log describes; call it where the fault is handled."""
        _write_down(row)
        problem = "This page cannot be shown because of a bug in the broker."
        remedy = "The broker's log has the error; please report it. Commands show the same: choria-broker --help."
        return await self._problem(row, BadInputError(problem, remedy, 500), form)

    async def _problem(self, row: _Row | None, error: BadInputError, form: _Form) -> web.Response:
        if form.json:
            return _answer(msgspec.json.encode({"error": error.problem, "remedy": error.remedy}), form, error.status)
        try:
            text = await asyncio.to_thread(_apologize, row, error, self._known.status(), self._known.clock(), form)
        except Exception:  # noqa: BLE001 - what all pages have in common is at fault
            _write_down(None)
            told = f"{error.problem} {error.remedy}\n"
            return web.Response(text=told, status=error.status, headers=_PAGE_HEADERS)
        return _answer(text, form, error.status)


def _write_down(row: _Row | None) -> None:
    """Have the log tell of the fault that is being handled."""
    _log.exception("Could not make a page of the dashboard", page=row.name if row else "")


def _of_the_dashboard(request: web.Request) -> None:
    """Take a form from pages of the dashboard, and from programs that are no browser.

    Browsers tell with every form where it is from, over plain HTTP too; of other questions they do not.

    Raises:
        BadInputError: a page of another site sent it.
    """
    origin, host = request.headers.get("Origin", ""), request.headers.get("Host", "")
    near = request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}
    if (origin and urllib.parse.urlsplit(origin).netloc != host) or not near:
        raise BadInputError("This form was sent from a page of another site.", "Use the dashboard's own.", 403)


class _Form(msgspec.Struct, frozen=True):
    """In which form an answer is wanted: as JSON, or as HTML; the whole page, or what may have changed of it."""

    json: bool
    part: bool


def _answer(text: str | bytes, form: _Form, status: int = 200) -> web.Response:
    headers = {**_PAGE_HEADERS, _PART: "live"} if form.part else _PAGE_HEADERS
    body = text if isinstance(text, bytes) else text.encode(errors="replace")
    return web.Response(
        body=body,
        status=status,
        content_type="application/json" if form.json else "text/html",
        charset=None if form.json else "utf-8",
        headers=headers,
    )


async def _asked(request: web.Request, row: _Row, now: float) -> Asked:
    """Read what is asked.

    Raises:
        BadInputError: it cannot be asked in this way.
    """
    posted = request.method == "POST"
    if not (request.method in _READING or (posted and row.posts)):
        raise BadInputError("This page only shows something.", "Ask for it with GET.", 405)
    if not posted:
        pairs = list(request.query.items())
    else:
        _of_the_dashboard(request)
        if request.content_type != "application/x-www-form-urlencoded":
            raise BadInputError("This is not a form of the dashboard.", "Use the page's own form.", 415)
        text = await _form(request)
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True)
    if len(pairs) > _MOST_VALUES:
        raise BadInputError("Too many values were sent.", f"Send at most {_MOST_VALUES} values.")
    values: dict[str, tuple[str, ...]] = {}
    for key, value in pairs:
        values[key] = (*values.get(key, ()), value)
    return Asked(now, values, posted=posted)


async def _form(request: web.Request) -> str:
    """Read a form that was sent.

    Raises:
        BadInputError: it is too long, or no text.
    """
    sent = bytearray()
    while len(sent) <= _LARGEST_FORM and (chunk := await request.content.readany()):
        sent += chunk
    if len(sent) > _LARGEST_FORM:
        raise BadInputError("The form is too long.", f"Send at most {_LARGEST_FORM} bytes.", 413)
    try:
        return sent.decode()
    except UnicodeDecodeError:
        raise BadInputError("The form is not text.", "Send text in UTF-8.") from None


# The library of templates is loaded when the first page is asked for: a broker whose dashboard nobody opens starts
# without it. All of this runs in threads.


def _row(name: str) -> _Row:
    from choria_broker.ui.site import BY_NAME, FIRST  # noqa: PLC0415

    found = BY_NAME.get(name) if name else FIRST
    if found is None:
        raise BadInputError("There is no such page.", "Choose one from the menu.", 404)
    return found


def _make(row: _Row, facts: object, asked: Asked, status: Status, form: _Form) -> str | bytes:
    from choria_broker.ui import render  # noqa: PLC0415

    view = row.view(facts, asked)
    if form.json:
        return render.document(row, view)
    return render.page(row, view, asked, render.shell(status, asked.now), part=form.part)


def _apologize(row: _Row | None, error: BadInputError, status: Status, now: float, form: _Form) -> str:
    from choria_broker.ui import render  # noqa: PLC0415

    return render.problem(error, row, render.shell(status, now), part=form.part)


def _asset(name: str) -> Asset | None:
    from choria_broker.ui import render  # noqa: PLC0415

    return render.assets().get(name)
