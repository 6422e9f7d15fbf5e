"""Who may sign tokens: organization issuers, or trusted signers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from choria_broker.access.shown import shown
from choria_broker.security.keys import VerificationKey
from choria_broker.security.tokens import Fault, Rejection
from choria_broker.security.tokens_claims import ClaimError, Payload, stated_organization


@dataclasses.dataclass(frozen=True, slots=True)
class Organization:
    """An organization issuer.

    Attributes:
        name: compared with ``ou``.
        key: its public key.
        account: account its clients and servers are placed in.
    """

    name: str
    key: Ed25519PublicKey
    account: str


@dataclasses.dataclass(frozen=True, slots=True)
class Signer:
    """A trusted signer.

    Attributes:
        label: the entry as configured, a file or a public key.
        key: its public key.
    """

    label: str
    key: VerificationKey


@dataclasses.dataclass(frozen=True, slots=True)
class Unusable:
    """An entry in a list of signers that gives no key; the others are tried all the same.

    Attributes:
        label: the entry as configured.
        reason: why there is no key.
    """

    label: str
    reason: str


SignerEntry = Signer | Unusable


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
        return Rejection(Fault.ORGANIZATION, f"organization {shown(name)} is not one of the broker's issuers")
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
    return Rejection(Fault.NO_SIGNER, f"the broker has no signer of {purpose} tokens{unusable_note(entries)}")


def unusable_note(entries: Iterable[SignerEntry]) -> str:
    """Say which entries gave no key and why, empty when all did."""
    notes = [f"{entry.label}: {entry.reason}" for entry in entries if isinstance(entry, Unusable)]
    return f" (not usable: {'; '.join(notes)})" if notes else ""
