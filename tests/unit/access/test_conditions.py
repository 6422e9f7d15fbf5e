"""Decisions that leave signatures open: with what comes of those, they are the decisions that check everything."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from choria_broker.access.decision import decide, decide_for_engine
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import Verdict
from choria_broker.access.ways import Ways
from choria_broker.security.keys import ed25519_verifies
from choria_broker.security.nonce import proof_fault
from choria_broker.security.signature_memory import SignatureMemory
from choria_broker.values import replace
from support.fuzzing import examples
from support.minting import CHAIN_ISSUER, HOLDER, NOW, RSA, STRANGER, chained, client, provisioning, server, verifies
from support.policy_cases import (
    ANON,
    ISSUERS,
    REVOKED,
    ROWS,
    SIGNED,
    SYSTEM,
    UNVERIFIED,
    ask,
    flags,
    policy,
    presenting,
    provisioned,
    with_system,
)
from support.vector_cases import CASES, VectorCase
from support.vector_cases import NOW as VECTOR_NOW

STANDARD = Ways()


def met(verdict: Verdict, request: ConnectRequest) -> bool:
    """Tell whether all holds that a verdict left open, as the engine does."""
    proven = not verdict.proof or proof_fault(verdict.proof.hex(), request.nonce, request.signature) is None
    return proven and all(map(verifies, verdict.conditions))


def carried_out(request: ConnectRequest, rules: Policy, now: float, taken: Ways) -> Verdict:
    """Return what comes of a question that the engine puts, and once more where conditions do not hold."""
    verdict = decide_for_engine(request, rules, now, taken)
    if not taken.conditions:
        assert verdict.is_final
    if not taken.memory:
        assert verdict.reach is None
    if not met(verdict, request):
        return decide(request, rules, now)
    return structs.replace(verdict, conditions=(), proof=b"", reach=None)


def check(request: ConnectRequest, rules: Policy, now: float, taken: Ways = STANDARD) -> None:
    assert carried_out(request, rules, now, taken) == decide(request, rules, now)


@pytest.mark.parametrize(
    "taken", [Ways(conditions=one, memory=other) for one in (True, False) for other in (True, False)], ids=str
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_all_ways_agree_on_the_vectors(case: VectorCase, taken: Ways) -> None:
    check(case.request, case.policy, VECTOR_NOW, taken)


@pytest.mark.parametrize(("rules", "request_"), [row[:2] for row in [*ROWS, *UNVERIFIED, *REVOKED]])
def test_both_ways_agree_on_the_rules(rules: Policy, request_: ConnectRequest) -> None:
    check(request_, rules, NOW)


CLAIMS = st.sampled_from(
    [client(), server(), provisioning(), client(exp=NOW - 1), server(identity="*"), flags("org_admin")]
)
SIGNERS: Any = st.sampled_from(["right", STRANGER, CHAIN_ISSUER, RSA, HOLDER])
BASES = st.sampled_from(
    [
        ISSUERS,
        SIGNED,
        provisioned(ISSUERS),
        provisioned(SIGNED),
        with_system(ISSUERS),
        policy(ISSUERS, unverified_account="EDGE"),
    ]
)


@st.composite
def presented(draw: st.DrawFn) -> tuple[ConnectRequest, Policy]:
    """Present a token to a policy, of which some things may be wrong at once."""
    claims, signer, rules = draw(CLAIMS), draw(SIGNERS), draw(BASES)
    if draw(st.booleans()):
        claims = chained(claims)
        signer = CHAIN_ISSUER if signer == "right" else signer
    extra = draw(
        st.sampled_from([{}, SYSTEM, {"user": "provisioner", "password": "x"}, {"signature": ""}, {"nonce": ""}])
    )
    changes = dict(extra)
    if draw(st.booleans()):
        changes["signature"] = base64.urlsafe_b64encode(draw(st.binary(min_size=64, max_size=64))).rstrip(b"=").decode()
    request = presenting(ANON, claims, *(() if signer == "right" else (signer,)), **changes)
    if draw(st.booleans()):
        token, place = request.token, draw(st.integers(0, len(request.token) - 1))
        request = replace(request, token=token[:place] + draw(st.sampled_from("Ax._")) + token[place + 1 :])
    memory = SignatureMemory(lambda: 0.0)
    return request, replace(rules, signed_by=memory.signed_by)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(presented())
def test_both_ways_agree_on_anything(case: tuple[ConnectRequest, Policy]) -> None:
    request, rules = case
    check(request, rules, NOW)
    verdict = decide_for_engine(request, rules, NOW, Ways())
    if not verdict.allowed:
        assert verdict.is_final
        assert verdict == decide(request, rules, NOW)


@pytest.mark.parametrize("claims", [client(), server(), flags("org_admin")])
def test_a_token_costs_no_check_of_the_broker(claims: dict[str, Any]) -> None:
    def never(*_: object) -> bool:
        raise AssertionError("checked")

    rules = policy(ISSUERS, signed_by=never)
    verdict = decide_for_engine(presenting(ANON, claims), rules, NOW, Ways())
    assert verdict.allowed
    assert verdict.proof == HOLDER.public_key().public_bytes_raw()
    assert len(verdict.conditions) == 1


def test_the_voucher_of_a_chain_issuer_is_looked_at_once() -> None:
    asked: list[bytes] = []

    def counting(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
        asked.append(message)
        return ed25519_verifies(key, signature, message)

    memory = SignatureMemory(lambda: 0.0, check=counting)
    rules = policy(ISSUERS, signed_by=memory.signed_by)
    for _ in range(3):
        verdict = decide_for_engine(
            presenting(ANON, {**chained(client()), "ou": "choria"}, CHAIN_ISSUER), rules, NOW, Ways()
        )
        assert (verdict.allowed, len(verdict.conditions)) == (True, 2)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("request_", "rules"),
    [
        (presenting(ANON, flags("system_user"), STRANGER, **SYSTEM), with_system(ISSUERS)),
        (presenting(ANON, flags("system_user"), **SYSTEM, signature="A" * 86), with_system(ISSUERS)),
        (presenting(ANON, flags("system_user"), STRANGER, user="sys", password="wrong"), with_system(ISSUERS)),
        (presenting(ANON, provisioning(), STRANGER), provisioned(ISSUERS)),
    ],
)
def test_logins_with_passwords_and_nodes_without_keys_leave_nothing_open(
    request_: ConnectRequest, rules: Policy
) -> None:
    verdict = decide_for_engine(request_, rules, NOW, Ways())
    assert not verdict.allowed
    assert verdict.is_final


def test_a_token_of_which_more_is_wrong_is_refused_for_what_comes_first() -> None:
    # Its signature is no good, and with that taken for granted it would be its time.
    request = presenting(ANON, client(exp=NOW - 1), STRANGER)
    assert decide_for_engine(request, ISSUERS, NOW, Ways()).rule == "token-signature"


def test_what_was_asked_for_on_another_way_counts_too() -> None:
    # As a client it would be let in but for the proof; what lets it in is that it may wait for provisioning.
    both = {**provisioning(), "purpose": "choria_client_id", "sub": "choria_provisioning", "callerid": "up=x"}
    request = ask(presenting(ANON, both), signature="")
    check(request, provisioned(ISSUERS), NOW)
