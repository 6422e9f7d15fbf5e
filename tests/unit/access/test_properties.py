"""What holds for every decision, whatever is asked."""

from __future__ import annotations

import builtins
import io
import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choria_broker.access.decision import decide
from choria_broker.access.policy import Policy
from choria_broker.access.request import Certificate, ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.rules import RULES
from choria_broker.access.subjects import is_subject, is_subscription
from choria_broker.access.verdict import Verdict
from choria_broker.settings.network import SystemUser
from choria_broker.settings.secret import Secret
from choria_broker.values import replace
from support.fuzzing import examples
from support.minting import CHAIN_ISSUER, ORGANIZATION, RSA, STRANGER, chained, client, mint, provisioning, server
from support.vector_cases import ACCEPTED, CASES, NOW, VectorCase

BOUNDED = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.one_of(
    st.just(""),
    st.text(alphabet=st.characters(), max_size=12),
    st.sampled_from(["provisioner", "system", "provpass", "syspass", "\ud800", "a\x00b", "192.0.2.10", "::1", "[::1]"]),
)
VECTOR_TOKENS = st.sampled_from([case.request.token for case in CASES if case.request.token])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
NAMES = st.sampled_from([*client(permissions={}, pub_subjects=[]), *server(), *provisioning(), "tcs", "issexp", "aud"])


@st.composite
def minted(draw: st.DrawFn) -> str:
    """Sign claims of which some are anything at all."""
    claims: dict[str, Any] = dict(draw(st.sampled_from([client(), server(), provisioning(), chained(client())])))
    claims.update(draw(st.dictionaries(NAMES, JSON, max_size=3)))
    header = {"alg": draw(st.sampled_from(["EdDSA", "RS256", "none", "HS256"]))} | draw(
        st.dictionaries(st.text(max_size=4), JSON, max_size=1)
    )
    key: Any = draw(st.sampled_from([ORGANIZATION, STRANGER, CHAIN_ISSUER, RSA]))
    return mint(claims, key, header)


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """Cut, repeat and swap parts of a real token."""
    token = draw(VECTOR_TOKENS)
    start = draw(st.integers(0, len(token)))
    end = draw(st.integers(start, len(token)))
    return token[:start] + draw(st.text(max_size=4)) + token[end:]


TOKENS = st.one_of(TEXT, VECTOR_TOKENS, mangled(), minted(), st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
REQUESTS = st.builds(
    ConnectRequest,
    kind=st.sampled_from(ConnectionKind),
    tls=st.sampled_from(TlsState),
    address=st.one_of(TEXT, st.ip_addresses().map(str)),
    nonce=st.sampled_from(["", "Zm9vYmFyYmF6cXV", "\ud800"]),
    user=TEXT,
    password=TEXT,
    token=TOKENS,
    signature=st.one_of(TEXT, st.sampled_from([case.request.signature for case in CASES])),
    jwt=TEXT,
    nkey=TEXT,
    certificate=st.sampled_from([None, Certificate("x")]),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Mix the policies of the vectors."""
    one, two, three = (draw(st.sampled_from(CASES)).policy for _ in range(3))
    return replace(
        one,
        is_tls=draw(st.booleans()),
        client_signers=two.client_signers,
        server_signers=three.server_signers,
        provisioning_signer=two.provisioning_signer,
        provisioner_password=draw(st.sampled_from([None, Secret(""), Secret("provpass"), Secret("\ud800")])),
        system_user=draw(
            st.sampled_from(
                [
                    None,
                    SystemUser(user="system", password=Secret("")),
                    SystemUser(user="system", password=Secret("syspass")),
                ]
            )
        ),
        choria_ca=draw(st.booleans()),
        client_hosts=three.client_hosts,
        deny_server_connections=draw(st.booleans()),
        unverified_account=draw(st.sampled_from(["", "EDGE", "$G"])),
        accounts=one.accounts | draw(st.sampled_from([frozenset(), frozenset({"EDGE"}), frozenset({"provisioning"})])),
        provisioner_without_token=draw(st.booleans()),
    )


def check(verdict: Verdict, policy: Policy) -> None:
    """Check what must hold for every verdict."""
    rule = RULES[verdict.rule]
    assert rule.name != "internal-error", verdict
    assert rule.accepts is verdict.allowed
    assert verdict.trail[-1].rule == rule.name
    assert verdict.reason.endswith(".")
    verdict.reason.encode()
    verdict.username.encode()
    if not verdict.allowed:
        assert (verdict.account, verdict.username, verdict.permissions) == ("", "", None)
        return
    assert verdict.account in policy.accounts
    if verdict.permissions is not None:
        for side, valid in (
            (verdict.permissions.publish, is_subject),
            (verdict.permissions.subscribe, is_subscription),
        ):
            assert side.allow != ()
            assert all(map(valid, side.allow or ()))
            assert all(map(is_subject, side.deny))


@BOUNDED
@given(REQUESTS, policies(), st.floats())
def test_any_question_gets_a_verdict(request: ConnectRequest, policy: Policy, now: float) -> None:
    verdict = decide(request, policy, now)

    check(verdict, policy)
    assert decide(request, policy, now) == verdict


@BOUNDED
@given(minted(), st.sampled_from(TlsState), policies())
def test_any_signed_claims_get_a_verdict(token: str, tls: TlsState, policy: Policy) -> None:
    request = ConnectRequest(
        kind=ConnectionKind.CLIENT, tls=tls, address="192.0.2.10", token=token, nonce="Zm9vYmFyYmF6cXV"
    )

    check(decide(request, policy, NOW), policy)


WITH_TOKEN = [case for case in ACCEPTED if case.request.token]


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(WITH_TOKEN), st.integers(0, 10_000), st.integers(0, 7))
def test_any_changed_bit_of_a_token_refuses(case: VectorCase, position: int, bit: int) -> None:
    check_flip(case, position % len(case.request.token), bit)


@pytest.mark.parametrize("case", WITH_TOKEN, ids=lambda case: case.name)
def test_any_changed_bit_at_the_ends_of_the_parts_refuses(case: VectorCase) -> None:
    # Left-over bits of base64 are where lenient decoders see no change.
    token = case.request.token
    ends = [position - 1 for position, character in enumerate(token) if character == "."] + [len(token) - 1]
    for position in ends:
        for bit in range(8):
            check_flip(case, position, bit)


def check_flip(case: VectorCase, position: int, bit: int) -> None:
    """Change one bit and expect a refusal."""
    token = case.request.token
    changed = token[:position] + chr(ord(token[position]) ^ 1 << bit) + token[position + 1 :]
    verdict = decide(replace(case.request, token=changed), case.policy, NOW)

    check(verdict, case.policy)
    assert not verdict.allowed, (position, bit)


@settings(max_examples=examples(150), deadline=None)
@given(st.sampled_from([case for case in ACCEPTED if case.request.signature]), st.integers(0, 85), st.integers(0, 7))
def test_any_changed_bit_of_the_proof_refuses(case: VectorCase, position: int, bit: int) -> None:
    proof = case.request.signature
    changed = proof[:position] + chr(ord(proof[position]) ^ 1 << bit) + proof[position + 1 :]

    assert not decide(replace(case.request, signature=changed), case.policy, NOW).allowed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_order_of_issuers_does_not_matter(case: VectorCase) -> None:
    others = {name: case.policy.issuers[name] for name in reversed(list(case.policy.issuers))}
    turned = replace(case.policy, issuers=others)

    assert decide(case.request, turned, NOW) == decide(case.request, case.policy, NOW)


def test_the_time_zone_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    here = [decide(case.request, case.policy, NOW) for case in CASES]
    try:
        monkeypatch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        there = [decide(case.request, case.policy, NOW) for case in CASES]
    finally:
        monkeypatch.undo()
        time.tzset()

    assert here == there


def test_decisions_read_neither_clock_nor_files(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [decide(case.request, case.policy, NOW) for case in CASES]

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a decision looked at the world")

    with monkeypatch.context() as patched:
        for module, name in [
            (builtins, "open"),
            (io, "open"),
            (os, "open"),
            (os, "stat"),
            (time, "time"),
            (time, "time_ns"),
            (time, "monotonic"),
        ]:
            patched.setattr(module, name, forbidden)
        after = [decide(case.request, case.policy, NOW) for case in CASES]

    assert after == before
    assert not any(verdict.rule == "internal-error" for verdict in after)
