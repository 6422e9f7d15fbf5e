"""What is kept, and logged, of one decision."""

from __future__ import annotations

import datetime as dt
import functools
import sys

import msgspec

from choria_broker.access.permissions import size_of
from choria_broker.access.quoted import claimed
from choria_broker.access.request import Certificate, ConnectRequest
from choria_broker.access.session import LAST_MOMENT, Again, Holder
from choria_broker.access.verdict import Permissions, Step, Verdict

_LONGEST_NAME = 256
"""Characters of a name that are logged."""

_DAY = 86_400

_NO_CERTIFICATE, _NOBODY = Certificate(), Holder()


class Decision(msgspec.Struct, frozen=True):
    """What was decided about one connection; holds no secret.

    Attributes:
        time: when, Unix seconds.
        connection_id: the engine's number for the connection.
        address: peer address without port.
        kind: kind of connection.
        tls: state of TLS.
        common_name, serial, fingerprint: of the presented certificate, as in the request; empty without one.
        allowed, method, rule, reason, remedy, account, username, permissions, trail: as in the verdict.
        seconds: how long the decision took.
        claimed: what the program says of itself in CONNECT, quoted; nobody has checked it.
        token_id: of the token that let it in, its ``jti``; empty without one.
        issuer: key that this token goes back to.
        expires: when the first of token, chain issuer's token and certificate ends, Unix seconds; None for never.
    """

    time: float
    connection_id: int
    address: str
    kind: str
    tls: str
    common_name: str
    serial: str
    fingerprint: str
    allowed: bool
    method: str
    rule: str
    reason: str
    remedy: str
    account: str
    username: str
    permissions: Permissions | None
    trail: tuple[Step, ...]
    seconds: float
    claimed: str = ""
    token_id: str = ""
    issuer: str = ""
    expires: int | None = None


_UNKNOWN = Decision(
    time=0.0,
    connection_id=0,
    address="",
    kind="",
    tls="",
    common_name="",
    serial="",
    fingerprint="",
    allowed=True,
    method="",
    rule="",
    reason="The verdict about an earlier connection was used again, and its record is no longer kept.",
    remedy="",
    account="",
    username="",
    permissions=None,
    trail=(),
    seconds=0.0,
)


def decision_of(request: ConnectRequest, verdict: Verdict, seconds: float, now: float) -> Decision:
    """Return what is kept of a decision: no secret.

    Args:
        request: what was known of the connection.
        verdict: of the policy.
        seconds: it took.
        now: when it was made, Unix seconds.
    """
    certificate, holder = request.certificate or _NO_CERTIFICATE, verdict.holder or _NOBODY
    return Decision(
        time=now,
        connection_id=request.connection_id,
        address=request.address,
        kind=request.kind.value,
        tls=request.tls.value,
        common_name=certificate.common_name,
        serial=certificate.serial,
        fingerprint=certificate.fingerprint,
        allowed=verdict.allowed,
        method=verdict.method,
        rule=verdict.rule,
        reason=verdict.reason,
        remedy=verdict.remedy,
        account=verdict.account,
        username=verdict.username,
        permissions=verdict.permissions,
        trail=verdict.trail,
        seconds=seconds,
        claimed=claimed(request.name, request.language, request.version),
        token_id=holder.token_id,
        issuer=holder.signer,
        expires=holder.expires,
    )


def decision_again(again: Again, before: Decision | None, now: float) -> Decision:
    """Return what is kept of a decision that was made once more: for another connection, by the same verdict.

    Args:
        again: the connection.
        before: the decision about the first one, None when it is not known any more.
        now: when the connection was let in, Unix seconds.
    """
    holder = again.holder
    if before is None:
        before = msgspec.structs.replace(
            _UNKNOWN,
            method=holder.method,
            rule=holder.rule,
            username=holder.caller or holder.identity,
            token_id=holder.token_id,
            issuer=holder.signer,
        )
    certificate = holder.certificate
    return msgspec.structs.replace(
        before,
        time=now,
        connection_id=again.connection,
        address=again.address,
        common_name=before.common_name if certificate is None else certificate.common_name,
        serial=before.serial if certificate is None else certificate.serial,
        fingerprint=before.fingerprint if certificate is None else certificate.fingerprint,
        seconds=again.seconds,
        claimed=claimed(again.name, again.language, again.version),
        expires=holder.expires,
    )


def room_of(decision: Decision) -> int:
    """Tell how many bytes of a decision others have chosen, about."""
    size = own_room_of(decision) + sys.getsizeof(decision.reason) + sys.getsizeof(decision.username)
    for step in decision.trail:
        size += sys.getsizeof(step.outcome)
    return size + size_of(decision.permissions)


def own_room_of(decision: Decision) -> int:
    """Tell how many of them are not shared with other decisions by the same verdict."""
    texts = decision.common_name, decision.serial, decision.claimed, decision.token_id
    return sum(map(sys.getsizeof, texts))


def cut(name: str) -> str:
    """Shorten a name that somebody else chose to what is logged of it."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def fields_of(decision: Decision) -> dict[str, object]:
    """Tell what a log line says of a decision."""
    fields: dict[str, object] = {
        "cid": decision.connection_id,
        "remote": decision.address,
        "kind": decision.kind,
        "tls": decision.tls,
        "method": decision.method,
        "rule": decision.rule,
        "duration_us": round(decision.seconds * 1_000_000),
    }
    # A certificate need not have a common name. Its holder chose that, its authority the serial.
    if decision.common_name:
        fields["cn"] = cut(decision.common_name)
    if decision.serial:
        fields["serial"] = cut(decision.serial)
    if decision.fingerprint:
        fields["fingerprint"] = decision.fingerprint
    if decision.claimed:
        fields["claimed"] = decision.claimed
    if decision.token_id:
        fields["jti"] = cut(decision.token_id)
    if decision.issuer:
        fields["issuer"] = decision.issuer
        if decision.expires is not None:
            fields["expires"] = _in_utc(decision.expires)
    return fields


def _in_utc(moment: int) -> str:
    """Write a moment, Unix seconds; those of one day have most of it in common."""
    day, second = divmod(min(moment, LAST_MOMENT), _DAY)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{_date(day)}T{hour:02}:{minute:02}:{second:02}+00:00"


@functools.lru_cache(maxsize=512)
def _date(day: int) -> str:
    return dt.datetime.fromtimestamp(day * _DAY, dt.UTC).date().isoformat()
