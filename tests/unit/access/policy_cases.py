"""Policies, questions and the rules that decide about them, where the reference vectors do not go."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

from choria_broker.access import permissions
from choria_broker.access.client_hosts import ClientHosts
from choria_broker.access.policy import Policy
from choria_broker.access.request import Certificate, ConnectRequest, Kind, TlsState
from choria_broker.access.trust import Organization, Signer, Unusable
from choria_broker.config.secret import Secret
from choria_broker.config.settings import SystemUser
from unit.security.minting import (
    NONCE,
    NOW,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    RSA,
    STRANGER,
    client,
    mint,
    proof,
    provisioning,
    server,
)

ACCOUNTS = frozenset({"system", "choria", "provisioning", "EDGE", "ACME"})
PLAIN = Policy(is_tls=True, accounts=ACCOUNTS)
SIGNED = dataclasses.replace(
    PLAIN,
    client_signers=(Unusable("/gone", "the file could not be read"), Signer("s", ORGANIZATION.public_key())),
    server_signers=(Signer("r", RSA.public_key()), Signer("s", ORGANIZATION.public_key())),
)
ISSUERS = dataclasses.replace(
    PLAIN,
    issuers={
        "choria": Organization("choria", ORGANIZATION.public_key(), "choria"),
        "acme": Organization("acme", OTHER_ORGANIZATION.public_key(), "ACME"),
    },
)
OUTSIDE = ClientHosts.of([ipaddress.ip_network("10.0.0.0/8")])
INSIDE = ClientHosts.of([ipaddress.ip_network("192.0.2.0/24")])
PASSWORD = {"user": "provisioner", "password": "prov"}
SYSTEM = {"user": "sys", "password": "sesame"}
ANON = ConnectRequest(kind=Kind.CLIENT, tls=TlsState.ANON, address="192.0.2.10", nonce=NONCE)
CERTIFIED = dataclasses.replace(ANON, tls=TlsState.MTLS, certificate=Certificate("node"))
CLEAR = dataclasses.replace(ANON, tls=TlsState.NONE)
LEAF = dataclasses.replace(CERTIFIED, kind=Kind.LEAFNODE)
SELF = dataclasses.replace(CLEAR, kind=Kind.IN_PROCESS, address="")


def policy(base: Policy, **changes: Any) -> Policy:
    """Change a policy."""
    return dataclasses.replace(base, **changes)


def provisioned(base: Policy, **changes: Any) -> Policy:
    """Let a policy have a provisioner."""
    return policy(base, provisioner_password=Secret("prov"), **changes)


def with_system(base: Policy, *, password: str | None = None, **changes: Any) -> Policy:
    """Let a policy have a system user."""
    return policy(base, system_user=SystemUser("sys", Secret("sesame" if password is None else password)), **changes)


def ask(base: ConnectRequest, **changes: Any) -> ConnectRequest:
    """Change a question."""
    return dataclasses.replace(base, **changes)


def presenting(base: ConnectRequest, claims: dict[str, Any], key: Any = ORGANIZATION, **changes: Any) -> ConnectRequest:
    """Present a token and prove that it is held."""
    token = mint(claims, key)
    return dataclasses.replace(base, **{"token": token, "jwt": token, "signature": proof(), **changes})


def flags(*names: str, **claims: Any) -> dict[str, Any]:
    """Write the claims of a client token with permissions."""
    return client(permissions=dict.fromkeys(names, True), **claims)


ROWS: list[Any] = [
    # entry
    (PLAIN, CLEAR, "tls-required"),
    (SIGNED, presenting(CLEAR, client()), "tls-required"),
    (provisioned(PLAIN), ask(CLEAR, **PASSWORD), "tls-required"),
    (policy(PLAIN, is_tls=False), CLEAR, "certificate-required"),
    (policy(PLAIN, client_hosts=OUTSIDE, deny_server_connections=True), LEAF, "leafnode-denied"),
    (policy(PLAIN, client_hosts=OUTSIDE, deny_server_connections=True), CERTIFIED, "mtls-denied"),
    (policy(PLAIN, client_hosts=OUTSIDE), LEAF, "mtls-outside-client-hosts"),
    (policy(PLAIN, is_tls=False), presenting(CLEAR, client()), "certificate-required"),
    (SIGNED, presenting(ANON, client(), address=""), "address-unknown"),
    (SIGNED, presenting(CERTIFIED, client(), address=""), "address-unknown"),
    # provisioner
    (PLAIN, ask(CERTIFIED, **PASSWORD), "provisioner-disabled"),
    (provisioned(PLAIN, is_tls=False), ask(CLEAR, **PASSWORD), "provisioner-disabled"),
    (provisioned(PLAIN, accounts=frozenset({"choria"})), ask(CERTIFIED, **PASSWORD), "account-absent"),
    (provisioned(PLAIN), ask(CERTIFIED, user="provisioner"), "provisioner-password"),
    (provisioned(PLAIN), ask(CERTIFIED, user="provisioner", password="\ud800"), "provisioner-password"),
    (provisioned(PLAIN), ask(CERTIFIED, user="provisioner", password="prov "), "provisioner-password"),
    (provisioned(PLAIN), ask(CERTIFIED, **PASSWORD), "provisioner"),
    (provisioned(PLAIN), ask(CERTIFIED, **PASSWORD, token="nonsense"), "provisioner"),
    (provisioned(PLAIN), ask(ANON, **PASSWORD), "provisioner-certificate-required"),
    (provisioned(PLAIN), ask(SELF, **PASSWORD), "provisioner-certificate-required"),
    (provisioned(SIGNED), presenting(ANON, flags("provisioner"), **PASSWORD), "provisioner-certificate-required"),
    (provisioned(ISSUERS), ask(CERTIFIED, **PASSWORD), "provisioner-token-required"),
    (provisioned(ISSUERS, provisioner_without_token=True), ask(ANON, **PASSWORD), "provisioner"),
    (provisioned(ISSUERS, provisioner_without_token=True), ask(ANON, **PASSWORD, token=" "), "token-malformed"),
    (
        provisioned(ISSUERS, provisioner_without_token=True),
        presenting(ANON, client(), **PASSWORD),
        "provisioner-permission",
    ),
    (provisioned(ISSUERS), presenting(ANON, flags("provisioner"), **PASSWORD), "provisioner"),
    (provisioned(ISSUERS), presenting(ANON, flags("org_admin"), **PASSWORD), "provisioner-permission"),
    (provisioned(ISSUERS), presenting(ANON, flags("provisioner"), **PASSWORD, signature=""), "token-nonce"),
    (provisioned(ISSUERS), presenting(ANON, flags("provisioner", exp=NOW), **PASSWORD), "token-expired"),
    (provisioned(ISSUERS), presenting(ANON, server(), **PASSWORD), "token-purpose"),
    (provisioned(ISSUERS), presenting(ANON, provisioning(), **PASSWORD), "token-purpose"),
    (provisioned(ISSUERS), presenting(LEAF, flags("provisioner"), **PASSWORD), "token-kind"),
    # a system user of that name never gets to account system
    (
        provisioned(PLAIN, system_user=SystemUser("provisioner", Secret("prov"))),
        ask(CERTIFIED, **PASSWORD),
        "provisioner",
    ),
    # system user
    (with_system(PLAIN), ask(CERTIFIED, **SYSTEM), "system-user"),
    (with_system(ISSUERS), ask(CERTIFIED, **SYSTEM), "system-user"),
    (with_system(PLAIN), ask(SELF, **SYSTEM), "system-user"),
    (with_system(PLAIN), ask(CERTIFIED, user="sys", password="other"), "system-password"),
    (with_system(PLAIN), ask(CERTIFIED, user="sys", password="\udfff"), "system-password"),
    (with_system(PLAIN, password=""), ask(CERTIFIED, user="sys"), "system-password"),
    (with_system(PLAIN, is_tls=False), ask(CLEAR, **SYSTEM), "system-tls-required"),
    (with_system(ISSUERS), ask(ANON, **SYSTEM), "system-token-required"),
    (with_system(ISSUERS), presenting(ANON, flags("system_user"), **SYSTEM), "system-user"),
    (with_system(SIGNED), presenting(ANON, flags("org_admin"), **SYSTEM), "system-user"),
    (with_system(ISSUERS), presenting(ANON, flags("streams_admin"), **SYSTEM), "system-permission"),
    (with_system(ISSUERS), presenting(ANON, flags("system_user"), **SYSTEM, signature=""), "token-nonce"),
    (with_system(ISSUERS), presenting(ANON, server(), **SYSTEM), "token-purpose"),
    (with_system(PLAIN), presenting(ANON, flags("system_user"), **SYSTEM), "token-no-signer"),
    (
        with_system(ISSUERS),
        presenting(ask(ANON, kind=Kind.LEAFNODE), flags("system_user"), **SYSTEM),
        "token-kind",
    ),
    (with_system(PLAIN), ask(CERTIFIED, user="Sys", password="sesame"), "mtls"),
    (policy(PLAIN, system_user=SystemUser("", Secret(""))), CERTIFIED, "mtls"),
    # clients with tokens only
    (policy(SIGNED, client_tokens_only=True), CERTIFIED, "client-token-required"),
    (policy(SIGNED, client_tokens_only=True), presenting(ANON, server(), RSA), "servers-refused"),
    # tokens
    (SIGNED, presenting(ANON, client()), "client-token"),
    (SIGNED, presenting(CERTIFIED, client(), signature=""), "token-nonce"),
    (SIGNED, presenting(ANON, client(ou=None)), "client-token"),
    (SIGNED, presenting(ANON, client(), user="any", password="thing"), "client-token"),
    (SIGNED, presenting(ANON, client(), STRANGER), "token-signature"),
    (policy(SIGNED, client_signers=()), presenting(ANON, client()), "token-no-signer"),
    (policy(SIGNED, client_signers=(Unusable("x", "y"),)), presenting(ANON, client()), "token-no-signer"),
    (policy(SIGNED, server_signers=()), presenting(ANON, server()), "token-no-signer"),
    (SIGNED, presenting(ANON, server(), RSA), "server-token"),
    (SIGNED, presenting(ANON, client(), RSA), "token-signature"),
    (ISSUERS, presenting(ANON, client(), RSA), "token-signature"),
    (ISSUERS, presenting(ANON, client(ou=1)), "token-claims"),
    (ISSUERS, presenting(ANON, client(ou="")), "token-organization"),
    (ISSUERS, presenting(ANON, client(ou="acme")), "token-signature"),
    (ISSUERS, presenting(CERTIFIED, provisioning()), "token-purpose"),
    (ISSUERS, presenting(ANON, client(purpose="")), "token-purpose"),
    (ISSUERS, presenting(LEAF, client()), "token-kind"),
    (ISSUERS, presenting(LEAF, provisioning()), "token-purpose"),
    (ISSUERS, presenting(ANON, client(), nonce=""), "token-nonce"),
    (ISSUERS, presenting(ANON, server(), signature=proof(STRANGER)), "token-nonce"),
    (
        policy(ISSUERS, accounts=frozenset({"choria"})),
        presenting(ANON, client(ou="acme"), OTHER_ORGANIZATION),
        "account-absent",
    ),
    (ISSUERS, presenting(SELF, client()), "in-process"),
    # certificates
    (SIGNED, CERTIFIED, "mtls"),
    (PLAIN, LEAF, "mtls"),
    (policy(ISSUERS, choria_ca=True), LEAF, "mtls-pubsub-only"),
    (ISSUERS, LEAF, "mtls-token-required"),
    (PLAIN, ask(LEAF, tls=TlsState.ANON), "certificate-required"),
    (policy(PLAIN, client_hosts=OUTSIDE), ask(CERTIFIED, address=""), "mtls-outside-client-hosts"),
    (policy(PLAIN, client_hosts=OUTSIDE), ask(CERTIFIED, address="[::ffff:10.1.2.3]"), "mtls"),
    (policy(PLAIN, client_hosts=OUTSIDE, deny_server_connections=True), SELF, "in-process"),
    # nodes to be provisioned
    (provisioned(ISSUERS), presenting(ANON, provisioning()), "provisionee"),
    (provisioned(ISSUERS), presenting(ANON, provisioning(), signature=""), "provisionee"),
    (provisioned(ISSUERS), presenting(ask(ANON, kind=Kind.LEAFNODE), provisioning()), "provisionee-kind"),
    (provisioned(ISSUERS), presenting(ANON, provisioning(ou=None)), "token-organization"),
    (provisioned(ISSUERS), presenting(ANON, provisioning(ou="acme")), "token-signature"),
    (provisioned(ISSUERS), presenting(ANON, provisioning(), RSA), "token-no-signer"),
    (provisioned(ISSUERS), presenting(ANON, provisioning(ou=1)), "token-claims"),
    (
        provisioned(ISSUERS, provisioning_signer=Signer("r", RSA.public_key())),
        presenting(ANON, provisioning(ou=None), RSA),
        "provisionee",
    ),
    (
        provisioned(ISSUERS, provisioning_signer=Signer("s", STRANGER.public_key())),
        presenting(ANON, provisioning(), STRANGER),
        "token-signature",
    ),
    (
        provisioned(PLAIN, provisioning_signer=Signer("s", STRANGER.public_key())),
        presenting(ANON, provisioning(), STRANGER),
        "provisionee",
    ),
    (
        provisioned(PLAIN, provisioning_signer=Unusable("/gone", "the file could not be read")),
        presenting(ANON, provisioning()),
        "token-no-signer",
    ),
    (policy(ISSUERS, accounts=frozenset({"choria"})), presenting(ANON, provisioning()), "provisioning-disabled"),
    (provisioned(ISSUERS, is_tls=False), presenting(ANON, provisioning()), "token-purpose"),
]


EDGE = policy(PLAIN, unverified_account="EDGE")
UNVERIFIED: list[Any] = [
    (EDGE, ANON, ("unverified", "EDGE", None)),
    (EDGE, CLEAR, ("unverified", "EDGE", None)),
    (policy(EDGE, is_tls=False), CLEAR, ("unverified", "EDGE", None)),
    (policy(ISSUERS, unverified_account="EDGE"), ANON, ("unverified", "EDGE", None)),
    (policy(EDGE, client_hosts=INSIDE), ANON, ("unverified", "EDGE", None)),
    (
        policy(EDGE, client_hosts=OUTSIDE),
        CLEAR,
        ("unverified-outside-client-hosts", "EDGE", permissions.DEFAULT_SERVER),
    ),
    (
        policy(EDGE, client_hosts=OUTSIDE, deny_server_connections=True),
        ANON,
        ("unverified-denied", "EDGE", permissions.NOTHING),
    ),
    (policy(EDGE, deny_server_connections=True), ANON, ("unverified", "EDGE", None)),
    (policy(EDGE, unverified_account="NOWHERE"), ANON, ("account-absent", "", None)),
    (PLAIN, ANON, ("certificate-required", "", None)),
    (EDGE, ask(ANON, token="x"), ("token-malformed", "", None)),
    (EDGE, ask(CLEAR, token="x"), ("tls-required", "", None)),
    (policy(EDGE, is_tls=False), ask(CLEAR, token="x"), ("certificate-required", "", None)),
    (EDGE, ask(ANON, user="bob"), ("certificate-required", "", None)),
    (EDGE, ask(ANON, password="x"), ("certificate-required", "", None)),
    (EDGE, ask(ANON, signature="x"), ("certificate-required", "", None)),
    (EDGE, ask(ANON, jwt="x"), ("certificate-required", "", None)),
    (EDGE, ask(ANON, nkey="x"), ("certificate-required", "", None)),
    (EDGE, ask(ANON, certificate=Certificate("node")), ("certificate-required", "", None)),
    (EDGE, ask(ANON, kind=Kind.LEAFNODE), ("certificate-required", "", None)),
    (policy(ISSUERS, unverified_account="EDGE"), ask(CERTIFIED, certificate=None), ("mtls-token-required", "", None)),
    (EDGE, CERTIFIED, ("mtls", "choria", None)),
    (EDGE, SELF, ("in-process", "choria", None)),
]
