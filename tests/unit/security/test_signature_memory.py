from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.decision import decide
from choria_broker.security.keys import ed25519_verifies
from choria_broker.security.signature_memory import SignatureMemory
from choria_broker.values import replace
from support.minting import CHAIN_ISSUER, HOLDER, ORGANIZATION, STRANGER, chained, client, mint, proof
from support.policy_cases import ANON, ISSUERS, presenting
from support.vector_cases import CASES, NOW, VectorCase

KEY = ORGANIZATION.public_key()
MESSAGES = [bytes([number]) * 10 for number in range(8)]
SIGNATURES = [ORGANIZATION.sign(message) for message in MESSAGES]


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """Checks signatures and writes down which messages they were over."""

    def __init__(self) -> None:
        """Start with nothing written down."""
        self.messages: list[bytes] = []

    def __call__(self, key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
        self.messages.append(message)
        return ed25519_verifies(key, signature, message)


@dataclasses.dataclass
class Parts:
    clock: Clock
    check: Counted
    memory: SignatureMemory

    def good(self, number: int) -> bool:
        return self.memory.signed_by(KEY, SIGNATURES[number], MESSAGES[number])


def made(size: int = 3, seconds: float = 300.0) -> Parts:
    clock, check = Clock(), Counted()
    return Parts(clock, check, SignatureMemory(clock, size=size, seconds=seconds, check=check))


def test_a_signature_that_holds_is_checked_once() -> None:
    parts = made()
    assert all(parts.good(0) for _ in range(5))
    assert parts.check.messages == [MESSAGES[0]]


def test_a_signature_that_does_not_hold_is_checked_each_time_and_takes_no_room() -> None:
    parts = made()
    for _ in range(3):
        assert not parts.memory.signed_by(KEY, SIGNATURES[1], MESSAGES[0])
    assert len(parts.check.messages) == 3
    assert len(parts.memory) == 0


@pytest.mark.parametrize(
    ("key", "signature", "message"),
    [
        (STRANGER.public_key(), SIGNATURES[0], MESSAGES[0]),
        (KEY, SIGNATURES[1], MESSAGES[0]),
        (KEY, SIGNATURES[0], MESSAGES[1]),
        (KEY, SIGNATURES[0], MESSAGES[0] + b"x"),
        (KEY, SIGNATURES[0], b""),
        (KEY, SIGNATURES[0][:-1], MESSAGES[0] + SIGNATURES[0][-1:]),
        (KEY, SIGNATURES[0][1:], MESSAGES[0] + SIGNATURES[0][:1]),
        (KEY, MESSAGES[0] + SIGNATURES[0], b""),
        (KEY, b"", MESSAGES[0] + SIGNATURES[0]),
    ],
)
def test_what_differs_anywhere_is_not_remembered(key: Ed25519PublicKey, signature: bytes, message: bytes) -> None:
    parts = made()
    assert parts.good(0)
    assert not parts.memory.signed_by(key, signature, message)


def test_it_forgets_at_its_time_and_use_does_not_put_that_off() -> None:
    parts = made(seconds=300.0)
    parts.good(0)
    for parts.clock.now in (1100.0, 1299.9):
        assert parts.good(0)
        assert len(parts.check.messages) == 1
    parts.clock.now = 1300.0
    assert parts.good(0)
    assert len(parts.check.messages) == 2
    parts.clock.now = 1599.9
    assert parts.good(0)
    assert len(parts.check.messages) == 2


def test_when_full_it_forgets_what_was_not_used_for_longest() -> None:
    parts = made(size=3)
    for number in (0, 1, 2, 0, 3):
        assert parts.good(number)
    assert len(parts.memory) == 3
    parts.check.messages.clear()
    for number in (0, 2, 3):
        assert parts.good(number)
    assert not parts.check.messages
    assert parts.good(1)
    assert parts.check.messages == [MESSAGES[1]]


KEYS = st.sampled_from([KEY, STRANGER.public_key()])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([KEY, STRANGER.public_key()]), st.integers(0, 7), st.integers(0, 7), st.floats(0, 200)
        ),
        max_size=30,
    )
)
def test_its_answers_are_those_of_checking(asked: list[tuple[Ed25519PublicKey, int, int, float]]) -> None:
    parts = made(size=2)
    for key, signature, message, passed in asked:
        parts.clock.now += passed
        answer = parts.memory.signed_by(key, SIGNATURES[signature], MESSAGES[message])
        assert answer is ed25519_verifies(key, SIGNATURES[signature], MESSAGES[message])
        assert len(parts.memory) <= 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_decision_changes_with_it(case: VectorCase) -> None:
    policy = replace(case.policy, signed_by=SignatureMemory(Clock()).signed_by)
    expected = decide(case.request, case.policy, NOW)
    assert decide(case.request, policy, NOW) == expected
    assert decide(case.request, policy, NOW) == expected


@pytest.mark.parametrize(
    ("token", "checks"),
    [
        pytest.param(lambda: mint(client(), ORGANIZATION), 1, id="organization"),
        pytest.param(lambda: mint(chained(client()), CHAIN_ISSUER), 3, id="chain"),
    ],
)
def test_a_token_seen_before_is_not_checked_again_and_its_proof_is(token: Callable[[], str], checks: int) -> None:
    parts = made()
    policy = replace(ISSUERS, signed_by=parts.memory.signed_by)
    text = token()
    for nonce in ("first", "second", "third"):
        request = presenting(ANON, client(), token=text, nonce=nonce, signature=proof(HOLDER, nonce))
        assert decide(request, policy, NOW).allowed
    assert len(parts.check.messages) == checks
    replayed = presenting(ANON, client(), token=text, nonce="fourth", signature=proof(HOLDER, "third"))
    assert decide(replayed, policy, NOW).rule == "token-nonce"
    assert not {b"first", b"second", b"third", b"fourth"} & set(parts.check.messages)


def test_a_remembered_token_still_expires() -> None:
    parts = made()
    policy = replace(ISSUERS, signed_by=parts.memory.signed_by)
    request = presenting(ANON, client(exp=NOW + 10))
    assert decide(request, policy, NOW).allowed
    assert decide(request, policy, NOW + 10).rule == "token-expired"
