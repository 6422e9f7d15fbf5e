"""Who may sign tokens: organization issuers, or trusted signers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from choria_broker.access.quoted import quoted
from choria_broker.security.keys import VerificationKey, key_id
from choria_broker.security.tokens import Fault, Rejection
from choria_broker.security.tokens_claims import ClaimError, Payload, stated_organization


class Organization(msgspec.Struct, frozen=True):
    """An organization issuer.

    Attributes:
        name: compared with ``ou``.
        key: its public key.
        account: account its clients and servers are placed in.
    """

    name: str
    key: Ed25519PublicKey
    account: str


class Signer(msgspec.Struct, frozen=True):
    """A trusted signer.

    Attributes:
        label: the entry as configured, a file or a public key.
        key: its public key.
    """

    label: str
    key: VerificationKey


class Unusable(msgspec.Struct, frozen=True):
    """An entry in a list of signers that gives no key; the others are tried all the same.

    Attributes:
        label: the entry as configured.
        reason: why there is no key.
    """

    label: str
    reason: str


SignerEntry = Signer | Unusable

_MOST_NAMED = 5
_SHOWN = 32


def organization_key(payload: Payload, issuers: Mapping[str, Organization]) -> tuple[VerificationKey, ...] | Rejection:
    """Choose the key a token must go back to on a network with organization issuers.

    Args:
        payload: claims of the token, not believed yet: naming an organization only says whose key must fit.
        issuers: the organizations by name.
    """
    try:
        name = stated_organization(payload)
    except ClaimError as error:
        return Rejection(Fault.CLAIMS, str(error))
    if not name:
        return Rejection(Fault.ORGANIZATION, "the token names no organization")
    issuer = issuers.get(name)
    if issuer is None:
        return Rejection(Fault.ORGANIZATION, f"organization {quoted(name)} is not one of this broker's issuers")
    return (issuer.key,)


def signer_keys(entries: Sequence[SignerEntry], purpose: str) -> tuple[VerificationKey, ...] | Rejection:
    """Collect the keys to try, in the order they are configured.

    Args:
        entries: the signers.
        purpose: what kind of token they sign, for the reason.
    """
    keys = tuple(entry.key for entry in entries if isinstance(entry, Signer))
    if keys:
        return keys
    return Rejection(Fault.NO_SIGNER, f"the broker has no signer for {purpose} tokens{unusable_note(entries)}")


def issuer_note(issuer: Organization) -> str:
    """Say by which key a token of an organization would have had to be signed, itself or through a chain."""
    name = f"plugin.security.issuer.{issuer.name}.public"
    return f" (the key of organization {quoted(issuer.name)} here is {_shown(issuer.key)}, {name})"


def trusted_note(entries: Iterable[SignerEntry]) -> str:
    """Say which keys are trusted and where they are from, empty when none is."""
    signers = [entry for entry in entries if isinstance(entry, Signer)]
    notes = [f"{_shown(entry.key)} of {entry.label}" for entry in signers[:_MOST_NAMED]]
    more = f" and {len(signers) - _MOST_NAMED} more" if len(signers) > _MOST_NAMED else ""
    return f" (trusted keys: {', '.join(notes)}{more})" if notes else ""


def unusable_note(entries: Iterable[SignerEntry]) -> str:
    """Say which entries gave no key and why, empty when all did."""
    notes = [f"{entry.label}: {entry.reason}" for entry in entries if isinstance(entry, Unusable)]
    return f" (not usable: {'; '.join(notes)})" if notes else ""


def _shown(key: VerificationKey) -> str:
    kind = "ed25519" if isinstance(key, Ed25519PublicKey) else "RSA SHA-256"
    return f"{kind} {key_id(key)[:_SHOWN]}"
