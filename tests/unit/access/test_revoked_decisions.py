"""Decisions about those who are revoked: whatever way they would have come in by."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.access.decision import decide
from choria_broker.access.explain import decide_for_holder
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectRequest
from choria_broker.access.revoked import Revocations
from choria_broker.access.rules import RULES
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import Entry, EntryKind, Revocation
from choria_broker.values import replace
from support.minting import NOW, client
from support.policy_cases import (
    ANON,
    PLAIN,
    REVOKED,
    SELF,
    SIGNED,
    UNVERIFIED,
    ask,
    presenting,
    revoking,
)


@pytest.mark.parametrize(("rules", "request_", "rule"), REVOKED)
def test_the_revoked_are_refused(rules: Policy, request_: ConnectRequest, rule: str) -> None:
    before = decide(request_, replace(rules, revocations=Revocations()), NOW)
    verdict = decide(request_, rules, NOW)
    assert before.allowed, before
    assert (verdict.allowed, verdict.rule) == (False, rule)
    assert verdict.trail[-1].rule == rule
    assert [step.rule for step in verdict.trail[:-1]] == [step.rule for step in before.trail]
    assert verdict.method == before.method
    assert verdict.remedy.startswith("See ")
    assert RULES[rule].remedy in verdict.remedy
    assert verdict.holder is None


def test_explain_knows_them() -> None:
    rules = revoking(SIGNED, EntryKind.CALLER, "up=alice")
    unsigned = ask(presenting(ANON, client()), signature="")
    assert decide_for_holder(unsigned, rules, NOW).rule == "revoked-caller"


def test_who_is_refused_anyway_is_told_why() -> None:
    rules = revoking(SIGNED, EntryKind.CALLER, "up=alice")
    assert decide(presenting(ANON, client(exp=NOW - 1)), rules, NOW).rule == "token-expired"


def test_the_broker_itself_is_never_revoked() -> None:
    everything = tuple(Entry(each, "", Origin("/r", 1)) for each in EntryKind)
    rules = replace(PLAIN, revocations=Revocations(Revocation(entries=everything)))
    assert decide(SELF, rules, NOW).allowed


@pytest.mark.parametrize(("rules", "request_", "expected"), UNVERIFIED)
def test_who_presents_nothing_has_nothing_to_be_revoked(rules: Policy, request_: ConnectRequest, expected: Any) -> None:
    revoked = revoking(rules, EntryKind.IDENTITY, "node")
    if expected[0].startswith("unverified"):
        assert decide(request_, revoked, NOW).rule == expected[0]
