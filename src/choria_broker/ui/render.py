"""From a view to HTML: templates, with every text escaped unless it is a template's own."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from choria_broker import __version__
from choria_broker.documentation import help_for
from choria_broker.patterns import expression
from choria_broker.sessions.words import name_of
from choria_broker.settings import durations
from choria_broker.status.document import Status
from choria_broker.ui.page import Asked, BadInputError, Group, Page, command
from choria_broker.ui.site import PAGES
from choria_broker.wording import in_bytes, plain

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Asset(msgspec.Struct, frozen=True):
    """A file that pages refer to.

    Attributes:
        content: of the file.
        content_type: its media type.
        tag: differs when the content does.
    """

    content: bytes
    content_type: str
    tag: str


class Shell(msgspec.Struct, frozen=True):
    """What every page shows of the broker.

    Attributes:
        identity: its name.
        condition: its health in a word.
        source: its configuration file.
        version: of the broker.
        now: when the page was made, Unix seconds.
    """

    identity: str
    condition: str
    source: str
    version: str
    now: float


def shell(found: Status, now: float) -> Shell:
    """Take from the status what every page shows."""
    return Shell(found.identity, found.health.condition, found.source, __version__, now)


def page(row: Page[Any, Any], view: object, asked: Asked, around: Shell, *, part: bool) -> str:
    """Write a page.

    Args:
        row: which.
        view: what it shows.
        asked: what the reader wants.
        around: what every page shows.
        part: only what changes, for an open page.
    """
    return _template(row.name).render(row=row, view=view, asked=asked, shell=around, part=part)


def problem(error: BadInputError, row: Page[Any, Any] | None, around: Shell, *, part: bool) -> str:
    """Write the page that says what was wrong with a question, and what to do."""
    asked = Asked(around.now)
    return _template("problem").render(row=row, view=error, asked=asked, shell=around, part=part)


def document(row: Page[Any, Any], view: Any) -> bytes:
    """Write what a page shows as JSON."""
    return msgspec.json.encode(view if row.document is None else row.document(view))


@functools.cache
def assets() -> Mapping[str, Asset]:
    """Read the files that pages refer to, by name."""
    found = {}
    own = resources.files("choria_broker.ui").joinpath("assets")
    for folder, prefix in ((own, ""), (own.joinpath("vendor"), "vendor/")):
        for file in folder.iterdir():
            content_type = _TYPES.get(file.name.rpartition(".")[2])
            if content_type:
                content = file.read_bytes()
                tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
                found[f"{prefix}{file.name}"] = Asset(content, content_type, tag)
    return found


@functools.cache
def _locked() -> Mapping[str, str]:
    """Read which hashes the files of others have to have, by name."""
    file = resources.files("choria_broker.ui").joinpath("assets", "vendor", "vendor.lock.json")
    libraries = msgspec.json.decode(file.read_bytes())["libraries"]
    return {name: told["integrity"] for each in libraries for name, told in each["files"].items()}


def integrity(name: str) -> str:
    """Return the hash that a browser is to hold a file of others against."""
    return _locked()[name]


def moment(seconds: float) -> Markup:
    """Write a moment, Unix seconds, in UTC; the page's module writes it in the reader's zone."""
    when = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%Y-%m-%d %H:%M:%S} UTC</time>').format(when, when)


def duration(seconds: float) -> str:
    """Write a length of time in whole seconds."""
    return durations.in_go(float(max(round(seconds), 0)))


def grouped(number: float) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def times(number: int) -> str:
    """Write how often something happened."""
    return "once" if number == 1 else f"{grouped(number)} times"


def parted(text: str) -> Markup:
    """Write a name or place so that a browser that has to break it does so between its parts."""
    signs = _FOLDERS if "/" in text and "://" not in text else _PARTS
    return Markup("<wbr>").join(filter(None, signs.split(text)))


_FOLDERS = expression(r"(?<=[^/]/)(?=[^/])")
_PARTS = expression(r"(?<=[a-zA-Z0-9][._@=-])(?=[a-zA-Z])|(?<=://)(?=[a-zA-Z0-9])")


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("choria_broker.ui"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"moment": moment, "duration": duration, "number": grouped, "size": in_bytes, "plain": plain}
    made.filters |= {"name": name_of, "parted": parted, "times": times}
    made.globals |= {"command": command, "help_for": help_for, "integrity": integrity, "menu": _menu()}
    return made


class _Heading(msgspec.Struct, frozen=True):
    """Pages under one heading of the menu."""

    name: str
    pages: tuple[Page[Any, Any], ...]


def _menu() -> tuple[_Heading, ...]:
    return tuple(_Heading(group.value, tuple(each for each in PAGES if each.group == group)) for group in Group)


_ENVIRONMENT = _environment()


def _template(name: str) -> jinja2.Template:
    return _ENVIRONMENT.get_template(f"{name}.html")
