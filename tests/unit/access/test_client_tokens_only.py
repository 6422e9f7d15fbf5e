"""Where client_anon_tls is set, clients with tokens get in, provisioning stays, and everybody else is refused."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.access import permissions
from choria_broker.access.decision import decide
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectionKind, ConnectRequest
from choria_broker.access.trust import Signer
from support.minting import NOW, RSA, STRANGER, client, proof, provisioning, server
from support.policy_cases import (
    ANON,
    CERTIFIED,
    CLEAR,
    ISSUERS,
    LEAF,
    PASSWORD,
    SELF,
    SIGNED,
    SYSTEM,
    ask,
    flags,
    policy,
    presenting,
    provisioned,
    with_system,
)

ONLY = policy(SIGNED, client_tokens_only=True)
ONLY_ISSUERS = policy(ISSUERS, client_tokens_only=True)
NEEDS_SIGNER = Signer("s", STRANGER.public_key())

ROWS: list[Any] = [
    (ONLY, presenting(ANON, client()), "client-token"),
    (ONLY, presenting(CERTIFIED, client()), "client-token"),
    (ONLY_ISSUERS, presenting(ANON, client()), "client-token"),
    (ONLY, presenting(ANON, client(), signature=""), "token-nonce"),
    (ONLY, presenting(ANON, client(), signature=proof(STRANGER)), "token-nonce"),
    (ONLY, presenting(ANON, client(), STRANGER), "token-signature"),
    (ONLY, presenting(ANON, client(exp=NOW)), "token-expired"),
    (ONLY, presenting(CLEAR, client()), "tls-required"),
    (ONLY, presenting(LEAF, client()), "token-kind"),
    (ONLY, presenting(ANON, server(), RSA), "servers-refused"),
    (ONLY, presenting(CERTIFIED, server(), RSA), "servers-refused"),
    (ONLY_ISSUERS, presenting(ANON, server()), "servers-refused"),
    (policy(ONLY, deny_server_connections=True), presenting(ANON, server(), RSA), "servers-refused"),
    (ONLY, ANON, "client-token-required"),
    (ONLY, CERTIFIED, "client-token-required"),
    (ONLY, ask(CERTIFIED, user="bob"), "client-token-required"),
    (ONLY, LEAF, "client-token-required"),
    (ONLY, ask(LEAF, kind=ConnectionKind.LEAFNODE), "client-token-required"),
    (policy(ONLY_ISSUERS, choria_ca=True), CERTIFIED, "client-token-required"),
    (ONLY, CLEAR, "tls-required"),
    (policy(ONLY, is_tls=False), CLEAR, "certificate-required"),
    (ONLY, SELF, "in-process"),
    # provisioning stays as configured
    (provisioned(ONLY, provisioning_signer=NEEDS_SIGNER), presenting(ANON, provisioning(), STRANGER), "provisionee"),
    (provisioned(ONLY_ISSUERS), presenting(ANON, provisioning()), "provisionee"),
    (provisioned(ONLY_ISSUERS), presenting(ANON, flags("provisioner"), **PASSWORD), "provisioner"),
    (provisioned(ONLY_ISSUERS, provisioner_without_token=True), ask(ANON, **PASSWORD), "provisioner"),
    (provisioned(ONLY), ask(ANON, **PASSWORD), "provisioner-certificate-required"),
    # the system user is a client with a token
    (with_system(ONLY), ask(CERTIFIED, **SYSTEM), "system-token-required"),
    (with_system(ONLY), presenting(ANON, flags("system_user"), **SYSTEM), "system-user"),
]


@pytest.mark.parametrize(("rules", "request_", "rule"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_rule(rules: Policy, request_: ConnectRequest, rule: str) -> None:
    assert decide(request_, rules, NOW).rule == rule


def test_clients_get_what_their_tokens_permit() -> None:
    request = presenting(ANON, flags("fleet_management"))
    found, usual = decide(request, ONLY, NOW), decide(request, SIGNED, NOW)
    assert found == usual
    assert found.permissions is not None
    assert set(permissions.FLEET_REQUESTS) < set(found.permissions.publish.allow or ())
