"""The way through the rules, where the reference vectors do not go."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.access import permissions
from choria_broker.access.client_hosts import ClientHosts
from choria_broker.access.decision import decide
from choria_broker.access.policy import Policy
from choria_broker.access.quoted import claimed
from choria_broker.access.request import ConnectRequest
from choria_broker.access.rules import RULES
from choria_broker.access.trust import Signer
from choria_broker.access.verdict import Permissions, Verdict
from choria_broker.security.nonce import REMEDIES
from choria_broker.values import replace
from support.minting import (
    HOLDER,
    NOW,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    STRANGER,
    client,
    proof,
    provisioning,
    server,
)
from support.policy_cases import (
    ANON,
    CERTIFIED,
    INSIDE,
    ISSUERS,
    OUTSIDE,
    PASSWORD,
    PLAIN,
    REVOKED,
    ROWS,
    SELF,
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
from support.vector_cases import CASES
from support.vector_cases import NOW as VECTOR_NOW


def seen(verdict: Verdict) -> tuple[str, str, Permissions | None]:
    return verdict.rule, verdict.account, verdict.permissions


@pytest.mark.parametrize(("rules", "request_", "rule"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_rule(rules: Policy, request_: ConnectRequest, rule: str) -> None:
    verdict = decide(request_, rules, NOW)

    assert verdict.rule == rule, verdict
    assert verdict.allowed is RULES[rule].accepts
    assert verdict.trail[-1].rule == rule
    assert verdict.remedy in {RULES[rule].remedy, *REMEDIES.values()}


def test_every_rule_is_reached_by_a_row_or_a_vector() -> None:
    verdicts = [decide(request, rules, NOW) for rules, request, _ in [*ROWS, *UNVERIFIED, *REVOKED]]
    verdicts += [decide(case.request, case.policy, VECTOR_NOW) for case in CASES]
    reached = {step.rule for verdict in verdicts for step in verdict.trail}

    assert set(RULES) - reached == {"internal-error"}


@pytest.mark.parametrize(("rules", "request_", "expected"), UNVERIFIED)
def test_clients_that_present_nothing(
    rules: Policy, request_: ConnectRequest, expected: tuple[str, str, Permissions | None]
) -> None:
    verdict = decide(request_, rules, NOW)

    assert seen(verdict) == expected
    assert verdict.method == ("unverified" if verdict.rule.startswith("unverified") else verdict.method)


@pytest.mark.parametrize(
    ("organization", "key", "account"), [("choria", ORGANIZATION, "choria"), ("acme", OTHER_ORGANIZATION, "ACME")]
)
@pytest.mark.parametrize("claims", [client, server])
def test_organizations_have_accounts(organization: str, key: Any, account: str, claims: Any) -> None:
    request = presenting(ANON, claims(ou=organization, permissions={"streams": True}), key)
    verdict = decide(request, ISSUERS, NOW)

    assert (verdict.allowed, verdict.account) == (True, account)
    if claims is server:
        assert verdict.permissions is not None
        assert "$JS.API.STREAM.INFO.*" in (verdict.permissions.publish.allow or ())


def test_certificates_and_the_broker_itself_stay_in_choria() -> None:
    rules = with_system(provisioned(policy(ISSUERS, choria_ca=True)))

    assert [decide(request, rules, NOW).account for request in (CERTIFIED, SELF)] == ["choria", "choria"]


def test_organizations_that_share_an_account_of_their_own_are_kept_out_too() -> None:
    rules = with_system(provisioned(ISSUERS))
    shared = {name: replace(issuer, account="ACME") for name, issuer in ISSUERS.issuers.items()}
    for request in (
        presenting(ANON, flags("system_user"), **SYSTEM),
        presenting(ANON, flags("provisioner"), **PASSWORD),
        presenting(ANON, provisioning()),
    ):
        assert decide(request, rules, NOW).allowed
        assert decide(request, policy(rules, issuers=shared), NOW).rule == "organization-apart"


def test_the_organization_is_named_when_it_is_kept_out() -> None:
    request = presenting(ANON, flags("system_user", ou="acme"), OTHER_ORGANIZATION, **SYSTEM)
    verdict = decide(request, with_system(ISSUERS), NOW)

    assert "organization 'acme' has its own account 'ACME'".lower() in verdict.reason.lower()


def test_denied_servers_stay_connected() -> None:
    verdict = decide(presenting(ANON, server()), policy(ISSUERS, deny_server_connections=True), NOW)

    assert seen(verdict) == ("server-denied", "choria", permissions.NOTHING)


@pytest.mark.parametrize(
    ("hosts", "rule", "denied"),
    [(OUTSIDE, "client-token-outside-client-hosts", permissions.FLEET_REQUESTS), (INSIDE, "client-token", ())],
)
def test_client_hosts_and_tokens(hosts: ClientHosts, rule: str, denied: tuple[str, ...]) -> None:
    verdict = decide(presenting(ANON, flags("fleet_management")), policy(ISSUERS, client_hosts=hosts), NOW)

    assert verdict.rule == rule
    assert verdict.permissions is not None
    assert verdict.permissions.publish.deny == denied


def test_client_hosts_mean_nothing_to_servers() -> None:
    request = presenting(ANON, server())

    assert decide(request, policy(ISSUERS, client_hosts=OUTSIDE), NOW) == decide(request, ISSUERS, NOW)


def test_both_reasons_of_a_refusal_can_be_read() -> None:
    rules = provisioned(ISSUERS)
    expired = decide(presenting(ANON, client(exp=NOW - 1)), rules, NOW)
    wrong = decide(presenting(ANON, provisioning(exp=NOW - 1)), rules, NOW)
    bare = decide(ANON, rules, NOW)

    assert expired.rule == "token-expired"
    assert "up=alice" in expired.reason
    assert "As a node waiting for provisioning: token of 'up=alice': the token is not for purpose" in expired.reason
    assert wrong.rule == "token-expired"
    assert "As a client or server: a token for purpose 'choria_provisioning'" in wrong.reason
    assert bare.rule == "certificate-required"
    assert "As a node waiting for provisioning: no token was presented." in bare.reason
    assert [step.rule for step in bare.trail] == [
        "certificate-required",
        "provisionee-token-required",
        "certificate-required",
    ]


def test_unusable_signers_are_named() -> None:
    verdict = decide(presenting(ANON, client(), STRANGER), SIGNED, NOW)

    assert "/gone: the file could not be read" in verdict.reason


def test_the_broker_itself_joins_the_account_it_names() -> None:
    accounts = frozenset({"system", "choria", "ACME"})
    rules = policy(SIGNED, accounts=accounts)

    verdict = decide(ask(SELF, user="account/ACME"), rules, NOW)

    assert (verdict.account, verdict.permissions, verdict.rule) == ("ACME", None, "in-process")
    assert not decide(ask(SELF, user="account/OTHER"), rules, NOW).allowed
    assert decide(ask(CERTIFIED, user="account/ACME"), rules, NOW).account == "choria"


@pytest.mark.parametrize(
    ("request_", "method"),
    [
        (presenting(ANON, client()), "token"),
        (presenting(ANON, provisioning()), "provisioning"),
        (presenting(ANON, flags("provisioner"), **PASSWORD), "provisioner"),
        (ask(CERTIFIED, **SYSTEM), "system"),
        (CERTIFIED, "mtls"),
        (SELF, "in_process"),
    ],
)
def test_methods(request_: ConnectRequest, method: str) -> None:
    rules = with_system(provisioned(policy(ISSUERS, choria_ca=True)))
    verdict = decide(request_, rules, NOW)

    assert verdict.allowed
    assert verdict.method == method


@pytest.mark.parametrize(
    ("request_", "username"),
    [
        (ask(CERTIFIED, user="bob"), "bob"),
        (ask(CERTIFIED, user="b\ud800b"), "b?b"),
        (ask(CERTIFIED, user="bj\u00f6rn"), "bj\u00f6rn"),
        (presenting(ANON, client(callerid="up=bj\u00f6rn"), user="bob"), "up=bj\u00f6rn"),
        (presenting(ANON, provisioning(), user="node"), "node"),
        (presenting(ANON, provisioning()), ""),
    ],
)
def test_usernames(request_: ConnectRequest, username: str) -> None:
    base = provisioned(SIGNED, provisioning_signer=Signer("s", ORGANIZATION.public_key()))

    assert decide(request_, base, NOW).username == username


def test_names_cannot_break_out_of_a_log_line() -> None:
    claims = client(callerid="up=x\nlevel=error\u202e" + "y" * 500, exp=NOW - 1)
    verdict = decide(presenting(ANON, claims), ISSUERS, NOW)

    assert verdict.reason.isprintable()
    assert len(verdict.reason) < 700


def test_secrets_are_nowhere_in_a_verdict() -> None:
    rules = with_system(provisioned(ISSUERS), password="topsecret")
    requests = [
        presenting(ANON, client(), STRANGER),
        presenting(ANON, provisioning(cht="topsecret"), STRANGER),
        ask(CERTIFIED, user="sys", password="guessed"),
        ask(ANON, user="provisioner", password="guessed"),
    ]
    for request in requests:
        text = repr(decide(request, rules, NOW))
        for secret in ("topsecret", "guessed", "prov'", request.token, request.signature):
            assert not secret or secret not in text


@pytest.mark.parametrize("broken", [{"token": 1}, {"user": None, "tls": None}, {"kind": None}, {"address": 5}])
def test_what_cannot_happen_is_a_refusal(broken: dict[str, Any]) -> None:
    request = replace(presenting(CERTIFIED, client()), **broken)
    verdict = decide(request, policy(SIGNED, client_hosts=OUTSIDE), NOW)

    assert not verdict.allowed
    if "address" in broken:
        assert verdict.rule == "internal-error"
        assert "AttributeError" in verdict.reason


def test_orders_to_stop_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(ClientHosts, "contain", stop)
    with pytest.raises(KeyboardInterrupt):
        decide(CERTIFIED, policy(PLAIN, client_hosts=INSIDE), NOW)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_rules_are_documented(rule: Any) -> None:
    assert rule.sentence.endswith(".")
    assert bool(rule.remedy) is not rule.accepts
    assert rule.name == rule.name.lower()
    assert " " not in rule.name


def test_holder_key_is_what_counts() -> None:
    stolen = presenting(ANON, client(), signature=proof(STRANGER))

    assert decide(stolen, ISSUERS, NOW).rule == "token-nonce"
    assert decide(ask(stolen, signature=proof(HOLDER)), ISSUERS, NOW).allowed


@pytest.mark.parametrize(
    "user",
    [
        "eyJhbGciOiJFZERTQSJ9.eyJjYWxsZXJpZCI6ImIifQ.c2lnbmF0dXJl",
        " aaaaaaaa.bbbbbbbb. ",
        "x eyJhbGciOiJFZERTQSJ9.eyJjYWxsZXJpZCI6ImIifQ.c2lnbmF0dXJl",
        "nats://eyJhbGciOiJFZERTQSJ9.eyJjYWxsZXJpZCI6ImIifQ.c2lnbmF0dXJl@host",
        "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4",
    ],
)
def test_a_token_sent_as_user_name_is_not_shown(user: str) -> None:
    verdict = decide(replace(CERTIFIED, user=user), PLAIN, NOW)
    assert (verdict.allowed, verdict.username) == (True, "token")
    assert user.strip() not in repr(verdict)


def test_subscriptions_are_bounded_and_nodes_that_wait_have_few() -> None:
    certified = CERTIFIED
    waiting = presenting(ANON, provisioning())
    for most, of_certified, of_waiting in ((20_000, 20_000, 1000), (700, 700, 700), (1, 1, 1)):
        rules = replace(provisioned(ISSUERS), max_subscriptions=most, choria_ca=True)
        assert decide(certified, rules, NOW).max_subscriptions == of_certified
        verdict = decide(waiting, rules, NOW)
        assert (verdict.rule, verdict.max_subscriptions) == ("provisionee", of_waiting)
    assert decide(ANON, provisioned(ISSUERS), NOW).max_subscriptions == 0


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (("", "", ""), ""),
        (("a", "", ""), "name 'a'"),
        (("", "go", ""), "language 'go'"),
        (("", "", "1"), "version '1'"),
        (("a", "go", "1"), "name 'a', language 'go', version '1'"),
    ],
)
def test_what_a_program_says_of_itself(said: tuple[str, str, str], written: str) -> None:
    assert claimed(*said) == written
