"""Explaining: the holder's proof taken for granted and nothing else, and single subjects as the engine judges them."""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from choria_broker.access.decision import decide
from choria_broker.access.explain import Ground, SubjectAnswer, about_publish, about_subscribe, decide_for_holder
from choria_broker.access.request import ConnectRequest
from choria_broker.access.subjects import covers, overlap
from choria_broker.access.verdict import Permissions, SubjectRules
from choria_broker.values import replace
from support.fuzzing import examples
from support.minting import NOW as TOKEN_NOW
from support.minting import client
from support.policy_cases import ANON, ISSUERS, presenting
from support.vector_cases import BY_NAME, CASES, NOW, VectorCase

WITHOUT_PROOF = {
    "client-12-bad-nonce-signature",
    "client-13-no-nonce-signature",
    "client-14-nonce-other-bytes",
    "prov-17-provisioner-stolen-token",
}


def unsigned(request: ConnectRequest) -> ConnectRequest:
    return replace(request, nonce="", signature="")


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in WITHOUT_PROOF], ids=lambda case: case.name)
def test_only_the_proof_is_taken_for_granted(case: VectorCase) -> None:
    real = decide(case.request, case.policy, NOW)
    explained = decide_for_holder(unsigned(case.request), case.policy, NOW)

    assert structs.replace(explained, trail=()) == structs.replace(real, trail=())
    assert [step for step in explained.trail if step.rule != "token-nonce"] == list(real.trail)


@pytest.mark.parametrize("name", sorted(WITHOUT_PROOF))
def test_with_the_proof_these_would_come_in(name: str) -> None:
    case = BY_NAME[name]
    assert decide(case.request, case.policy, NOW).rule == "token-nonce"

    verdict = decide_for_holder(case.request, case.policy, NOW)

    assert verdict.allowed
    assert any(step.rule == "token-nonce" and step.outcome.startswith("assumed: ") for step in verdict.trail)


@pytest.mark.parametrize("key", ["ab", "z" * 64, "ab" * 31])
def test_a_key_that_is_none_cannot_be_held(key: str) -> None:
    request = unsigned(presenting(ANON, client(public_key=key)))

    assert decide_for_holder(request, ISSUERS, TOKEN_NOW).rule == decide(request, ISSUERS, TOKEN_NOW).rule
    assert not decide_for_holder(request, ISSUERS, TOKEN_NOW).allowed


def test_the_running_broker_never_loads_it() -> None:
    code = "import sys, choria_broker.broker; print('choria_broker.access.explain' in sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)  # noqa: S603 - this interpreter

    assert outcome.stdout.strip() == "False"


def permissions(allow: tuple[str, ...] | None, deny: tuple[str, ...] = ()) -> Permissions:
    rules = SubjectRules(allow, deny)
    return Permissions(publish=rules, subscribe=rules)


@pytest.mark.parametrize(
    ("limits", "subject", "allowed", "ground", "entry"),
    [
        (None, "a.b", True, Ground.UNLIMITED, ""),
        (permissions(None), "a.b", True, Ground.UNLIMITED, ""),
        (permissions(None, ("a.>",)), "a.b", False, Ground.DENY, "a.>"),
        (permissions(None, ("a.>",)), "b.a", True, Ground.UNLIMITED, ""),
        (permissions(("x", "a.*")), "a.b", True, Ground.ALLOW, "a.*"),
        (permissions(("x", "a.*")), "a.b.c", False, Ground.UNLISTED, ""),
        (permissions((">",), ("*.node.>",)), "m.node.n1", False, Ground.DENY, "*.node.>"),
        (permissions((">",), ("*.node.>",)), "m.node", True, Ground.ALLOW, ">"),
    ],
)
def test_publishing(limits: Permissions | None, subject: str, *, allowed: bool, ground: Ground, entry: str) -> None:
    answer = about_publish(limits, subject)

    assert (answer.allowed, answer.ground, answer.entry) == (allowed, ground, entry)
    assert answer.sentence.startswith(f"may publish to {subject}" if allowed else f"may not publish to {subject}")
    assert entry in answer.sentence


SUBSCRIPTIONS = [
    # What the list has, the subscription, and whether the engine takes it; seen on the engine.
    (permissions(("a.*",)), "a.b", True),
    (permissions(("a.*",)), "a.*", True),
    (permissions(("a.*",)), "a.>", False),
    (permissions(("a.*", "a.>")), "a.>", True),
    (permissions(("*",)), ">", False),
    (permissions(("*.*",)), "a.>", False),
    (permissions(("*.*",)), "*.>", False),
    (permissions(("a.* q1",)), "a.> q1", False),
    (permissions(("a.* q1", "a.>")), "a.> q1", True),
    (permissions(("a.* q1", "a.>")), "a.> q2", False),
    (permissions(None, ("a.*",)), "a.>", False),
    (permissions(("a.*",)), "a.b.c", False),
    (permissions(("a.*",)), "a.*.>", False),
    (permissions(("a.*",)), "*.b", False),
    (permissions(("a.*",)), ">", False),
    (permissions(("a.>",)), "a.>", True),
    (permissions(("a.>",)), "a.*.>", True),
    (permissions(("a.>",)), "a", False),
    (permissions(("a.*",)), "a.b q1", True),
    (permissions(("a.* q1",)), "a.b q1", True),
    (permissions(("a.* q1",)), "a.b q2", False),
    (permissions(("a.* q1",)), "a.b", False),
    (permissions(("a.*", "a.b q.*")), "a.b", True),
    (permissions(("a.*", "a.b q.*")), "a.b q.1", True),
    (permissions(("a.*", "a.b q.*")), "a.b q2", False),
    (permissions(("a.*", "a.b q.*")), "a.c q2", True),
    (permissions(None, ("a.b",)), "a.*", True),
    (permissions(None, ("a.b",)), "a.b", False),
    (permissions(None, ("a.b",)), "a.b q1", False),
    (permissions(None, ("a.b q1",)), "a.b q1", False),
    (permissions(None, ("a.b q1",)), "a.b q2", True),
    (permissions(None, ("a.b q1",)), "a.b", True),
]


@pytest.mark.parametrize(("limits", "subscription", "allowed"), SUBSCRIPTIONS)
def test_subscribing(limits: Permissions, subscription: str, *, allowed: bool) -> None:
    assert about_subscribe(limits, subscription).allowed is allowed


QUEUE = st.sampled_from(["", "", " q", " r", " q.1", " q.*", " *"])
SUBJECT = st.builds(
    lambda parts, tail: ".".join([*parts, *tail]),
    st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3),
    st.sampled_from([[], [">"], ["*"]]),
)
ENTRY = st.builds(str.__add__, st.one_of(SUBJECT, st.just(">")), QUEUE)


def engine_takes(allow: tuple[str, ...], subscription: str) -> bool:
    """Decide as the engine does: nats-server's way, and the patch for subscriptions that end in ``>``."""
    subject, _, queue = subscription.partition(" ")
    as_found = f"{subject[:-1]}x" if subject.endswith(">") else subject
    found = [entry for entry in allow if covers(entry.partition(" ")[0], as_found)]
    queues = [entry.partition(" ")[2] for entry in found if " " in entry]
    taken = any(" " not in entry for entry in found)
    if queue and queues:
        taken = any(covers(own, queue) for own in queues)
    whole = [entry.partition(" ") for entry in found if covers(entry.partition(" ")[0], subject)]
    return taken and any(not space or (bool(queue) and covers(own, queue)) for _, space, own in whole)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=5, unique=True).map(tuple), ENTRY)
def test_what_is_granted_and_no_more(allow: tuple[str, ...], subscription: str) -> None:
    taken = about_subscribe(permissions(allow), subscription).allowed
    assert taken is engine_takes(allow, subscription)
    subject, _, queue = subscription.partition(" ")
    if taken:
        for heard in (each for each in _literals(5) if covers(subject, each)):
            grants = [entry.partition(" ") for entry in allow if covers(entry.partition(" ")[0], heard)]
            assert any(not space or covers(own, queue) for _, space, own in grants), heard
    plain = [entry for entry in allow if " " not in entry]
    assert all(about_subscribe(permissions(allow), entry).allowed for entry in plain)


def test_a_wide_subscription_says_what_it_never_receives() -> None:
    limits = permissions((">",), ("*.node.>", "choria.x"))

    assert about_subscribe(limits, "m.>") == SubjectAnswer(
        direction=about_subscribe(limits, "m.>").direction,
        subject="m.>",
        allowed=True,
        ground=Ground.ALLOW,
        entry=">",
        withheld=("*.node.>",),
    )
    assert about_subscribe(limits, "m.>").sentence == (
        "may subscribe to m.>: allowed by >, but will not receive messages on *.node.>"
    )
    assert about_subscribe(limits, "m.other").withheld == ()


PARTS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4)


@given(PARTS, st.booleans(), PARTS, st.booleans())
def test_patterns_overlap_when_some_subject_is_in_both(
    left: list[str], l_tail: bool, right: list[str], r_tail: bool
) -> None:
    one = ".".join([*left, ">"] if l_tail else left)
    other = ".".join([*right, ">"] if r_tail else right)
    subjects = _literals(6)

    assert overlap(one, other) == any(covers(one, subject) and covers(other, subject) for subject in subjects)
    assert overlap(one, other) == overlap(other, one)


@functools.cache
def _literals(longest: int) -> list[str]:
    found: list[list[str]] = [[]]
    every: list[str] = []
    for _ in range(longest):
        found = [[*start, part] for start in found for part in ("a", "b", "c")]
        every += [".".join(parts) for parts in found]
    return every
