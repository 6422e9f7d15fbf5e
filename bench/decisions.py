"""Decisions per second of the policy alone, on one core, against the signature checks they cannot do without."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench import policy_load
from bench.results import Line, alternate
from bench.workbench import Workbench
from choria_broker.access.decision import decide
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectRequest
from choria_broker.security.keys import ed25519_verifies
from choria_broker.security.signature_memory import SignatureMemory
from support.minting import ORGANIZATION

_MESSAGE = b"m" * 600
_SIGNATURE = ORGANIZATION.sign(_MESSAGE)
_KEY = ORGANIZATION.public_key()


def measure(bench: Workbench) -> list[Line]:
    """Measure decisions about tokens never seen, about tokens seen before, and about certificates."""
    count, turns = bench.scale.decisions, bench.scale.turns
    tokens, chains = policy_load.with_tokens(count), policy_load.with_tokens(count, chain=True)
    certificates = policy_load.with_certificates(count * 20)
    plain = policy_load.policy(ed25519_verifies, issuers=False)
    two, one, four = (_checks(count, each) for each in (2, 1, 4))
    return [
        alternate(turns, lambda: rate(tokens, unknowing()), two).row(
            "Decisions per second: client token never seen", "its 2 signature checks alone", _rate, aim="2,500/s"
        ),
        alternate(turns, _known(tokens), one).row(
            "Decisions per second: client token seen before", "its 1 signature check alone", _rate, aim="10,000/s"
        ),
        alternate(turns, lambda: rate(chains, unknowing()), four).row(
            "Decisions per second: token of a chain issuer never seen", "its 4 signature checks alone", _rate
        ),
        alternate(turns, _known(chains), one).row(
            "Decisions per second: token of a chain issuer seen before", "its 1 signature check alone", _rate
        ),
        alternate(turns, lambda: rate(certificates, plain), one).row(
            "Decisions per second: certificate, no token", "1 signature check, which it does not need", _rate
        ),
    ]


def unknowing() -> Policy:
    """Make a policy that remembers signatures and has not seen any."""
    return policy_load.policy(SignatureMemory(time.monotonic).signed_by)


def rate(asked: Sequence[ConnectRequest], policy: Policy) -> float:
    """Decide about each and return decisions per second of CPU.

    Raises:
        AssertionError: one was refused, so that what was measured is not what was meant.
    """
    began = time.process_time()
    allowed = [decide(request, policy, policy_load.MOMENT).allowed for request in asked]
    used = time.process_time() - began
    if not all(allowed):
        raise AssertionError("a decision that should accept refused")
    return len(asked) / used


def _known(asked: Sequence[ConnectRequest]) -> Callable[[], float]:
    policy = unknowing()
    rate(asked, policy)
    return lambda: rate(asked, policy)


def _checks(count: int, each: int) -> Callable[[], float]:
    def sample() -> float:
        began = time.process_time()
        for _ in range(count * each):
            _KEY.verify(_SIGNATURE, _MESSAGE)
        return count / (time.process_time() - began)

    return sample


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s"
