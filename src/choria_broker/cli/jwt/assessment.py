"""Whether a token is as it should be, and saying so to monitoring systems."""

from __future__ import annotations

import json

import msgspec

from choria_broker.cli.jwt.query import QueryError, answer
from choria_broker.security import chain, keys
from choria_broker.security.tokens import CLOCK_LEEWAY, Envelope, Rejection, open_envelope, verify
from choria_broker.security.tokens_claims import (
    ClaimError,
    Claims,
    ClientClaims,
    Payload,
    Purpose,
    ServerClaims,
    claims_of,
)
from choria_broker.settings import durations

OK = "OK"
CRITICAL = "CRITICAL"
_KINDS = {Purpose.CLIENT: "client", Purpose.SERVER: "server", Purpose.PROVISIONING: "provisioning"}
PURPOSES = {word: purpose for purpose, word in _KINDS.items()}
"""Purposes by the words they are asked for with."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a token should be like; everything that is not asked for is not looked at.

    Attributes:
        purpose: its purpose.
        shortest: seconds it should be valid for at least, zero for any.
        longest: seconds it should be valid for at most, zero for any.
        chain_issuer: whether it should be the token of a chain issuer.
        issuer: ed25519 key of who should have issued it, itself or through a chain, as hex.
        policy: whether a client token should have an Open Policy Agent policy.
        subscribe: additional subjects it should allow to subscribe to.
        publish: additional subjects it should allow to publish to.
        identity: the identity or caller id it should be for.
        queries: questions whose answer should be yes.
    """

    purpose: Purpose | None = None
    shortest: int = 0
    longest: int = 0
    chain_issuer: bool | None = None
    issuer: str = ""
    policy: bool = False
    subscribe: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    identity: str = ""
    queries: tuple[str, ...] = ()


class Assessment(msgspec.Struct, frozen=True):
    """What came of looking at a token.

    Attributes:
        critical: everything that is not as it should be.
        ok: what is.
        expires: seconds until it expires, negative afterwards, None when that is not known.
    """

    critical: tuple[str, ...]
    ok: tuple[str, ...] = ()
    expires: float | None = None

    @property
    def status(self) -> str:
        """``OK`` or ``CRITICAL``."""
        return CRITICAL if self.critical else OK

    @property
    def code(self) -> int:
        """The status as monitoring systems number it: 0 or 2."""
        return 2 if self.critical else 0


def assess(token: str, wanted: Wanted, now: float) -> Assessment:
    """Look at a token.

    Args:
        token: its text.
        wanted: what it should be like.
        now: Unix seconds.
    """
    envelope = open_envelope(token)
    if isinstance(envelope, Rejection):
        return Assessment((envelope.reason,))
    kind = claims_of(envelope.payload)
    if kind is None:
        return Assessment(("unknown token purpose",))
    faults = []
    if wanted.purpose not in {None, kind.PURPOSE}:
        faults.append(f"{kind.PURPOSE} purpose")
    claims = _believed(envelope, kind, wanted.issuer, now)
    if isinstance(claims, str):
        return Assessment((*faults, claims))
    faults += _content(claims, envelope.payload, wanted)
    faults += _times(claims, wanted, now)
    faults += _queries(envelope.payload, wanted.queries)
    expires = None if claims.expires is None else claims.expires - now
    return Assessment(tuple(faults), (f"{_KINDS[kind.PURPOSE]} token",), expires)


def _believed(envelope: Envelope, kind: type[Claims], issuer: str, now: float) -> Claims | str:
    if not issuer:
        try:
            return kind.read(envelope.payload)
        except ClaimError as error:
            return str(error)
    if not keys.is_hex_key(issuer):
        return "invalid issuer"
    claims = verify(envelope, kind, [keys.ed25519_from_hex(issuer)], now)
    return claims.reason if isinstance(claims, Rejection) else claims


def _content(claims: Claims, payload: Payload, wanted: Wanted) -> list[str]:
    faults = []
    holder = ""
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    if isinstance(claims, ClientClaims):
        holder, publish, subscribe = claims.caller, claims.publish_subjects, claims.subscribe_subjects
    elif isinstance(claims, ServerClaims):
        holder, publish = claims.identity, claims.publish_subjects
    if wanted.identity and holder != wanted.identity:
        faults.append(f"identity {holder}" if holder else "no identity")
    if claims.CHAINED and not claims.public_key:
        faults.append("no public key")
    issues = chain.names_issuer(claims.issuer, claims.trust_chain, claims.token_id, claims.public_key)
    issues = issues and isinstance(claims, ClientClaims)
    if wanted.chain_issuer not in {None, issues}:
        faults.append(f"chain issuer: {str(issues).lower()}")
    if wanted.policy and isinstance(claims, ClientClaims) and not payload.get("opa_policy"):
        faults.append("no OPA policy")
    faults += [f"subscribe {subject}" for subject in wanted.subscribe if subject not in subscribe]
    faults += [f"publish {subject}" for subject in wanted.publish if subject not in publish]
    return faults


def _times(claims: Claims, wanted: Wanted, now: float) -> list[str]:
    faults = []
    if claims.expires is None:
        faults.append("no expiry")
    elif not now < claims.expires:
        faults.append("expired")
    else:
        left = claims.expires - now
        if left < wanted.shortest or left > wanted.longest > 0:
            faults.append(f"expires in {durations.for_people(left)}")
    if not claims.token_id:
        faults.append("no id")
    if claims.not_before is None:
        faults.append("no not before")
    elif claims.not_before > now + CLOCK_LEEWAY:
        faults.append(f"not valid before {durations.for_people(claims.not_before - now)} from now")
    return faults


def _queries(payload: Payload, queries: tuple[str, ...]) -> list[str]:
    faults = []
    for query in queries:
        try:
            if not answer(query, payload):
                faults.append(query)
        except QueryError as error:
            faults.append(f"invalid query: {query}: {error}")
    return faults


def render(assessment: Assessment, name: str, form: str) -> str:
    """Write an assessment down.

    Args:
        assessment: what came out.
        name: name of the token.
        form: ``nagios``, ``json``, ``prometheus`` or ``text``.
    """
    writers = {"nagios": _nagios, "json": _json, "prometheus": _prometheus, "text": _text}
    return writers[form](assessment, name)


def _nagios(assessment: Assessment, name: str) -> str:
    parts = [f"Crit:{message}" for message in assessment.critical] + [f"OK:{message}" for message in assessment.ok]
    line = " ".join([assessment.status, name, *parts])
    # Monitoring systems read only the first line.
    line = "".join(letter if letter.isprintable() else " " for letter in line)
    return line if assessment.expires is None else f"{line} | expires={assessment.expires:.4f}s"


def _json(assessment: Assessment, name: str) -> str:
    document: dict[str, object] = {"status": assessment.status, "check_suite": "jwt", "check_name": name}
    if assessment.critical:
        document["critical"] = assessment.critical
    if assessment.ok:
        document["ok"] = assessment.ok
    if assessment.expires is not None:
        value = {"name": "expires", "value": assessment.expires, "warning": 0, "critical": 0, "unit": "s"}
        document["perf_data"] = [value]
    return json.dumps(document, indent=2)


def _prometheus(assessment: Assessment, name: str) -> str:
    item = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    lines = []
    if assessment.expires is not None:
        lines += [
            "# HELP choria_jwt_expires Seconds until the token expires",
            "# TYPE choria_jwt_expires gauge",
            f'choria_jwt_expires{{item="{item}"}} {assessment.expires}',
        ]
    lines += [
        "# HELP choria_jwt_status_code Status of the token as monitoring systems number it",
        "# TYPE choria_jwt_status_code gauge",
        f'choria_jwt_status_code{{item="{item}",status="{assessment.status}"}} {assessment.code}',
    ]
    return "\n".join(lines)


def _text(assessment: Assessment, name: str) -> str:
    lines = [f"{name}: {assessment.status}", ""]
    lines += [f"  Critical  {message}" for message in assessment.critical]
    lines += [f"  OK        {message}" for message in assessment.ok]
    if assessment.expires is not None:
        lines += ["", f"  Expires in {assessment.expires:.3f} seconds"]
    return "\n".join(lines)
