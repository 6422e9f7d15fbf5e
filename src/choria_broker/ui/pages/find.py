"""Where somebody is, or was: on this broker and on the other members of its cluster."""

from __future__ import annotations

import msgspec

from choria_broker.sessions.documents import Found
from choria_broker.ui.page import Asked, BadInputError, Group, Knowledge, Page

_LONGEST = 256


class FindView(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows.

    Attributes:
        text: what was looked for, empty before anything was.
        found: where it was seen; None before anything was looked for.
        own: identity of this broker, whose connections have pages here.
        seen: how many connections, ends and refusals are shown.
    """

    text: str
    found: Found | None
    own: str
    seen: int


async def facts(known: Knowledge, asked: Asked) -> tuple[Found | None, str]:
    """Look for somebody.

    Raises:
        BadInputError: the text is too long.
    """
    text = asked.text("text")
    if len(text) > _LONGEST:
        raise BadInputError("The text to find is too long.", f"Give at most {_LONGEST} characters.")
    return (await known.find(text) if text else None), known.settings().identity


def view(found: tuple[Found | None, str], asked: Asked) -> FindView:
    """Make the page."""
    result, own = found
    brokers = result.brokers if result else ()
    seen = sum(len(each.connected) + len(each.departed) + len(each.refused) for each in brokers)
    return FindView(text=asked.text("text"), found=result, own=own, seen=seen)


PAGE = Page(
    name="find",
    title="Find",
    group=Group.NOW,
    place=30,
    facts=facts,
    view=view,
    document=lambda shown: shown.found,
    refresh=0,
)
