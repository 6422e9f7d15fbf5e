"""Who is refused: by rule with what to do, by address, and the latest of them one by one."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

import msgspec

from choria_broker.access.rules import RULES
from choria_broker.audit.decided import Decision
from choria_broker.audit.denials import Noted
from choria_broker.audit.throttle import Refused, site
from choria_broker.settings.broker import Settings
from choria_broker.status.document import Status
from choria_broker.ui.page import Asked, BadInputError, Group, Knowledge, Page
from choria_broker.ui.path import Behind, behind

_LATEST = 50

_BUG = "A bug in the broker: report it, with the log lines around it."
BY_ENGINE: Mapping[str, str] = {
    "tls-handshake": "The other side does not accept the broker's certificate, sends one that the broker's CA did not "
    "sign, or does not speak TLS: see the log, which has the reason.",
    "websocket-handshake": "It is not a websocket client, or a proxy in front of the port removes the websocket "
    "headers.",
    "websocket-origin": "A page of a site that is not in plugin.choria.network.websocket_origins: add it if it is "
    "yours.",
    "authentication": "The user's token or account is not in the operator's store: compare it with nsc.",
    "guessing": "An address sent too many passwords, and has to wait. If it is your program, correct its password.",
    "timeout": "The broker did not answer its engine in time: check the load of this machine.",
    "overflow": "More clients connected at once than this machine can log in. They reconnect by themselves; "
    "choria-broker capacity measures how many it can handle.",
    "too_large": "Its CONNECT is larger than the broker accepts: for example a token with very many permissions.",
    "gone": "It disconnected before the decision: check the load of this machine and of the other one.",
} | dict.fromkeys(
    ("unknown_account", "malformed", "registration", "stale_generation", "unmet_conditions", "panic"), _BUG
)
"""What to do about refusals of the engine's own, by cause."""

_SEE_LOG = "The log has the reason."


class ByRule(msgspec.Struct, frozen=True):
    """Refusals of one rule.

    Attributes:
        rule: its name.
        count: how many since the start.
        says: what the rule says.
        remedy: what to do.
        settings: those behind it.
        query: of the address that shows only those.
    """

    rule: str
    count: int
    says: str
    remedy: str
    settings: tuple[Behind, ...]
    query: str


class ByAddress(msgspec.Struct, frozen=True):
    """Refusals of one address.

    Attributes:
        refused: the address, how often and when last.
        rules: by rule, the most first.
        query: of the address that shows only those.
    """

    refused: Refused
    rules: tuple[tuple[str, int], ...]
    query: str


class Refusals(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows.

    Attributes:
        rules: refusals by rule since the start, the most first.
        engine: refusals of the engine's own by cause, with what to do.
        addresses: addresses that were refused, the latest first.
        latest: the latest refused decisions, the newest first.
        matching: how many of those that are kept are meant.
        denied: subjects that were denied, and slow consumers, the latest first.
        rule, address: what the latest ones are limited to, empty for all.
        query: of the address that shows the same.
        operator: in operator mode, who decides in place of this broker.
    """

    rules: tuple[ByRule, ...]
    engine: tuple[tuple[str, int, str], ...]
    addresses: tuple[ByAddress, ...]
    latest: tuple[Decision, ...]
    matching: int
    denied: tuple[Noted, ...]
    rule: str
    address: str
    query: str
    operator: str


class Facts(msgspec.Struct, frozen=True):
    """What is needed to tell of refusals."""

    status: Status
    decisions: tuple[Decision, ...]
    settings: Settings


async def facts(known: Knowledge, _asked: Asked) -> Facts:
    """Get who was refused."""
    return Facts(known.status(), tuple(known.decisions()), known.settings())


def view(found: Facts, asked: Asked) -> Refusals:
    """Make the page.

    Raises:
        BadInputError: there is no such rule.
    """
    rule, address, status = asked.text("rule"), asked.text("address"), found.status
    if rule and rule not in RULES:
        raise BadInputError(f"There is no rule {rule}.", "Choose one from the page Refusals.")
    meant = [
        each
        for each in reversed(found.decisions)
        if not each.allowed
        and rule in ("", each.rule)
        and (address in ("", each.address) or site(each.address) == address)
    ]
    return Refusals(
        rules=tuple(
            ByRule(
                name,
                count,
                RULES[name].sentence if name in RULES else "",
                RULES[name].remedy if name in RULES else "",
                behind(name, found.settings),
                urllib.parse.urlencode({"rule": name}),
            )
            for name, count in _most_first(status.refused)
        ),
        engine=tuple(
            (cause, count, BY_ENGINE.get(cause, _SEE_LOG)) for cause, count in _most_first(status.engine_refused)
        ),
        addresses=tuple(
            ByAddress(each, tuple(_most_first(each.rules)), urllib.parse.urlencode({"address": each.address}))
            for each in status.refused_addresses
        ),
        latest=tuple(meant[:_LATEST]),
        matching=len(meant),
        denied=status.denied,
        rule=rule,
        address=address,
        query=urllib.parse.urlencode({name: each for name, each in (("rule", rule), ("address", address)) if each}),
        operator=status.operator,
    )


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


PAGE = Page(name="refusals", title="Refusals", group=Group.NOW, place=50, facts=facts, view=view)
