"""What is judged of a session is held against what a decision about the same connection would be."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choria_broker.access.afterwards import Logins, differs
from choria_broker.access.client_hosts import ClientHosts
from choria_broker.access.decision import decide
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.session import Holder, Session
from choria_broker.access.trust import Organization, Signer
from choria_broker.settings.network import SystemUser
from choria_broker.settings.secret import Secret
from choria_broker.values import replace
from support.fuzzing import examples
from support.minting import ORGANIZATION, STRANGER
from support.sessions import session
from support.vector_cases import ACCEPTED, NOW, VectorCase

JUDGED = [case for case in ACCEPTED if case.request.kind is not ConnectionKind.IN_PROCESS]


def admitted(request: ConnectRequest, policy: Policy) -> Session | None:
    verdict = decide(request, policy, NOW)
    if not verdict.allowed or verdict.holder is None:
        return None
    return Session(
        connection=1,
        kind=request.kind.value,
        address=request.address,
        account=verdict.account,
        username=verdict.username,
        tls=request.tls.value,
        since=NOW,
        generation=1,
        holder=msgspec.json.decode(msgspec.json.encode(verdict.holder), type=Holder),
    )


def other(key: object) -> Any:
    return key.public_key()  # type: ignore[attr-defined] # private keys of either kind


def organizations(policy: Policy, **changes: Any) -> dict[str, Organization]:
    return {name: replace(issuer, **changes) for name, issuer in policy.issuers.items()}


CHANGES: dict[str, Any] = {
    "nothing": lambda policy: policy,
    "client_hosts": lambda policy: replace(
        policy, client_hosts=ClientHosts.of([ipaddress.ip_network("203.0.113.0/24")])
    ),
    "no client_hosts": lambda policy: replace(policy, client_hosts=ClientHosts()),
    "deny": lambda policy: replace(policy, deny_server_connections=True),
    "no deny": lambda policy: replace(policy, deny_server_connections=False),
    "tokens only": lambda policy: replace(policy, client_tokens_only=True),
    "no client signers": lambda policy: replace(policy, client_signers=()),
    "no server signers": lambda policy: replace(policy, server_signers=()),
    "no provisioning signer": lambda policy: replace(policy, provisioning_signer=None),
    "further signers": lambda policy: replace(
        policy,
        client_signers=(Signer("new", other(STRANGER)), *policy.client_signers),
        server_signers=(*policy.server_signers, Signer("new", other(STRANGER))),
    ),
    "other signers": lambda policy: replace(
        policy,
        client_signers=(Signer("new", other(STRANGER)),),
        server_signers=(Signer("new", other(STRANGER)),),
        provisioning_signer=Signer("new", other(STRANGER)),
    ),
    "no issuers": lambda policy: replace(policy, issuers={}),
    "other issuer key": lambda policy: replace(policy, issuers=organizations(policy, key=other(STRANGER))),
    "other issuer account": lambda policy: replace(
        policy, issuers=organizations(policy, account="apart"), accounts=policy.accounts | {"apart"}
    ),
    "an issuer": lambda policy: replace(
        policy, issuers={"choria": Organization("choria", other(ORGANIZATION), "choria")}
    ),
    "choria CA": lambda policy: replace(policy, choria_ca=True),
    "no choria CA": lambda policy: replace(policy, choria_ca=False),
    "unverified": lambda policy: replace(policy, unverified_account="choria"),
    "no provisioner": lambda policy: replace(policy, provisioner_password=None),
    "provisioner without token": lambda policy: replace(policy, provisioner_without_token=True),
    "provisioner with token": lambda policy: replace(policy, provisioner_without_token=False),
    "no system user": lambda policy: replace(policy, system_user=None),
    "no provisioning": lambda policy: replace(policy, accounts=policy.accounts - {"provisioning"}),
}


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(JUDGED), st.lists(st.sampled_from(sorted(CHANGES)), max_size=3))
def test_what_is_judged_is_what_would_be_decided(case: VectorCase, names: list[str]) -> None:
    session = admitted(case.request, case.policy)
    assert session is not None
    policy = case.policy
    for name in names:
        policy = CHANGES[name](policy)
    again = admitted(case.request, policy)
    same = again is not None and (again.holder.rule, again.account) == (session.holder.rule, session.account)
    # Whose login was taken away may still come in as somebody else, which is something else.
    assert differs(session, policy) is not same


def test_a_system_user_with_a_certificate_alone_does_not_count_where_tokens_are_wanted() -> None:
    """Whether organizations sign the tokens or not."""
    policy = replace(with_login("first"), client_tokens_only=True)
    certified = msgspec.structs.replace(SYSTEM, tls="mtls")
    assert not differs(certified, replace(policy, client_tokens_only=False))
    for changed in (policy, CHANGES["an issuer"](policy), CHANGES["other signers"](policy)):
        assert differs(certified, changed)
    assert not differs(msgspec.structs.replace(certified, kind="in_process"), policy)
    with_token = msgspec.structs.replace(
        certified, holder=Holder(method="system", rule="system-user", caller="up=admin", signer="")
    )
    assert not differs(with_token, policy)


@pytest.mark.parametrize("change", sorted(CHANGES))
@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.name)
def test_each_change_alone(case: VectorCase, change: str) -> None:
    session = admitted(case.request, case.policy)
    assert session is not None
    policy = CHANGES[change](case.policy)
    again = admitted(case.request, policy)
    same = again is not None and (again.holder.rule, again.account) == (session.holder.rule, session.account)
    assert differs(session, policy) is not same


SYSTEM = session(1, account="system", username="root", generation=2, holder=Holder(method="system", rule="system-user"))


def with_login(password: str) -> Policy:
    return Policy(
        is_tls=True,
        accounts=frozenset({"system", "choria"}),
        system_user=SystemUser(user="root", password=Secret(password)),
    )


def test_a_changed_password_is_told_by_what_was_in_force_then() -> None:
    old, new = with_login("first"), with_login("second")
    history = (Logins.of(old, 1), Logins.of(new, 3))
    assert not differs(SYSTEM, new)
    assert differs(SYSTEM, new, history)
    assert not differs(msgspec.structs.replace(SYSTEM, generation=3), new, history)
    back = (*history, Logins.of(old, 4))
    assert not differs(SYSTEM, old, back)
    assert differs(msgspec.structs.replace(SYSTEM, generation=3), old, back)
    assert not differs(SYSTEM, new, history[1:])


def test_a_provisioner_with_an_older_password_is_told_too() -> None:
    policy = Policy(is_tls=True, accounts=frozenset({"choria", "provisioning"}), provisioner_password=Secret("second"))
    older = replace(policy, provisioner_password=Secret("first"))
    session = msgspec.structs.replace(
        SYSTEM, account="provisioning", username="provisioner", holder=Holder(method="provisioner", rule="provisioner")
    )
    assert differs(session, policy, (Logins.of(older, 1), Logins.of(policy, 3)))
    assert not differs(session, older, (Logins.of(older, 1),))


@pytest.mark.parametrize(
    "session",
    [
        msgspec.structs.replace(SYSTEM, generation=0, holder=Holder()),
        msgspec.structs.replace(SYSTEM, holder=Holder(method="of a later broker", rule="new")),
        msgspec.structs.replace(SYSTEM, holder=Holder(method="system")),
    ],
)
def test_who_is_not_known_is_let_be(session: Session) -> None:
    assert not differs(session, Policy(is_tls=True, accounts=frozenset()))


def test_a_token_whose_signer_was_not_kept_counts_as_before() -> None:
    holder = Holder(method="token", rule="client-token", caller="up=bob")
    session = msgspec.structs.replace(SYSTEM, account="choria", username="up=bob", holder=holder)
    assert not differs(session, Policy(is_tls=True, accounts=frozenset({"choria"})))


@pytest.mark.parametrize("name", ["unverified", "unverified-outside-client-hosts", "unverified-denied"])
def test_clients_that_presented_nothing(name: str) -> None:
    hosts = ClientHosts.of([ipaddress.ip_network("203.0.113.0/24")])
    policies = {
        "unverified": Policy(is_tls=True, accounts=frozenset({"open", "other"}), unverified_account="open"),
    }
    policies["unverified-outside-client-hosts"] = replace(policies["unverified"], client_hosts=hosts)
    policies["unverified-denied"] = replace(policies["unverified-outside-client-hosts"], deny_server_connections=True)
    request = ConnectRequest(ConnectionKind.CLIENT, TlsState.NONE, address="192.0.2.1")
    session = admitted(request, policies[name])
    assert session is not None
    assert session.holder.rule == name
    assert {other for other, policy in policies.items() if differs(session, policy)} == set(policies) - {name}
    for account in ("", "other"):
        assert differs(session, replace(policies[name], unverified_account=account))


def test_ten_thousand_are_judged_in_no_time() -> None:
    case = next(case for case in JUDGED if case.request.token)
    session = admitted(case.request, case.policy)
    assert session is not None
    begun = time.process_time()
    assert not any(differs(session, case.policy) for _ in range(10_000))
    assert time.process_time() - begun < 3.0
