"""Signature checks that are left to somebody else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.security.conditions import Checks, Condition, Conditions
from choria_broker.security.keys import ed25519_verifies
from choria_broker.security.tokens import Envelope, Fault, Rejection, made_by, open_envelope, verify
from choria_broker.security.tokens_claims import ClientClaims, ProvisioningClaims
from support.minting import (
    CHAIN_ISSUER,
    NOW,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    STRANGER,
    chained,
    client,
    mint,
    provisioning,
    verifies,
)

OURS, THEIRS = ORGANIZATION.public_key(), OTHER_ORGANIZATION.public_key()


def opened(token: str) -> Envelope:
    envelope = open_envelope(token)
    assert isinstance(envelope, Envelope)
    return envelope


def test_a_check_is_noted_and_granted() -> None:
    conditions = Conditions()
    assert conditions.signed_by(OURS, b"s" * 64, b"message")
    assert conditions.noted == [Condition(OURS.public_bytes_raw(), b"s" * 64, b"message")]


def test_what_cannot_be_a_signature_is_none() -> None:
    conditions = Conditions()
    assert not conditions.signed_by(OURS, b"short", b"message")
    assert not conditions.noted


def test_without_another_way_all_is_answered() -> None:
    checks = Checks(ed25519_verifies)
    assert checks.alone is checks.answers is ed25519_verifies


@pytest.mark.parametrize("signer", [ORGANIZATION, STRANGER])
def test_the_signature_by_the_only_key_is_left_open(signer: Ed25519PrivateKey) -> None:
    conditions = Conditions()
    claims = verify(opened(mint(client(), signer)), ClientClaims, [OURS], NOW, ed25519_verifies, conditions.signed_by)
    assert isinstance(claims, ClientClaims)
    assert [verifies(each) for each in conditions.noted] == [signer is ORGANIZATION]


@pytest.mark.parametrize("order", [(OURS, THEIRS), (THEIRS, OURS)])
def test_of_several_keys_the_right_one_is_found(order: tuple[object, ...]) -> None:
    conditions = Conditions()
    keys = order
    envelope = opened(mint(client(), ORGANIZATION))
    claims = verify(envelope, ClientClaims, keys, NOW, ed25519_verifies, conditions.signed_by)  # type: ignore[arg-type]
    assert isinstance(claims, ClientClaims)
    assert not conditions.noted
    assert made_by(envelope, claims, keys) is OURS  # type: ignore[arg-type]
    forged = opened(mint(client(), STRANGER))
    refused = verify(forged, ClientClaims, keys, NOW, ed25519_verifies, conditions.signed_by)  # type: ignore[arg-type]
    assert isinstance(refused, Rejection)
    assert refused.fault is Fault.SIGNATURE


@pytest.mark.parametrize("keys", [(OURS,), (THEIRS, OURS)])
def test_a_chain_issuer_is_looked_at_and_what_it_signed_is_left_open(keys: tuple[object, ...]) -> None:
    conditions = Conditions()
    envelope = opened(mint(chained(client()), CHAIN_ISSUER))
    claims = verify(envelope, ClientClaims, keys, NOW, ed25519_verifies, conditions.signed_by)  # type: ignore[arg-type]
    assert isinstance(claims, ClientClaims)
    issuer = CHAIN_ISSUER.public_key().public_bytes_raw()
    assert [(each.key, verifies(each)) for each in conditions.noted] == [(issuer, True)] * 2
    assert made_by(envelope, claims, keys) is OURS  # type: ignore[arg-type]


def test_a_chain_issuer_that_nobody_vouches_for_is_refused_at_once() -> None:
    conditions = Conditions()
    envelope = opened(mint(chained(client()), CHAIN_ISSUER))
    refused = verify(envelope, ClientClaims, [THEIRS], NOW, ed25519_verifies, conditions.signed_by)
    assert isinstance(refused, Rejection)
    assert (refused.fault, conditions.noted) == (Fault.CHAIN, [])


def test_tokens_that_no_chain_issuer_can_make_go_back_to_the_key_that_signed() -> None:
    envelope = opened(mint({**provisioning(), "iss": "C-x.y"}, ORGANIZATION))
    claims = verify(envelope, ProvisioningClaims, [THEIRS, OURS], NOW)
    assert isinstance(claims, ProvisioningClaims)
    assert made_by(envelope, claims, [THEIRS, OURS]) is OURS
