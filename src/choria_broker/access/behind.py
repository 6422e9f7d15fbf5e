"""Which settings stand behind a rule: what an operator would look at, or change, to have it decide otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from choria_broker.settings.network import NETWORK

_CLIENT_HOSTS = (f"{NETWORK}client_hosts",)
_DENIES = (f"{NETWORK}deny_server_connections", *_CLIENT_HOSTS)
_ISSUERS = ("plugin.security.issuer.names",)
_CA = ("plugin.security.file.ca", "plugin.security.provider")
_CLIENT_SIGNERS = (*_ISSUERS, f"{NETWORK}client_signer_cert")
_SERVER_SIGNERS = (*_ISSUERS, f"{NETWORK}server_signer_cert")
_PROVISIONING_SIGNERS = (*_ISSUERS, f"{NETWORK}provisioning.signer_cert")
_SIGNERS = tuple(dict.fromkeys((*_CLIENT_SIGNERS, *_SERVER_SIGNERS, *_PROVISIONING_SIGNERS)))
_PROVISIONER = (f"{NETWORK}provisioning.client_password",)
_SYSTEM = (f"{NETWORK}system.user", f"{NETWORK}system.password")
_REVOCATIONS = (f"{NETWORK}revocations",)
_CRL = (f"{NETWORK}crl",)
_ANONYMOUS = (f"{NETWORK}client_anon_tls",)
_UNVERIFIED = (f"{NETWORK}unverified_account",)

BEHIND: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tls-required": ("plugin.security.provider",),
        "tls-handshake": _CA,
        "organization-apart": _ISSUERS,
        "provisioner-disabled": _PROVISIONER,
        "provisioner-password": _PROVISIONER,
        "provisioner-token-required": (f"{NETWORK}provisioning.provisioner_without_token",),
        "provisioner-certificate-required": _CA,
        "provisioner": _PROVISIONER,
        "system-token-required": _CA,
        "system-password": _SYSTEM,
        "system-user": _SYSTEM,
        "client-token": _CLIENT_SIGNERS,
        "client-token-outside-client-hosts": _CLIENT_HOSTS,
        "server-token": _SERVER_SIGNERS,
        "server-denied": _DENIES[:1],
        "token-organization": _ISSUERS,
        "token-no-signer": _SIGNERS,
        "token-signature": _SIGNERS,
        "token-chain": _ISSUERS,
        "servers-refused": _ANONYMOUS,
        "client-token-required": _ANONYMOUS,
        "certificate-required": _CA,
        "mtls-pubsub-only": (*_ISSUERS, "plugin.security.choria.ca"),
        "mtls-token-required": (*_ISSUERS, "plugin.security.choria.ca"),
        "mtls": _CA,
        "mtls-outside-client-hosts": _CLIENT_HOSTS,
        "leafnode-denied": _DENIES,
        "mtls-denied": _DENIES,
        "provisioning-disabled": (*_PROVISIONER, f"{NETWORK}provisioning.signer_cert"),
        "provisionee-token-required": _PROVISIONING_SIGNERS,
        "provisionee": _PROVISIONING_SIGNERS,
        "unverified": _UNVERIFIED,
        "unverified-outside-client-hosts": (*_UNVERIFIED, *_CLIENT_HOSTS),
        "unverified-denied": (*_UNVERIFIED, *_DENIES),
        "revoked-identity": _REVOCATIONS,
        "revoked-caller": _REVOCATIONS,
        "revoked-token": _REVOCATIONS,
        "revoked-key": _REVOCATIONS,
        "revoked-certificate": (*_CRL, *_REVOCATIONS),
        "crl-expired": (f"{NETWORK}crl_expired", *_CRL),
        "account-absent": (f"{NETWORK}accounts",),
    }
)
"""Settings by the rule's name; rules about a token or a connection alone have none."""
