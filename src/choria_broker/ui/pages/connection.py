"""One connection: whose it is, by what, what it may do, why it was let in or refused, and what was before."""

from __future__ import annotations

import msgspec

from choria_broker.access.session import Departed, Holder, Rates, Session
from choria_broker.access.verdict import Permissions
from choria_broker.audit.decided import Decision
from choria_broker.audit.denials import Noted
from choria_broker.sessions.words import name_of, rates
from choria_broker.settings.broker import Settings
from choria_broker.ui.page import Asked, BadInputError, Knowledge, Look, Page
from choria_broker.ui.path import Stop, path

_MOST = 20


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to tell of a connection.

    Attributes:
        connection: the engine's number for it.
        look: who is connected.
        departed: who was, oldest first.
        decision: about the connection; None when it is not known any more.
        denied: what connections were denied.
        settings: of the broker.
    """

    connection: int
    look: Look
    departed: tuple[Departed, ...]
    decision: Decision | None
    denied: tuple[Noted, ...]
    settings: Settings


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows.

    Attributes:
        connection: the engine's number for it.
        state: ``connected``, ``ended`` or ``refused``.
        name: whose it is, as well as that is known.
        session: it, None for one that was refused.
        gone: its end, None for one that is still there.
        rates: what goes over it in a second.
        holder: whose it is, and by what.
        decision: about it.
        path: the way to that, rule by rule.
        permissions: what it may do; None for no limits.
        knows_permissions: the decision is known, so these are.
        denied: subjects that it, or its holder, may not use, and how often it was too slow.
        others: other connections of the same holder.
        earlier: sessions of the same holder that have ended, the newest first.
    """

    connection: int
    state: str
    name: str
    session: Session | None
    gone: Departed | None
    rates: Rates
    holder: Holder
    decision: Decision | None
    path: tuple[Stop, ...]
    permissions: Permissions | None
    knows_permissions: bool
    denied: tuple[Noted, ...]
    others: tuple[Session, ...]
    earlier: tuple[Departed, ...]


async def facts(known: Knowledge, asked: Asked) -> Facts:
    """Get what is known of a connection.

    Raises:
        BadInputError: no connection is named.
    """
    number = asked.number("cid", 0)
    if not number:
        raise BadInputError("No connection is named.", "Choose one from the page Connections.")
    return Facts(
        connection=number,
        look=await known.look(),
        departed=await known.departed(),
        decision=known.decision(number),
        denied=known.status().denied,
        settings=known.settings(),
    )


def view(found: Facts, _asked: Asked) -> Connection:
    """Make the page.

    Raises:
        BadInputError: nothing is known of the connection.
    """
    number, decision = found.connection, found.decision
    live = next((each for each in found.look.sessions if each.connection == number), None)
    gone = next((each for each in reversed(found.departed) if each.connection == number), None)
    session = live or gone
    if session is None and decision is None:
        raise BadInputError(
            f"The broker knows nothing of connection {number}.",
            "It ended some time ago, or there never was one. Numbers start again when the engine restarts. Look for "
            "its name with the find box.",
            404,
        )
    name = name_of(session) if session else decision.username or decision.common_name if decision else ""
    before = found.look.before.get(number)
    span = found.look.seconds if before else found.look.time - (live.since if live else 0.0)
    return Connection(
        connection=number,
        state="connected" if live else "ended" if gone or (decision and decision.allowed) else "refused",
        name=name,
        session=session,
        gone=None if live else gone,
        rates=rates(live, span, before) if live else Rates(),
        holder=session.holder if session else Holder(),
        decision=decision,
        path=path(decision.trail, found.settings, allowed=decision.allowed, rule=decision.rule) if decision else (),
        permissions=decision.permissions if decision else None,
        knows_permissions=decision is not None and decision.allowed,
        denied=tuple(
            each for each in found.denied if each.connection == number or (decision and each.who == decision.username)
        ),
        others=tuple(each for each in found.look.sessions if each.connection != number and _same(each, session))[
            :_MOST
        ],
        earlier=tuple(each for each in reversed(found.departed) if each.connection != number and _same(each, session))[
            :_MOST
        ],
    )


def _same(one: Session, other: Session | None) -> bool:
    """Tell whether two sessions are of the same holder."""
    return other is not None and bool(name_of(one)) and name_of(one) == name_of(other)


PAGE = Page(name="connection", title="Connection", facts=facts, view=view)
