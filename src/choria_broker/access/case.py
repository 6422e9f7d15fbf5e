"""One decision in progress: the question, the policy, the moment, and what has been found out so far."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from choria_broker.access import trust
from choria_broker.access.policy import Policy
from choria_broker.access.quoted import quoted
from choria_broker.access.request import ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.rule_path import RulePath
from choria_broker.access.rules import ORGANIZATION_APART, RULES, TOKEN_KIND, TOKEN_NONCE
from choria_broker.access.verdict import Verdict
from choria_broker.security.conditions import Conditions
from choria_broker.security.keys import SignatureCheck, VerificationKey, key_id
from choria_broker.security.nonce import REMEDIES, proof_fault
from choria_broker.security.tokens import (
    BY_NO_TRUSTED_KEY,
    Envelope,
    Fault,
    Rejection,
    made_by,
    open_envelope,
    verify,
)
from choria_broker.security.tokens_claims import Claims, stated_holder
from choria_broker.settings.accounts import CHORIA_ACCOUNT
from choria_broker.values import replace

_C = TypeVar("_C", bound=Claims)

BY_TOKEN = "token"  # noqa: S105 - a word
"""How clients and servers with tokens are recognised."""

_UNREAD = Rejection(Fault.MALFORMED, "this kind of connection cannot use a token")


class Case(msgspec.Struct):
    """A decision in progress.

    Attributes:
        request: the question.
        policy: what the broker was told.
        now: Unix seconds.
        trail: the rules looked at so far.
        conditions: takes the checks of signatures that may be left open, None where none may.
        keys: with which the token was verified last.
        claims: of the token that is believed of this peer, None while none is.
        proof: key with which the peer has to have signed the nonce, when that is left open.
    """

    request: ConnectRequest
    policy: Policy
    now: float
    trail: RulePath
    conditions: Conditions | None = None
    keys: Sequence[VerificationKey] = ()
    claims: Claims | None = None
    proof: bytes = b""
    _opened: Envelope | Rejection | None = None

    @property
    def in_process(self) -> bool:
        """True for the broker's own connections."""
        return self.request.kind is ConnectionKind.IN_PROCESS

    @property
    def encrypted(self) -> bool:
        """True when the peer is known to have connected with TLS."""
        return self.request.tls in (TlsState.ANON, TlsState.MTLS)

    @property
    def mtls(self) -> bool:
        """True when the peer presented a certificate the broker verified."""
        return self.request.tls is TlsState.MTLS and not self.in_process

    @property
    def inside_client_hosts(self) -> bool:
        """Whether the address may make requests of the fleet; without a list it is not looked at."""
        allowed = self.policy.client_hosts
        return not allowed or allowed.contain(self.request.address)

    @property
    def reads_tokens(self) -> bool:
        """Whether this kind of connection can be known by a token; nothing of any other is looked at."""
        return self.request.kind in (ConnectionKind.CLIENT, ConnectionKind.IN_PROCESS)

    @property
    def envelope(self) -> Envelope | Rejection:
        """The token, taken apart once."""
        if self._opened is None:
            self._opened = open_envelope(self.request.token) if self.reads_tokens else _UNREAD
        return self._opened

    def verified(
        self, kind: type[_C], signers: Sequence[trust.SignerEntry], alone: SignatureCheck | None = None
    ) -> _C | Rejection:
        """Find out whether the token is a valid one of a kind.

        Args:
            kind: the kind of token.
            signers: who signs such tokens on a network without organization issuers.
            alone: checks signatures on which alone it hangs; see ``tokens.verify``.
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
        self.keys = keys
        claims = verify(envelope, kind, keys, self.now, self.policy.signed_by, alone)
        if isinstance(claims, Rejection) and claims.reason.endswith(BY_NO_TRUSTED_KEY):
            issuer = self.policy.issuers.get(str(envelope.payload.get("ou")))
            note = trust.issuer_note(issuer) if issuer else trust.trusted_note(signers) + trust.unusable_note(signers)
            return replace(claims, reason=claims.reason + note)
        return claims

    @property
    def signer(self) -> str:
        """Name the key that the believed token goes back to, empty when none is believed."""
        if self.claims is None or isinstance(self.envelope, Rejection):
            return ""
        key = made_by(self.envelope, self.claims, self.keys, self.policy.signed_by)
        return "" if key is None else key_id(key)

    def proven(self, kind: type[_C], signers: Sequence[trust.SignerEntry], method: str) -> _C | Verdict:
        """Find out whether the token is valid and whether the peer holds the key that belongs to it.

        Args:
            kind: the kind of token.
            signers: who signs such tokens on a network without organization issuers.
            method: how the connection tries to be recognised, for a refusal.

        Returns:
            The claims, to be believed of this peer, or a refusal.
        """
        if not self.reads_tokens:
            return self.refuse_kind(method)
        # Logins with a password are decided here to the end, so that nothing about the password shows before the token.
        left_open = self.conditions.signed_by if self.conditions is not None and method == BY_TOKEN else None
        claims = self.verified(kind, signers, left_open)
        if isinstance(claims, Rejection):
            return self.refuse_token(claims, method)
        fault = self.holder_fault(claims.public_key) if left_open is None else self._unheld(claims.public_key)
        if fault is not None:
            return self.trail.refuse(TOKEN_NONCE, self._of_holder(fault), method=method, remedy=REMEDIES.get(fault, ""))
        self.claims = claims
        return claims

    def holder_fault(self, public_key: str) -> str | None:
        """Say what speaks against the peer holding the private key of its token, None when it proved that it does.

        Args:
            public_key: ed25519 key of the token holder, as the token states it.
        """
        return proof_fault(public_key, self.request.nonce, self.request.signature)

    def _unheld(self, public_key: str) -> str | None:
        """Say as much of that as shows without the check of the signature, and keep the key for it as ``proof``."""
        fault = proof_fault(public_key, self.request.nonce, self.request.signature, left_open=True)
        if fault is None:
            self.proof = bytes.fromhex(public_key)
        return fault

    def refuse_kind(self, method: str) -> Verdict:
        """Refuse the connection for presenting a token at all."""
        return self.trail.refuse(TOKEN_KIND, f"a {self.request.kind} presented a token", method=method)

    def refuse_token(self, rejection: Rejection, method: str) -> Verdict:
        """Refuse the connection for what is wrong with its token, naming whom the token claims to be for."""
        return self.trail.refuse(RULES[rejection.fault], self._of_holder(rejection.reason), method=method)

    def account_of(self, claims: Claims) -> str:
        """Name the account the clients and servers of a token's organization are placed in."""
        issuer = self.policy.issuers.get(claims.organization)
        return CHORIA_ACCOUNT if issuer is None else issuer.account

    def refuse_apart(self, claims: Claims, method: str) -> Verdict | None:
        """Refuse a login to an account that organizations share, when the token's one has an account of its own.

        Args:
            claims: the verified claims.
            method: how the connection tries to be recognised, for a refusal.

        Returns:
            The refusal, None for organizations whose account is ``choria``, and where there are none.
        """
        return self._refuse_organization(claims.organization, method)

    def refuse_apart_as_stated(self, method: str) -> Verdict | None:
        """Refuse as :meth:`refuse_apart` does, by what a token states that nobody has to verify because it only harms.

        Args:
            method: how the connection tries to be recognised, for a refusal.
        """
        stated = None if isinstance(self.envelope, Rejection) else self.envelope.payload.get("ou")
        return self._refuse_organization(stated, method) if isinstance(stated, str) else None

    def _refuse_organization(self, name: str, method: str) -> Verdict | None:
        issuer = self.policy.issuers.get(name)
        if issuer is None or issuer.account == CHORIA_ACCOUNT:
            return None
        reason = f"organization {quoted(name)} has its own account {quoted(issuer.account)}"
        return self.trail.refuse(ORGANIZATION_APART, reason, method=method)

    def _of_holder(self, reason: str) -> str:
        holder = "" if isinstance(self.envelope, Rejection) else stated_holder(self.envelope.payload)
        return f"token of {quoted(holder)}: {reason}" if holder else reason


def same_secret(given: str, expected: str) -> bool:
    """Compare two secrets in a time that tells nothing about where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))
