"""What the broker does when its engine asks, and when it tells who is in."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from choria_broker.access import ways
from choria_broker.access.session import Again, Holder
from choria_broker.access.ways import Ways
from choria_broker.audit.trail import Audit
from choria_broker.engine.running import EngineHandlers
from choria_broker.engine_handlers import handlers
from choria_broker.values import replace
from support.minting import NOW, client
from support.policy_cases import ANON, CERTIFIED, ISSUERS, PLAIN, presenting

EXPIRES = NOW + 3600


@pytest.fixture(autouse=True)
def then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be the time at which the tokens are good."""
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    monkeypatch.setattr(ways, "STANDARD", Ways())


class World:
    def __init__(self, policy: Any) -> None:
        self.audit = Audit()
        self.enforced: list[tuple[int, float | None]] = []
        enforcement: Any = SimpleNamespace(admitted=lambda number, expires: self.enforced.append((number, expires)))
        unused: Any = SimpleNamespace()
        in_force: Any = SimpleNamespace(state=SimpleNamespace(policy=policy))
        self.told: EngineHandlers = handlers(in_force, self.audit, unused, enforcement, unused)

    @property
    def recorded(self) -> list[tuple[int, str]]:
        return [(each.connection_id, each.rule) for each in self.audit.recent]


def question(number: int, **changes: Any) -> Any:
    return replace(presenting(ANON, client(exp=EXPIRES)), connection_id=number, **changes)


def test_a_token_counts_when_the_engine_says_that_its_connection_is_in() -> None:
    world = World(ISSUERS)
    verdict = world.told.decide(question(3))
    assert (verdict.allowed, verdict.is_final) == (True, False)
    assert (world.recorded, world.enforced) == ([], [])

    world.told.admitted([3, 4], [])
    assert world.recorded == [(3, "client-token")]
    assert world.enforced == [(3, EXPIRES)]


def test_what_is_not_met_is_decided_to_the_end() -> None:
    world = World(ISSUERS)
    world.told.decide(question(3, signature="A" * 86))
    verdict = world.told.decide(question(3, signature="A" * 86, unmet=True))
    assert (verdict.rule, verdict.is_final) == ("token-nonce", True)
    world.told.admitted([3], [])
    assert world.recorded == [(3, "token-nonce")]
    assert world.told.decide(question(4, unmet=True)).is_final
    assert world.recorded == [(3, "token-nonce"), (4, "client-token")]


def test_a_decision_that_leaves_nothing_open_counts_at_once() -> None:
    world = World(PLAIN)
    assert world.told.decide(replace(CERTIFIED, connection_id=5)).is_final
    assert world.recorded == [(5, "mtls")]
    assert [number for number, _ in world.enforced] == [5]


def test_whoever_is_let_in_by_a_verdict_about_another_is_recorded_too() -> None:
    world = World(PLAIN)
    verdict = world.told.decide(replace(CERTIFIED, connection_id=5))
    assert verdict.reach is not None
    holder = Holder(identity="two", method="mtls", rule="mtls", expires=99)
    world.told.admitted([], [Again(connection=6, by=5, holder=holder)])
    assert world.recorded == [(5, "mtls"), (6, "mtls")]
    assert world.enforced[-1] == (6, 99)


def test_whoever_comes_again_with_a_token_is_recorded_too() -> None:
    world = World(ISSUERS)
    world.told.decide(question(7))
    world.told.admitted([7], [Again(connection=8, by=7)])
    assert world.recorded == [(7, "client-token"), (8, "client-token")]


def test_without_conditions_everything_is_decided_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "STANDARD", Ways(conditions=False, memory=False))
    world = World(ISSUERS)
    assert world.told.decide(question(3)).is_final
    assert world.recorded == [(3, "client-token")]
