"""Every reference vector must come out exactly as it says."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.access.decision import decide
from choria_broker.access.rules import RULES
from choria_broker.access.verdict import SubjectRules
from support.vector_cases import CASES, NOW, VectorCase


def as_sets(rules: SubjectRules | None) -> tuple[frozenset[str], frozenset[str]]:
    if rules is None:
        return frozenset(), frozenset()
    return frozenset(rules.allow or ()), frozenset(rules.deny)


def wanted_sets(direction: dict[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(direction.get("allow", ())), frozenset(direction.get("deny", ()))


def test_all_vectors_are_there() -> None:
    assert len(CASES) == 88


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_vector(case: VectorCase) -> None:
    verdict = decide(case.request, case.policy, NOW)

    assert verdict.allowed is case.expect["allowed"], verdict
    assert RULES[verdict.rule].accepts is verdict.allowed
    assert verdict.trail[-1].rule == verdict.rule
    assert verdict.reason
    if not verdict.allowed:
        assert verdict.remedy
        assert (verdict.account, verdict.username, verdict.permissions) == ("", "", None)
        assert verdict.holder is None
        return
    holder = verdict.holder
    assert holder is not None
    assert (holder.method, holder.rule) == (verdict.method, verdict.rule)
    if verdict.method == "token":
        assert verdict.username == holder.caller + holder.identity
        assert len(holder.key) == len("ca" * 32)
    assert verdict.account == case.expect["account"]
    assert verdict.username == case.expect["username"]
    wanted = case.expect["permissions"]
    if not wanted:
        assert verdict.permissions is None
        return
    assert verdict.permissions is not None
    assert as_sets(verdict.permissions.publish) == wanted_sets(wanted.get("publish", {}))
    assert as_sets(verdict.permissions.subscribe) == wanted_sets(wanted.get("subscribe", {}))
