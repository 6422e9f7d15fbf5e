"""What decisions depend on, prepared once."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from choria_broker.access.client_hosts import ClientHosts
from choria_broker.access.revoked import NOBODY, Revocations
from choria_broker.access.trust import Organization, SignerEntry
from choria_broker.security.keys import SignatureCheck, ed25519_verifies
from choria_broker.settings.network import SystemUser
from choria_broker.settings.secret import Secret

OWN_ACCOUNT = "account/"
"""The broker's own connections join another account than ``choria`` by a user of this and the account's name."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything decisions depend on, prepared once.

    Attributes:
        is_tls: the client port uses TLS.
        accounts: the accounts there are.
        issuers: organization issuers by name; having any changes how tokens and certificates count.
        client_signers: who signs client tokens when there are no organization issuers.
        server_signers: who signs server tokens when there are no organization issuers.
        provisioning_signer: who signs provisioning tokens that no organization issuer signed, None when unset.
        provisioner_password: password of user ``provisioner``, None when there is no such login.
        provisioner_without_token: with organization issuers the provisioner needs only its password.
        system_user: login of account ``system``, None when there is none.
        choria_ca: a CA of the choria security provider is set.
        client_hosts: hosts that may make requests of the fleet.
        deny_server_connections: connections known to be fleet servers are denied everything.
        client_tokens_only: besides provisioning, only clients with tokens get in; certificates do not count.
        unverified_account: account of clients that present nothing, empty to refuse them.
        max_subscriptions: most subscriptions of a connection.
        revocations: who is revoked.
        signed_by: checks the ed25519 signatures of tokens and chains; never that of a nonce.
    """

    is_tls: bool
    accounts: frozenset[str]
    issuers: Mapping[str, Organization] = msgspec.field(default_factory=dict)
    client_signers: tuple[SignerEntry, ...] = ()
    server_signers: tuple[SignerEntry, ...] = ()
    provisioning_signer: SignerEntry | None = None
    provisioner_password: Secret | None = None
    provisioner_without_token: bool = False
    system_user: SystemUser | None = None
    choria_ca: bool = False
    client_hosts: ClientHosts = msgspec.field(default_factory=ClientHosts)
    deny_server_connections: bool = False
    client_tokens_only: bool = False
    unverified_account: str = ""
    max_subscriptions: int = 20_000
    revocations: Revocations = NOBODY
    signed_by: SignatureCheck = ed25519_verifies
