"""Policies, questions and the rules that decide about them, where the reference vectors do not go."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from choria_broker.access import permissions
from choria_broker.access.client_hosts import ClientHosts
from choria_broker.access.policy import Policy
from choria_broker.access.request import Authority, Certificate, ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.revoked import Revocations
from choria_broker.access.trust import Organization, Signer, Unusable
from choria_broker.settings.findings import Origin
from choria_broker.settings.network import SystemUser
from choria_broker.settings.revocation import Authority as RevokedAuthority
from choria_broker.settings.revocation import Crl, CrlExpired, Entry, EntryKind, Revocation
from choria_broker.settings.secret import Secret
from choria_broker.values import replace
from support.minting import (
    CHAIN_ISSUER,
    HOLDER,
    NONCE,
    NOW,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    RSA,
    STRANGER,
    chained,
    client,
    hex_of,
    ksuid,
    mint,
    proof,
    provisioning,
    server,
)

ACCOUNTS = frozenset({"system", "choria", "provisioning", "EDGE", "ACME"})
PLAIN = Policy(is_tls=True, accounts=ACCOUNTS)
SIGNED = replace(
    PLAIN,
    client_signers=(Unusable("/gone", "the file could not be read"), Signer("s", ORGANIZATION.public_key())),
    server_signers=(Signer("r", RSA.public_key()), Signer("s", ORGANIZATION.public_key())),
)
ISSUERS = replace(
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
ANON = ConnectRequest(kind=ConnectionKind.CLIENT, tls=TlsState.ANON, address="192.0.2.10", nonce=NONCE)
CERTIFIED = replace(ANON, tls=TlsState.MTLS, certificate=Certificate("node"))
CLEAR = replace(ANON, tls=TlsState.NONE)
LEAF = replace(CERTIFIED, kind=ConnectionKind.LEAFNODE)
SELF = replace(CLEAR, kind=ConnectionKind.IN_PROCESS, address="")


def policy(base: Policy, **changes: Any) -> Policy:
    """Change a policy."""
    return replace(base, **changes)


def provisioned(base: Policy, **changes: Any) -> Policy:
    """Let a policy have a provisioner."""
    return policy(base, provisioner_password=Secret("prov"), **changes)


def with_system(base: Policy, *, password: str | None = None, **changes: Any) -> Policy:
    """Let a policy have a system user."""
    return policy(
        base, system_user=SystemUser(user="sys", password=Secret("sesame" if password is None else password)), **changes
    )


def ask(base: ConnectRequest, **changes: Any) -> ConnectRequest:
    """Change a question."""
    return replace(base, **changes)


def presenting(base: ConnectRequest, claims: dict[str, Any], key: Any = ORGANIZATION, **changes: Any) -> ConnectRequest:
    """Present a token and prove that it is held."""
    token = mint(claims, key)
    return replace(base, **{"token": token, "jwt": token, "signature": proof(), **changes})


def of_acme(base: ConnectRequest, claims: dict[str, Any], **changes: Any) -> ConnectRequest:
    """Present a token of the organization that has an account of its own."""
    return presenting(base, {**claims, "ou": "acme"}, OTHER_ORGANIZATION, **changes)


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
    # organizations with accounts of their own do not meet in provisioning and system
    (provisioned(ISSUERS), of_acme(ANON, flags("provisioner"), **PASSWORD), "organization-apart"),
    (provisioned(ISSUERS), of_acme(CERTIFIED, flags("provisioner"), **PASSWORD), "organization-apart"),
    (provisioned(ISSUERS), of_acme(ANON, flags("org_admin", "provisioner"), **PASSWORD), "organization-apart"),
    (provisioned(ISSUERS), of_acme(ANON, client(), **PASSWORD), "organization-apart"),
    (
        provisioned(ISSUERS, provisioner_without_token=True),
        of_acme(ANON, flags("provisioner"), **PASSWORD),
        "organization-apart",
    ),
    (provisioned(ISSUERS), of_acme(ANON, flags("provisioner"), **PASSWORD, signature=""), "token-nonce"),
    (provisioned(ISSUERS), of_acme(ANON, provisioning()), "organization-apart"),
    (provisioned(ISSUERS), of_acme(ANON, provisioning(), user="node", password="x"), "organization-apart"),
    (provisioned(ISSUERS), of_acme(ANON, provisioning(purpose="")), "organization-apart"),
    (
        policy(provisioned(ISSUERS), client_tokens_only=True),
        of_acme(ANON, provisioning()),
        "organization-apart",
    ),
    (
        policy(provisioned(ISSUERS), unverified_account="EDGE"),
        of_acme(ANON, provisioning()),
        "organization-apart",
    ),
    (
        provisioned(ISSUERS, provisioning_signer=Signer("r", RSA.public_key())),
        presenting(ANON, provisioning(ou="acme"), RSA),
        "organization-apart",
    ),
    (with_system(ISSUERS), of_acme(ANON, flags("system_user"), **SYSTEM), "organization-apart"),
    (with_system(ISSUERS), of_acme(ANON, flags("org_admin"), **SYSTEM), "organization-apart"),
    (with_system(ISSUERS), of_acme(ANON, client(), **SYSTEM), "organization-apart"),
    (
        policy(with_system(ISSUERS), client_tokens_only=True),
        of_acme(CERTIFIED, flags("system_user"), **SYSTEM),
        "organization-apart",
    ),
    # no token is needed beside a certificate, but one of such an organization says whose login it is
    (with_system(ISSUERS), of_acme(CERTIFIED, flags("system_user"), **SYSTEM), "organization-apart"),
    (with_system(ISSUERS), presenting(CERTIFIED, flags("system_user", ou="nobody"), **SYSTEM), "system-user"),
    (with_system(ISSUERS), ask(CERTIFIED, token="x.y", **SYSTEM), "system-user"),
    # a system user of that name never gets to account system
    (
        provisioned(PLAIN, system_user=SystemUser(user="provisioner", password=Secret("prov"))),
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
        presenting(ask(ANON, kind=ConnectionKind.LEAFNODE), flags("system_user"), **SYSTEM),
        "token-kind",
    ),
    (with_system(PLAIN), ask(CERTIFIED, user="Sys", password="sesame"), "mtls"),
    (policy(PLAIN, system_user=SystemUser(user="", password=Secret(""))), CERTIFIED, "mtls"),
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
    (SIGNED, presenting(ANON, server(identity="web1."), RSA), "server-names"),
    (SIGNED, presenting(ANON, server(collectives=["choria", "*"]), RSA), "server-names"),
    (
        policy(SIGNED, deny_server_connections=True),
        presenting(ANON, server(identity="*"), RSA),
        "server-names",
    ),
    (ISSUERS, presenting(ANON, client(), RSA), "token-signature"),
    (ISSUERS, presenting(ANON, client(ou=1)), "token-claims"),
    (ISSUERS, presenting(ANON, client(ou="")), "token-organization"),
    (ISSUERS, presenting(ANON, client(ou="acme")), "token-signature"),
    (ISSUERS, presenting(CERTIFIED, provisioning()), "token-purpose"),
    (ISSUERS, presenting(ANON, client(purpose="")), "token-purpose"),
    (ISSUERS, presenting(LEAF, client()), "token-kind"),
    (ISSUERS, presenting(LEAF, provisioning()), "token-kind"),
    # nothing of a leafnode's token is read: not what the engine kept back, nor what is no token at all
    (ISSUERS, ask(LEAF, token_unread=True), "token-kind"),
    (ISSUERS, ask(LEAF, token="["), "token-kind"),
    (PLAIN, ask(LEAF, token_unread=True), "token-kind"),
    (ISSUERS, ask(LEAF, tls=TlsState.ANON, token_unread=True), "token-kind"),
    (PLAIN, ask(LEAF, address="", token_unread=True), "address-unknown"),
    (provisioned(ISSUERS), ask(LEAF, token_unread=True, **PASSWORD), "token-kind"),
    (with_system(ISSUERS), ask(LEAF, tls=TlsState.ANON, token_unread=True, **SYSTEM), "token-kind"),
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
    (provisioned(ISSUERS), presenting(ask(ANON, kind=ConnectionKind.LEAFNODE), provisioning()), "token-kind"),
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
    (EDGE, ask(ANON, kind=ConnectionKind.LEAFNODE), ("certificate-required", "", None)),
    (policy(ISSUERS, unverified_account="EDGE"), ask(CERTIFIED, certificate=None), ("mtls-token-required", "", None)),
    (EDGE, CERTIFIED, ("mtls", "choria", None)),
    (EDGE, SELF, ("in-process", "choria", None)),
]


PLACE = Origin("/etc/choria/revoked", 3)
REVOKED_CERTIFICATE = Certificate("node", "4f", "CN=CA", "leaf", 0, (), Authority("CN=CA", "ca", "key"))
_VERIFIED = replace(CERTIFIED, certificate=REVOKED_CERTIFICATE)
_ISSUED = chained(client())


def revoking(base: Policy, subject: EntryKind, value: str) -> Policy:
    """Let a policy revoke somebody."""
    entries = (Entry(subject, value, PLACE),)
    return policy(base, revocations=Revocations(Revocation(entries=entries)))


def listing(base: Policy, *serials: str, **changes: Any) -> Policy:
    """Let a policy have a list of revoked certificates, which is out of date."""
    crl = Crl("CN=CA", "key", Path("/crl.pem"), NOW - 9.0, 1, NOW - 1.0, frozenset(serials))
    known = RevokedAuthority("ca", "key")
    return policy(base, revocations=Revocations(Revocation(crls=(crl,), authorities=(known,), **changes)))


REVOKED: list[Any] = [
    (revoking(PLAIN, EntryKind.IDENTITY, "node"), CERTIFIED, "revoked-identity"),
    (revoking(PLAIN, EntryKind.IDENTITY, "node"), LEAF, "revoked-identity"),
    (revoking(SIGNED, EntryKind.IDENTITY, "node1.example.net"), presenting(ANON, server()), "revoked-identity"),
    (revoking(SIGNED, EntryKind.IDENTITY, "node"), presenting(CERTIFIED, client()), "revoked-identity"),
    (revoking(SIGNED, EntryKind.CALLER, "up=alice"), presenting(ANON, client()), "revoked-caller"),
    (revoking(ISSUERS, EntryKind.CALLER, "up=alice"), of_acme(ANON, client()), "revoked-caller"),
    (revoking(SIGNED, EntryKind.TOKEN, client()["jti"]), presenting(ANON, client()), "revoked-token"),
    (revoking(SIGNED, EntryKind.KEY, hex_of(HOLDER)), presenting(ANON, server()), "revoked-key"),
    (
        revoking(ISSUERS, EntryKind.KEY, hex_of(CHAIN_ISSUER)),
        presenting(ANON, {**_ISSUED, "ou": "choria"}, CHAIN_ISSUER),
        "revoked-key",
    ),
    (
        revoking(ISSUERS, EntryKind.TOKEN, ksuid(NOW - 600, random=9)),
        presenting(ANON, {**_ISSUED, "ou": "choria"}, CHAIN_ISSUER),
        "revoked-token",
    ),
    (revoking(provisioned(PLAIN), EntryKind.IDENTITY, "node"), ask(CERTIFIED, **PASSWORD), "revoked-identity"),
    (revoking(with_system(PLAIN), EntryKind.IDENTITY, "node"), ask(CERTIFIED, **SYSTEM), "revoked-identity"),
    (revoking(PLAIN, EntryKind.CERTIFICATE, "4f"), _VERIFIED, "revoked-certificate"),
    (listing(PLAIN, "4f"), _VERIFIED, "revoked-certificate"),
    (listing(PLAIN, "4f"), ask(_VERIFIED, kind=ConnectionKind.LEAFNODE), "revoked-certificate"),
    (listing(PLAIN, expired=CrlExpired.REFUSE), _VERIFIED, "crl-expired"),
]
"""Policies that revoke, questions of those who are revoked, and the rules that refuse them."""
