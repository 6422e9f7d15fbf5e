"""One file for a ticket: what is in it, and where to get it."""

from __future__ import annotations

import msgspec

from choria_broker.status.document import Status
from choria_broker.ui.page import Asked, Group, Page, status

FILE = "bundle.tar.gz"
"""Where the file is had, beside the pages."""


class BundleView(msgspec.Struct, frozen=True, kw_only=True):
    """The file.

    Attributes:
        file: where it is had.
        parts: what is in it, each with what it tells.
    """

    file: str
    parts: tuple[tuple[str, str], ...]


_PARTS = (
    ("status.json", "what choria-broker status shows, with health, links, streams and certificates"),
    ("check.json", "findings of the configuration in the files"),
    ("configuration.txt", "settings with file and line, secrets masked"),
    ("decisions.json", "the latest decisions, each with the rules that were checked"),
    ("connections.json", "who is connected, the first 2000"),
    ("pages/", "pages of nats-server, and the metrics"),
    ("log.txt", "the last mebibyte of the log, when it goes to a file"),
    ("contents.json", "the parts of the bundle, and the parts that are missing"),
)


def view(_found: Status, _asked: Asked) -> BundleView:
    """Make the page."""
    return BundleView(file=FILE, parts=_PARTS)


PAGE = Page(name="bundle", title="Bundle", group=Group.BROKER, place=40, facts=status, view=view, refresh=0)
