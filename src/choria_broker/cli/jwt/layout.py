"""What a token says, laid out for people to read."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping

from choria_broker.access.permissions import reply_digests
from choria_broker.cli.escaping import plain
from choria_broker.config.secret import MASK
from choria_broker.security import chain
from choria_broker.security.tokens_claims import (
    Claims,
    ClientClaims,
    ClientPermission,
    Payload,
    ProvisioningClaims,
    ServerClaims,
    ServerPermission,
)

_CLIENT_WIDTH = 19
_CLIENT_INDENT = 6
_SERVER_WIDTH = 21
_SERVER_INDENT = 10
_PROVISIONING_WIDTH = 30

_CLIENT_WORDS = {
    ClientPermission.FLEET_MANAGEMENT: "Can manage Choria fleet nodes",
    ClientPermission.SIGNED_FLEET_MANAGEMENT: "Can manage Choria fleet nodes with countersigned requests only",
    ClientPermission.ELECTION_USER: "Can take part in leader elections",
    ClientPermission.EVENTS_VIEWER: "Can watch lifecycle and autonomous agent events",
    ClientPermission.STREAMS_USER: "Can use Choria Streams",
    ClientPermission.STREAMS_ADMIN: "Can administer Choria Streams",
    ClientPermission.GOVERNOR: "Can use Choria Governors",
    ClientPermission.ORG_ADMIN: "Can see and publish on every subject, and enter the system account",
    ClientPermission.SYSTEM_USER: "Can enter the system account of the broker",
    ClientPermission.AUTHENTICATION_DELEGATOR: "Can sign requests for other users",
    ClientPermission.SERVICE: "Can hold a token of long validity",
    ClientPermission.PROVISIONER: "Can provision Choria servers",
}
_SERVER_WORDS = {
    ServerPermission.SERVICE_HOST: "Can host services",
    ServerPermission.SUBMISSION: "Can publish Choria Submission messages",
    ServerPermission.STREAMS: "Can use Choria Streams",
    ServerPermission.GOVERNOR: "Can use Choria Governors",
}
_NONE = "No permissions"
_STANDARD = ("purpose", "public_key", "iss", "sub", "aud", "exp", "nbf", "iat", "jti")
_UNITS = ((365 * 86400, "y"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))

_Row = tuple[str, str]


def render(title: str, claims: Claims, payload: Payload, now: float) -> str:
    """Lay a token out.

    Args:
        title: what stands above.
        claims: the claims, read.
        payload: the claims as they stand in the token.
        now: Unix seconds.
    """
    match claims:
        case ClientClaims():
            lines = _client(claims, payload, now)
        case ServerClaims():
            lines = _server(claims, now)
        case _:
            lines = _rows(_PROVISIONING_WIDTH, _provisioning(claims, payload, now))
    return "\n".join((title, "", *lines, ""))


def kind(claims: type[Claims]) -> str:
    """Name a kind of token, as titles do."""
    names: Mapping[type[Claims], str] = {
        ClientClaims: "Client Identification Token",
        ServerClaims: "Server Token",
        ProvisioningClaims: "Provisioning Token",
    }
    return names[claims]


def length(seconds: float) -> str:
    """Write a length of time for people: ``58.28s``, ``59m59s``, ``9d23h59m58s``, ``2y69d0h3m0s``."""
    if seconds < _UNITS[-2][0]:
        return f"{seconds:.2f}s"
    rest = int(seconds)
    text = ""
    for size, unit in _UNITS:
        amount, rest = divmod(rest, size)
        if amount or text:
            text += f"{amount}{unit}"
    return text


def _client(claims: ClientClaims, payload: Payload, now: float) -> Iterator[str]:
    yield from _rows(
        _CLIENT_WIDTH,
        [
            ("Caller ID", claims.caller),
            *_given("Organization Unit", claims.organization),
            *_given("Allowed Agents", _listed(payload.get("agents"))),
            ("Public Key", claims.public_key),
            ("Private Network ID", reply_digests(claims.caller)[0]),
            ("Expires At", _end(claims.expires, now)),
            *_given("Trust Chain", _chain(claims, now)),
            *_given("Subscribe Subjects", ", ".join(claims.subscribe_subjects)),
            *_given("Publish Subjects", ", ".join(claims.publish_subjects)),
        ],
    )
    words = [word for flag, word in _CLIENT_WORDS.items() if flag in claims.permissions]
    if ClientPermission.SIGNED_FLEET_MANAGEMENT in claims.permissions:
        words = [word for word in words if word != _CLIENT_WORDS[ClientPermission.FLEET_MANAGEMENT]]
    yield from _permissions("Client Permissions", _CLIENT_WIDTH, _CLIENT_INDENT, words)
    yield from _rows(
        _CLIENT_WIDTH,
        [
            *_given("User Properties", _document(payload.get("user_properties"))),
            *_given("OPA Policy", str(payload.get("opa_policy") or "")),
        ],
    )


def _server(claims: ServerClaims, now: float) -> Iterator[str]:
    yield from _rows(
        _SERVER_WIDTH,
        [
            ("Identity", claims.identity),
            ("Expires At", _end(claims.expires, now)),
            ("Collectives", ", ".join(claims.collectives)),
            ("Public Key", claims.public_key),
            ("Organization Unit", claims.organization),
            *_given("Additional Subjects", ", ".join(claims.publish_subjects)),
            ("Private Network ID", reply_digests(claims.identity)[0]),
            *_given("Trust Chain", _chain(claims, now)),
        ],
    )
    words = [word for flag, word in _SERVER_WORDS.items() if flag in claims.permissions]
    yield from _permissions("Broker Permissions", _SERVER_WIDTH, _SERVER_INDENT, words)


def _provisioning(claims: Claims, payload: Payload, now: float) -> list[_Row]:
    return [
        ("Expires At", _end(claims.expires, now)),
        ("Token", MASK if payload.get("cht") else ""),
        ("Secure", _yes(payload.get("chs"))),
        *_given("SRV Domain", payload.get("chsrv")),
        *_given("URLS", payload.get("chu")),
        ("Provisioning by default", _yes(payload.get("chpd"))),
        *_given("Provisioning Registration Data", payload.get("chrd")),
        *_given("Provisioning Facts", payload.get("chf")),
        *_given("Broker Username", payload.get("chusr")),
        *_given("Broker Password", MASK if payload.get("chpwd") else ""),
        *_given("Organization Unit", claims.organization),
        *_given("Using version 2 Protocol", _yes(payload.get("v2")) if payload.get("v2") else ""),
        ("Server Version Upgrades", _yes(payload.get("update"))),
        *_given("Extensions", _document(payload.get("extensions"))),
        ("Standard Claims", _document({name: payload[name] for name in _STANDARD if name in payload})),
    ]


def _rows(width: int, rows: Iterable[_Row]) -> Iterator[str]:
    # A token can say anything, also what a terminal would take for a command.
    for label, value in rows:
        first, *more = value.split("\n")
        yield f"{label:>{width}}: {plain(first)}"
        for line in more:
            yield f"{'':{width}}  {plain(line)}"


def _permissions(label: str, width: int, indent: int, words: list[str]) -> Iterator[str]:
    yield ""
    yield f"{label:>{width}}:"
    yield ""
    for word in words or [_NONE]:
        yield f"{'':{indent}}{word}"
    yield ""


def _given(label: str, value: object) -> list[_Row]:
    return [(label, str(value))] if value else []


def _listed(value: object) -> str:
    return ", ".join(str(entry) for entry in value) if isinstance(value, list) else ""


def _document(value: object) -> str:
    return json.dumps(value, indent=2) if value else ""


def _yes(value: object) -> str:
    return "true" if value else "false"


def _end(moment: int | None, now: float) -> str:
    if moment is None:
        return "never"
    try:
        written = f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"
    except (ValueError, OverflowError, OSError):
        written = "outside the calendar"
    if now < moment:
        return f"{written} ({length(moment - now)})"
    return f"{written} (expired {length(now - moment)} ago)"


def _chain(claims: Claims, now: float) -> str:
    if claims.issuer.startswith(chain.CHAIN_PREFIX) and claims.trust_chain:
        issuer_id, _, key = claims.issuer.removeprefix(chain.CHAIN_PREFIX).partition(".")
        return f"Issued by {issuer_id} with key {key}, whose own token ends {_end(claims.issuer_expires, now)}"
    if chain.names_issuer(claims.issuer, claims.trust_chain, claims.token_id, claims.public_key):
        organization = claims.issuer.removeprefix(chain.ISSUER_PREFIX)
        return f"Can make tokens in a chain of trust that issuer {organization} vouches for"
    return ""
