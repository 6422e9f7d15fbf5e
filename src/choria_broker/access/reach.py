"""How far a verdict reaches: for which other connections, and how long, the engine may use it without asking again.

A decision depends on the policy, on the time, and on what it reads of the question. A new policy makes the engine
forget everything. So a verdict is that of every connection which agrees in what was read, until time could change it.
"""

from __future__ import annotations

from choria_broker.access.policy import Policy
from choria_broker.access.reading import Watched
from choria_broker.access.request import ConnectionKind
from choria_broker.access.verdict import Reach, Verdict
from choria_broker.settings.revocation import CrlExpired

LONGEST = 300.0
"""Seconds that a verdict reaches at most."""

_SHORTEST = 1.0
_METHODS = frozenset({"token", "mtls", "unverified"})
"""Nobody else's: not the broker's own, not of logins with passwords, not of nodes that wait for provisioning."""

SENT = frozenset({"user", "password", "token", "token_unread", "jwt", "nkey", "signature"})
"""What a client may send to be known by."""

OF_CLASS = frozenset({"kind", "tls"}) | SENT
"""In which all connections of a class agree."""

_OF_CONNECTION = OF_CLASS | {"address", "certificate"}
_PROVEN = frozenset({"nonce", "signature"})


def reach_of(request: Watched, verdict: Verdict, proof: bytes, policy: Policy, now: float) -> Reach | None:
    """Say how far a verdict reaches, None when it is for its own connection alone.

    Args:
        request: the question, with what was read of it.
        verdict: the verdict.
        proof: key with which the peer has to have signed its nonce, where the engine looks at that; else empty.
        policy: by which it was made.
        now: when, Unix seconds.
    """
    asked, read = request._asked, request.read  # noqa: SLF001 - reading it here decides nothing
    if not verdict.allowed or verdict.method not in _METHODS or asked.kind is ConnectionKind.IN_PROCESS:
        return None
    until = _until(verdict, policy, now)
    if until < now + _SHORTEST:
        return None
    if proof:
        # Whoever has that key signs each nonce anew, and the engine looks at that each time.
        read -= _PROVEN
    elif "nonce" in read or ("signature" in read and asked.signature):
        return None
    if not read <= _OF_CONNECTION:
        return None
    of_class = not proof and read <= OF_CLASS and not any(getattr(asked, name) for name in SENT)
    return Reach(until=int(until * 1000), of_class=of_class)


def _until(verdict: Verdict, policy: Policy, now: float) -> float:
    """Return the first moment at which time alone could change the verdict, Unix seconds."""
    ends = [now + LONGEST]
    if verdict.holder is not None and verdict.holder.expires is not None:
        ends.append(verdict.holder.expires)
    revocation = policy.revocations.revocation
    if revocation.expired is CrlExpired.REFUSE:
        ends += [
            each.next_update for each in revocation.crls if each.next_update is not None and each.next_update > now
        ]
    return min(ends)
