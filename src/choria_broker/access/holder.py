"""From a decision to whose the connection is."""

from __future__ import annotations

from choria_broker.access.request import ConnectRequest, TlsState
from choria_broker.access.session import LAST_MOMENT, Holder
from choria_broker.security.chain import CHAIN_PREFIX
from choria_broker.security.tokens_claims import Claims, ClientClaims, ServerClaims


def holder_of(request: ConnectRequest, claims: Claims | None, *, method: str, rule: str, signer: str = "") -> Holder:
    """Say whose a connection is that is let in.

    Args:
        request: the question.
        claims: of the token that was read and verified, None when none was.
        method: how the connection was recognised.
        rule: that lets it in.
        signer: key that the token goes back to.
    """
    certificate = request.certificate if request.tls is TlsState.MTLS else None
    ends = None if certificate is None else certificate.not_after or None
    if claims is None:
        identity = "" if certificate is None else certificate.common_name
        return Holder(identity=identity, method=method, rule=rule, certificate=certificate, expires=ends)
    chain = _chain(claims)
    ends = _sooner(ends, claims.expires)
    if chain:
        ends = _sooner(ends, claims.issuer_expires)
    return Holder(
        identity=claims.identity if isinstance(claims, ServerClaims) else "",
        caller=claims.caller if isinstance(claims, ClientClaims) else "",
        method=method,
        rule=rule,
        organization=claims.organization,
        signer=signer,
        token_id=claims.token_id,
        key=claims.public_key.lower(),
        chain=chain,
        certificate=certificate,
        expires=ends,
    )


def _chain(claims: Claims) -> tuple[tuple[str, str], ...]:
    """Read the chain issuer out of verified claims; there is one at most."""
    if not (claims.CHAINED and claims.issuer.startswith(CHAIN_PREFIX)):
        return ()
    token_id, _, key = claims.issuer.removeprefix(CHAIN_PREFIX).partition(".")
    return ((key.lower(), token_id),)


def _sooner(end: int | None, other: int | None) -> int | None:
    """Return the first of two ends; None stands for never. A token may name a moment that no calendar has."""
    if other is None:
        return end
    return min(other, LAST_MOMENT if end is None else end)
