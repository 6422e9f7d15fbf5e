"""Links to other brokers: as a map, as a table, and in what the members of the cluster differ."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from choria_broker.stats.link_troubles import LinkTrouble
from choria_broker.stats.links import Link, LinkKind
from choria_broker.status.document import Status
from choria_broker.status.settings_now import Difference, MemberReport, Members, differences
from choria_broker.ui.linkmap import LinkMap, link_map, state_of
from choria_broker.ui.page import Asked, Group, Knowledge, Page

_MARKS = {"up": "ok", "down": "failing", "unknown": "degraded"}
_WORDS = {"up": "connected", "down": "not connected", "unknown": "not known yet"}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is made of."""

    status: Status
    about: MemberReport
    members: Members


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A link.

    Attributes:
        condition: how it is marked.
        word: the same for people.
        link: what is known of it.
        places: where it leads, or comes from.
        differs: it is a member with another nats-server than this broker.
    """

    condition: str
    word: str
    link: Link
    places: str
    differs: bool


class LinksView(msgspec.Struct, frozen=True, kw_only=True):
    """All links.

    Attributes:
        map: the drawing.
        sentence: the same in words.
        rows: the links, those that do not stand first.
        nats: nats-server of this broker.
        differences: in what members differ from this broker.
        compared: identities of the members that were compared, and of which it is known.
        limit: why their settings cannot be compared, empty when they can.
        troubles: why links ended, or do not come about, the latest first.
    """

    map: LinkMap
    sentence: str
    rows: tuple[Row, ...]
    nats: str
    differences: tuple[Difference, ...]
    compared: tuple[str, ...]
    limit: str
    troubles: tuple[LinkTrouble, ...]


def view(facts: Facts, _asked: Asked) -> LinksView:
    """Make the page."""
    status, links = facts.status, facts.status.links
    rows = [_row(each, status.nats) for each in links]
    return LinksView(
        map=link_map(status.identity, links),
        sentence=_sentence(links),
        rows=tuple(sorted(rows, key=lambda each: ("failing", "degraded", "ok").index(each.condition))),
        nats=status.nats,
        differences=_differences(facts),
        compared=tuple(each.broker for each in facts.members.reports),
        limit=facts.members.limit,
        troubles=status.link_troubles,
    )


def document(found: LinksView) -> dict[str, object]:
    """Tell programs of links and differences."""
    return {
        "nats": found.nats,
        "links": [each.link for each in found.rows],
        "differences": found.differences,
        "compared": found.compared,
        "limit": found.limit,
        "troubles": found.troubles,
    }


def _row(link: Link, nats: str) -> Row:
    state = state_of(link)
    places = link.address or ", ".join(each for each in link.places if each != link.name)
    differs = link.kind is LinkKind.MEMBER and bool(link.version) and link.version != nats
    return Row(condition=_MARKS[state], word=_WORDS[state], link=link, places=places, differs=differs)


def _differences(facts: Facts) -> tuple[Difference, ...]:
    """Tell what members say themselves, and of others, such as go-choria, the version that links tell."""
    found = differences(facts.about, facts.members.reports)
    told = {each.broker for each in facts.members.reports}
    seen = {
        each.server: each.version
        for each in facts.status.links
        if each.kind is LinkKind.MEMBER and each.server and each.server not in told and each.version
    }
    others = {name: version for name, version in seen.items() if version != facts.status.nats}
    if not others:
        return found
    same = next((each for each in found if each.what == "nats-server"), None)
    whole = Difference("nats-server", facts.status.nats, {**(same.elsewhere if same else {}), **others})
    return (whole, *(each for each in found if each is not same))


def _sentence(links: tuple[Link, ...]) -> str:
    return "; ".join(_counted(links)) or "This broker has no links to others"


_KINDS = {
    LinkKind.MEMBER: ("other member", "other members"),
    LinkKind.GATEWAY: ("gateway", "gateways"),
    LinkKind.LEAFNODE: ("leafnode", "leafnodes"),
}


def _counted(links: tuple[Link, ...]) -> Iterator[str]:
    for kind, (one, several) in _KINDS.items():
        mine = [each for each in links if each.kind is kind]
        if mine:
            up = sum(each.connected is True for each in mine)
            yield f"{up} of {len(mine)} {one if len(mine) == 1 else several} connected"


async def _facts(known: Knowledge, _asked: Asked) -> Facts:
    return Facts(status=known.status(), about=known.about(), members=known.members())


PAGE = Page(name="links", title="Links", group=Group.NETWORK, place=10, facts=_facts, view=view, document=document)
