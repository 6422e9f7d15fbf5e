"""What would happen to a connection that somebody describes, or what happened to one, drawn rule by rule."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec

from choria_broker.access.request import ConnectionKind, TlsState
from choria_broker.audit.decided import Decision
from choria_broker.audit.denials import Noted
from choria_broker.explaining.description import Description, DescriptionError, Judge, Names, subjects_of
from choria_broker.explaining.explanation import Explanation, document, of_decision
from choria_broker.settings.broker import Settings
from choria_broker.ui.page import Asked, BadInputError, Group, Knowledge, Page
from choria_broker.ui.path import Behind, Stop, path
from choria_broker.values import Discreet

LONGEST: Mapping[str, int] = {"token": 8192, "certificate": 12_000, "user": 256, "password": 256, "publish": 2000}
"""Characters of a field."""

_NAMES = Names("Certificate", "TLS", "Publish", "Subscribe", "another address can be given in the form")
_FIELDS = ("address", "user", "tls", "kind", "proof", "connection", "publish", "subscribe")
"""Fields that are shown again with an answer; secrets are not, and what was pasted for a certificate may hold a key."""

_PLACE = "plugin.choria.network.client_port"


class Facts(Discreet, frozen=True, kw_only=True):
    """What is needed to explain.

    Attributes:
        settings: of the broker.
        authorities: content of its CA file.
        decision: about the connection that is asked about; None for one that is described, or not known any more.
        denied: what connections were denied.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"authorities"})

    settings: Settings
    authorities: bytes
    decision: Decision | None
    denied: tuple[Noted, ...]


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows.

    Attributes:
        fields: what stands in the form, by name.
        explanation: None before anything was asked.
        path: the way to the decision.
        door: the setting of the port at which the way begins.
        kinds, states: what kinds and states of TLS there are.
        longest: how many characters fields can have.
        command: words of the command that explains the same.
    """

    fields: Mapping[str, str]
    explanation: Explanation | None
    path: tuple[Stop, ...]
    door: Behind
    kinds: tuple[str, ...]
    states: tuple[str, ...]
    longest: Mapping[str, int]
    command: tuple[str, ...]


async def facts(known: Knowledge, asked: Asked) -> Facts:
    """Get what decisions depend on.

    Raises:
        BadInputError: no such connection is known.
    """
    number = asked.number("connection", 0)
    decision = known.decision(number) if number else None
    if number and decision is None:
        raise BadInputError(
            f"The decision about connection {number} is no longer kept, or there was none.",
            "Describe the connection instead.",
            404,
        )
    return Facts(
        settings=known.settings(),
        authorities=known.authorities(),
        decision=decision,
        denied=known.status().denied if decision else (),
    )


def view(found: Facts, asked: Asked) -> Explained:
    """Explain.

    Raises:
        BadInputError: the description makes no sense.
    """
    explanation = None
    if asked.posted or found.decision:
        try:
            explanation = _explained(found, asked)
        except DescriptionError as error:
            problem = f"{str(error)[:1].upper()}{str(error)[1:]}."
            raise BadInputError(problem, "Correct the form.") from error
    verdict = explanation.verdict if explanation else None
    port = found.settings.origin(_PLACE)
    return Explained(
        fields={name: asked.text(name) for name in _FIELDS},
        explanation=explanation,
        path=path(verdict.trail, found.settings, allowed=verdict.allowed, rule=verdict.rule) if verdict else (),
        door=Behind(_PLACE, str(port) if _PLACE in found.settings.raw else ""),
        kinds=tuple(each.value for each in ConnectionKind),
        states=tuple(each.value for each in TlsState),
        longest=LONGEST,
        command=tuple(_command(asked)),
    )


def _explained(found: Facts, asked: Asked) -> Explanation:
    subjects = subjects_of(_lines(asked, "publish"), _lines(asked, "subscribe"), _NAMES)
    if found.decision:
        return of_decision(found.decision, subjects, found.denied)
    judge = Judge(found.settings, found.authorities, _NAMES)
    return judge.explain(_description(asked), subjects, asked.now)


def _description(asked: Asked) -> Description:
    for name, most in LONGEST.items():
        if len(asked.text(name)) > most:
            raise DescriptionError(f"{name} is longer than {most} characters")
    return Description(
        kind=_kind(asked.text("kind", ConnectionKind.CLIENT.value)),
        tls=_state(asked.text("tls")),
        address=_address(asked.text("address")),
        user=asked.text("user"),
        password=asked.text("password"),
        token=asked.text("token"),
        certificate=asked.text("certificate").encode() or None,
        proven=asked.text("proof") != "missing",
    )


def _kind(text: str) -> ConnectionKind:
    try:
        return ConnectionKind(text)
    except ValueError:
        raise DescriptionError(f"there is no kind of connection {text!r}") from None


def _state(text: str) -> TlsState | None:
    try:
        return TlsState(text) if text else None
    except ValueError:
        raise DescriptionError(f"there is no state of TLS {text!r}") from None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise DescriptionError(
            f"{text!r} is not an IP address, the only kind of address that connections have"
        ) from None


def _lines(asked: Asked, name: str) -> tuple[str, ...]:
    if len(asked.text(name)) > LONGEST["publish"]:
        raise DescriptionError(f"{name} is longer than {LONGEST['publish']} characters")
    return tuple(line for text in asked.values.get(name, ()) for line in map(str.strip, text.splitlines()) if line)


def _command(asked: Asked) -> Iterator[str]:
    """Write the command that explains the same; secrets and certificates are in files there."""
    yield "explain"
    if asked.text("connection"):
        yield from ("--connection", asked.text("connection"))
    else:
        for name, file in (("certificate", "certificate.pem"), ("token", "token.jwt")):
            if asked.text(name):
                yield from (f"--{name}", file)
        for name in ("address", "user", "tls", "kind"):
            if asked.text(name) and (name, asked.text(name)) != ("kind", "client"):
                yield from (f"--{name}", asked.text(name))
        if asked.text("password"):
            yield "--password-stdin"
        if asked.text("proof") == "missing":
            yield from ("--nonce-proof", "missing")
    for name in ("publish", "subscribe"):
        for subject in _lines(asked, name):
            yield from (f"--{name}", subject)


def _document(shown: Explained) -> object:
    return document(shown.explanation) if shown.explanation else {}


PAGE = Page(
    name="explain",
    title="Explain",
    group=Group.NOW,
    place=60,
    facts=facts,
    view=view,
    document=_document,
    refresh=0,
    posts=True,
)
