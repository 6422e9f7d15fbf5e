"""One decision in progress: the question, the policy, the moment, and what has been found out so far."""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from choria_broker.access import trust
from choria_broker.access.request import ConnectRequest, Kind, TlsState
from choria_broker.access.rules import RULES, TOKEN_KIND, TOKEN_NONCE
from choria_broker.access.shown import shown
from choria_broker.access.trail import Trail
from choria_broker.access.verdict import CHORIA_ACCOUNT, Verdict
from choria_broker.security.nonce import proof_fault
from choria_broker.security.tokens import Envelope, Fault, Rejection, open_envelope, verify
from choria_broker.security.tokens_claims import Claims, stated_holder

if TYPE_CHECKING:
    from choria_broker.access.policy import Policy  # the policy decides by making a case

_C = TypeVar("_C", bound=Claims)


@dataclasses.dataclass(slots=True)
class Case:
    """A decision in progress.

    Attributes:
        request: the question.
        policy: what the broker was told.
        now: Unix seconds.
        trail: the rules looked at so far.
    """

    request: ConnectRequest
    policy: Policy
    now: float
    trail: Trail
    _opened: Envelope | Rejection | None = None

    @property
    def in_process(self) -> bool:
        """True for the broker's own connections."""
        return self.request.kind is Kind.IN_PROCESS

    @property
    def encrypted(self) -> bool:
        """True when the peer is known to have connected with TLS."""
        return self.request.tls in (TlsState.ANON, TlsState.MTLS)

    @property
    def mtls(self) -> bool:
        """True when the peer presented a certificate the broker verified."""
        return self.request.tls is TlsState.MTLS and not self.in_process

    @property
    def envelope(self) -> Envelope | Rejection:
        """The token, taken apart once."""
        if self._opened is None:
            self._opened = open_envelope(self.request.token)
        return self._opened

    def verified(self, kind: type[_C], signers: Sequence[trust.SignerEntry]) -> _C | Rejection:
        """Find out whether the token is a valid one of a kind.

        Args:
            kind: the kind of token.
            signers: who signs such tokens on a network without organization issuers.
        """
        envelope = self.envelope
        if isinstance(envelope, Rejection):
            return envelope
        if self.policy.issuers:
            keys = trust.organization_key(envelope.payload, self.policy.issuers)
        else:
            keys = trust.signer_keys(signers, kind.PURPOSE)
        if isinstance(keys, Rejection):
            return keys
        claims = verify(envelope, kind, keys, self.now, self.policy.signed_by)
        if isinstance(claims, Rejection) and claims.fault is Fault.SIGNATURE and not self.policy.issuers:
            return dataclasses.replace(claims, reason=claims.reason + trust.unusable_note(signers))
        return claims

    def proven(self, kind: type[_C], signers: Sequence[trust.SignerEntry], method: str) -> _C | Verdict:
        """Find out whether the token is valid and whether the peer holds the key that belongs to it.

        Args:
            kind: the kind of token.
            signers: who signs such tokens on a network without organization issuers.
            method: how the connection tries to be recognised, for a refusal.

        Returns:
            The claims, to be believed of this peer, or a refusal.
        """
        if self.request.kind not in (Kind.CLIENT, Kind.IN_PROCESS):
            return self.trail.refuse(TOKEN_KIND, f"a {self.request.kind} presented a token", method=method)
        claims = self.verified(kind, signers)
        if isinstance(claims, Rejection):
            return self.refuse_token(claims, method)
        fault = self.holder_fault(claims.public_key)
        if fault is not None:
            return self.trail.refuse(TOKEN_NONCE, self._of_holder(fault), method=method)
        return claims

    def holder_fault(self, public_key: str) -> str | None:
        """Say what speaks against the peer holding the private key of its token, None when it proved that it does.

        Args:
            public_key: ed25519 key of the token holder, as the token states it.
        """
        return proof_fault(public_key, self.request.nonce, self.request.signature)

    def refuse_token(self, rejection: Rejection, method: str) -> Verdict:
        """Refuse the connection for what is wrong with its token, naming whom the token claims to be for."""
        return self.trail.refuse(RULES[rejection.fault], self._of_holder(rejection.reason), method=method)

    def account_of(self, claims: Claims) -> str:
        """Name the account the clients and servers of a token's organization are placed in."""
        issuer = self.policy.issuers.get(claims.organization)
        return CHORIA_ACCOUNT if issuer is None else issuer.account

    def _of_holder(self, reason: str) -> str:
        holder = "" if isinstance(self.envelope, Rejection) else stated_holder(self.envelope.payload)
        return f"token presented as {shown(holder)}: {reason}" if holder else reason


def same_secret(given: str, expected: str) -> bool:
    """Compare two secrets in a time that tells nothing about where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))
