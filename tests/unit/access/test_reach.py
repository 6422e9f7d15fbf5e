"""How far verdicts reach: never to a connection that would be decided otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choria_broker.access.decision import decide, decide_for_engine
from choria_broker.access.policy import Policy
from choria_broker.access.reach import LONGEST, SENT, reach_of
from choria_broker.access.reading import Watched
from choria_broker.access.request import Certificate, ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.revoked import Revocations
from choria_broker.access.verdict import Reach, Verdict
from choria_broker.access.ways import Ways
from choria_broker.settings.revocation import Crl, CrlExpired, Revocation
from choria_broker.values import replace
from support.fuzzing import examples
from support.minting import HOLDER, NOW, client, proof, provisioning, server
from support.policy_cases import (
    ANON,
    CERTIFIED,
    INSIDE,
    ISSUERS,
    LEAF,
    OUTSIDE,
    PASSWORD,
    PLAIN,
    REVOKED,
    REVOKED_CERTIFICATE,
    ROWS,
    SELF,
    SIGNED,
    SYSTEM,
    UNVERIFIED,
    ask,
    flags,
    listing,
    policy,
    presenting,
    provisioned,
    with_system,
)
from support.vector_cases import CASES
from support.vector_cases import NOW as VECTOR_NOW

EDGE = policy(PLAIN, unverified_account="EDGE")
HOUR = NOW + 3600


def asked(request: ConnectRequest, rules: Policy, now: float = NOW) -> Verdict:
    return decide_for_engine(request, rules, now, Ways())


def reach(request: ConnectRequest, rules: Policy, now: float = NOW) -> Reach | None:
    return asked(request, rules, now).reach


def until(seconds: float) -> int:
    return int(seconds * 1000)


@pytest.mark.parametrize(
    ("request_", "rules"),
    [
        (CERTIFIED, PLAIN),
        (CERTIFIED, SIGNED),
        (LEAF, PLAIN),
        (CERTIFIED, policy(ISSUERS, choria_ca=True)),
        (CERTIFIED, policy(PLAIN, deny_server_connections=True)),
        (replace(CERTIFIED, name="x", language="go", connection_id=9), PLAIN),
    ],
)
def test_certificates_without_more_are_a_class(request_: ConnectRequest, rules: Policy) -> None:
    assert reach(request_, rules) == Reach(until=until(NOW + LONGEST), of_class=True)


@pytest.mark.parametrize(
    ("request_", "rules"),
    [
        (ask(CERTIFIED, user="bob"), PLAIN),
        (ask(CERTIFIED, password="x"), PLAIN),
        (CERTIFIED, policy(PLAIN, client_hosts=INSIDE)),
        (CERTIFIED, policy(PLAIN, client_hosts=OUTSIDE)),
        (ask(CERTIFIED, certificate=REVOKED_CERTIFICATE), listing(PLAIN, "99")),
        (ANON, EDGE),
        (presenting(ANON, client(exp=HOUR)), ISSUERS),
        (presenting(ANON, server(exp=HOUR)), SIGNED),
        (presenting(CERTIFIED, client(exp=HOUR)), ISSUERS),
    ],
)
def test_others_are_alone_with_what_was_read_of_them(request_: ConnectRequest, rules: Policy) -> None:
    verdict = asked(request_, rules)
    assert verdict.allowed
    assert verdict.reach == Reach(until=until(NOW + LONGEST))
    assert bool(verdict.proof) is bool(request_.token)


@pytest.mark.parametrize(
    ("request_", "rules"),
    [
        (SELF, PLAIN),
        (ask(SELF, user="account/ACME"), ISSUERS),
        (ask(CERTIFIED, **PASSWORD), provisioned(PLAIN)),
        (ask(CERTIFIED, **SYSTEM), with_system(PLAIN)),
        (presenting(ANON, flags("system_user"), **SYSTEM), with_system(ISSUERS)),
        (presenting(ANON, provisioning()), provisioned(ISSUERS)),
        (ANON, PLAIN),
        (presenting(ANON, client(), signature=""), ISSUERS),
        (presenting(ANON, client(exp=NOW + 0.5)), ISSUERS),
    ],
)
def test_nobody_else_has_a_verdict_that_reaches_further(request_: ConnectRequest, rules: Policy) -> None:
    assert reach(request_, rules) is None


def test_what_the_engine_would_have_to_ask_anyway_does_not_reach() -> None:
    # Who has checked the nonce's signature is not told to the engine, which could not look at that of the next one.
    request = presenting(ANON, client())
    assert decide_for_engine(request, ISSUERS, NOW, Ways(conditions=False)).reach is None
    assert decide_for_engine(request, ISSUERS, NOW, Ways(memory=False)).reach is None
    assert decide_for_engine(CERTIFIED, PLAIN, NOW, Ways(conditions=False)).reach is not None


@pytest.mark.parametrize(
    ("request_", "rules", "end"),
    [
        (presenting(ANON, client(exp=NOW + 60)), ISSUERS, NOW + 60),
        (presenting(ANON, client(exp=None)), ISSUERS, NOW + LONGEST),
        (ask(CERTIFIED, user="x", certificate=Certificate("node", not_after=NOW + 90)), PLAIN, NOW + 90),
    ],
)
def test_it_ends_with_what_ends_first(request_: ConnectRequest, rules: Policy, end: float) -> None:
    found = reach(request_, rules)
    assert found is not None
    assert found.until == until(end)


@pytest.mark.parametrize(("expired", "end"), [(CrlExpired.ACCEPT, NOW + LONGEST), (CrlExpired.REFUSE, NOW + 40)])
def test_it_ends_when_a_list_is_out_of_date_that_has_to_be_current(expired: CrlExpired, end: float) -> None:
    crls = tuple(
        Crl("CN=CA", key, REVOKED[-1][0].revocations.revocation.crls[0].file, NOW - 9.0, 1, next_update)
        for key, next_update in (("key", NOW + 40.0), ("other", NOW - 1.0), ("third", None))
    )
    rules = policy(PLAIN, revocations=Revocations(Revocation(crls=crls, expired=expired)))
    found = reach(ask(CERTIFIED, certificate=REVOKED_CERTIFICATE), rules)
    assert found == Reach(until=until(end))


# Whatever agrees in what a verdict hangs on is decided in the same way.

TEXT = st.sampled_from(["", "x", "provisioner", "sys", "sesame"])
CERTIFICATES = st.sampled_from(
    [None, Certificate("a"), Certificate("node", "4f", "CN=CA", "leaf"), REVOKED_CERTIFICATE]
)
ADDRESSES = st.sampled_from(["", "192.0.2.1", "10.1.2.3", "::1", "no address"])
KNOWN: list[Any] = [
    *[row[:2] for row in [*ROWS, *UNVERIFIED, *REVOKED]],
    *[(case.policy, case.request) for case in CASES],
]


@st.composite
def another(draw: st.DrawFn, first: ConnectRequest, found: Reach) -> ConnectRequest:
    """Ask for a connection that agrees with the first in all that the engine compares."""
    changes: dict[str, Any] = {
        "name": draw(TEXT),
        "language": draw(TEXT),
        "version": draw(TEXT),
        "connection_id": draw(st.integers(1, 99)),
    }
    if first.signature:
        nonce = draw(st.sampled_from(["nonce-of-another", "third"]))
        changes |= {"nonce": nonce, "signature": proof(HOLDER, nonce)}
    else:
        changes["nonce"] = draw(TEXT)
    if found.of_class:
        changes |= {"address": draw(ADDRESSES), "certificate": draw(CERTIFICATES)}
    return replace(first, **changes)


def told(verdict: Verdict) -> tuple[Any, ...]:
    limits = verdict.permissions, verdict.max_subscriptions
    return verdict.allowed, verdict.rule, verdict.account, verdict.username, limits, verdict.proof


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_verdict_never_reaches_to_whom_another_would_be_given(data: st.DataObject) -> None:
    rules, first = data.draw(st.sampled_from(KNOWN))
    changes = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "user": TEXT,
                "password": TEXT,
                "address": ADDRESSES,
                "certificate": CERTIFICATES,
                "jwt": TEXT,
                "tls": st.sampled_from(TlsState),
                "kind": st.sampled_from([ConnectionKind.CLIENT, ConnectionKind.LEAFNODE, ConnectionKind.IN_PROCESS]),
            },
        )
    )
    first = replace(first, **changes)
    rules = replace(rules, client_hosts=data.draw(st.sampled_from([rules.client_hosts, INSIDE, OUTSIDE])))
    now = data.draw(st.sampled_from([NOW, VECTOR_NOW]))
    verdict = asked(first, rules, now)
    found = verdict.reach
    if found is None:
        return
    assert verdict.allowed
    assert not (found.of_class and any(getattr(first, name) for name in SENT))
    second = data.draw(another(first, found))
    # To the last millisecond.
    later = data.draw(st.sampled_from([now, now + 1, (found.until - 1) / 1000]))
    assert told(asked(second, rules, later)) == told(verdict)
    if not first.signature:
        assert told(decide(second, rules, later)) == told(verdict)


@pytest.mark.parametrize("field", ["name", "language", "version", "connection_id", "unmet"])
def test_a_decision_that_would_read_more_would_not_reach(field: str) -> None:
    verdict = asked(CERTIFIED, PLAIN)
    watched = Watched(CERTIFIED)
    assert reach_of(watched, verdict, b"", PLAIN, NOW) is not None
    getattr(watched, field)
    assert reach_of(watched, verdict, b"", PLAIN, NOW) is None


def test_what_is_about_to_end_is_not_worth_remembering() -> None:
    assert asked(presenting(ANON, client(exp=NOW + 1)), ISSUERS, NOW + 0.5).allowed
    assert reach(presenting(ANON, client(exp=NOW + 1)), ISSUERS, NOW + 0.5) is None
