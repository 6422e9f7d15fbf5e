"""What a token says, laid out for people to read."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping

from choria_broker.access.permissions import reply_digests
from choria_broker.security import chain
from choria_broker.security.token_permissions import ClientPermission, ServerPermission
from choria_broker.security.tokens_claims import Claims, ClientClaims, Payload, ProvisioningClaims, ServerClaims
from choria_broker.settings import durations
from choria_broker.settings.secret import MASK
from choria_broker.wording import plain

_CLIENT_WIDTH = 19
_CLIENT_INDENT = 6
_SERVER_WIDTH = 21
_SERVER_INDENT = 10
_PROVISIONING_WIDTH = 30

_NONE = "No permissions"
_STANDARD = ("purpose", "public_key", "iss", "sub", "aud", "exp", "nbf", "iat", "jti")

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


def _client(claims: ClientClaims, payload: Payload, now: float) -> Iterator[str]:
    yield from _rows(
        _CLIENT_WIDTH,
        [
            ("Caller ID", claims.caller),
            *_given("Organization Unit", claims.organization),
            *_given("Allowed Agents", _listed(payload.get("agents"))),
            ("Public Key", claims.public_key),
            ("Private Network ID", reply_digests(claims.caller)[0]),
            *_begin(claims, now),
            ("Expires At", _end(claims.expires, now)),
            *_given("Trust Chain", _chain(claims, now)),
            *_given("Subscribe Subjects", ", ".join(claims.subscribe_subjects)),
            *_given("Publish Subjects", ", ".join(claims.publish_subjects)),
        ],
    )
    hidden = ClientPermission.FLEET_MANAGEMENT
    signed = ClientPermission.SIGNED_FLEET_MANAGEMENT in claims.permissions
    words = [each.can for each in _listed_permissions(claims) if not (signed and each is hidden)]
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
            *_begin(claims, now),
            ("Expires At", _end(claims.expires, now)),
            ("Collectives", ", ".join(claims.collectives)),
            ("Public Key", claims.public_key),
            ("Organization Unit", claims.organization),
            *_given("Additional Subjects", ", ".join(claims.publish_subjects)),
            ("Private Network ID", reply_digests(claims.identity)[0]),
            *_given("Trust Chain", _chain(claims, now)),
        ],
    )
    words = [each.can for each in _listed_permissions(claims)]
    yield from _permissions("Broker Permissions", _SERVER_WIDTH, _SERVER_INDENT, words)


def _listed_permissions(claims: ClientClaims | ServerClaims) -> list[ClientPermission | ServerPermission]:
    return sorted(claims.permissions, key=lambda each: each.place)


def _provisioning(claims: Claims, payload: Payload, now: float) -> list[_Row]:
    return [
        *_begin(claims, now),
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


def _begin(claims: Claims, now: float) -> list[_Row]:
    """From when a token is valid."""
    if claims.not_before is None:
        return []
    ahead = claims.not_before - now
    note = f" (not valid yet: {durations.for_people(ahead)} to go)" if ahead > 0 else ""
    return [("Valid From", f"{_date(claims.not_before)}{note}")]


def _date(moment: int) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"
    except (ValueError, OverflowError, OSError):
        return "not a valid date"


def _end(moment: int | None, now: float) -> str:
    if moment is None:
        return "never"
    written = _date(moment)
    if now < moment:
        return f"{written} ({durations.for_people(moment - now)})"
    return f"{written} (expired {durations.for_people(now - moment)} ago)"


def _chain(claims: Claims, now: float) -> str:
    if claims.issuer.startswith(chain.CHAIN_PREFIX) and claims.trust_chain:
        issuer_id, _, key = claims.issuer.removeprefix(chain.CHAIN_PREFIX).partition(".")
        return f"Issued by {issuer_id} with key {key}, whose own token ends {_end(claims.issuer_expires, now)}"
    if chain.names_issuer(claims.issuer, claims.trust_chain, claims.token_id, claims.public_key):
        organization = claims.issuer.removeprefix(chain.ISSUER_PREFIX)
        return f"Can issue tokens in a chain of trust under issuer {organization}"
    return ""
