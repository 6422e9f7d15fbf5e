"""From settings to the policy that decisions are made with."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from choria_broker.access.client_hosts import ClientHosts
from choria_broker.access.policy import Policy
from choria_broker.access.revoked import Revocations
from choria_broker.access.trust import Organization, Signer, SignerEntry, Unusable
from choria_broker.security import keys
from choria_broker.settings.broker import Settings
from choria_broker.settings.security import Issuer


class PolicyError(ValueError):
    """The settings cannot be turned into a policy that is safe to use; the message names the setting."""


def policy_from(
    settings: Settings,
    signed_by: keys.SignatureCheck = keys.ed25519_verifies,
) -> Policy:
    """Prepare the policy.

    Args:
        settings: what the broker was told.
        signed_by: checks the ed25519 signatures of tokens and chains.

    Returns:
        The policy. A signer whose key cannot be read becomes an entry that says why, so that the others still count.

    Raises:
        PolicyError: when the public key of an organization issuer is malformed.
    """
    network, signer_files = settings.network, settings.signer_files
    provisioning = network.provisioning
    issuers = {issuer.name: _organization(issuer) for issuer in settings.security.issuers}
    trusting = settings.tls.enabled
    return Policy(
        is_tls=trusting,
        accounts=frozenset(settings.account_names),
        issuers=MappingProxyType(issuers),
        # In clear text tokens and provisioning do not count, so there is nobody to trust.
        client_signers=_signers(network.client_signers, signer_files) if trusting else (),
        server_signers=_signers(network.server_signers, signer_files) if trusting else (),
        provisioning_signer=(
            _signer(str(provisioning.signer), signer_files) if trusting and provisioning.signer is not None else None
        ),
        provisioner_password=provisioning.client_password if trusting else None,
        provisioner_without_token=provisioning.provisioner_without_token and trusting,
        system_user=network.system_user,
        choria_ca=settings.security.choria_ca,
        client_hosts=ClientHosts.of(network.client_hosts),
        deny_server_connections=network.deny_server_connections,
        client_tokens_only=network.client_anon_tls,
        unverified_account=network.unverified_account,
        max_subscriptions=network.max_subscriptions,
        revocations=Revocations(network.revocation),
        signed_by=signed_by,
    )


def _organization(issuer: Issuer) -> Organization:
    try:
        key = keys.ed25519_from_hex(issuer.public_key)
    except keys.KeyFormError as error:
        raise PolicyError(f"plugin.security.issuer.{issuer.name}.public: {error}") from None
    return Organization(name=issuer.name, key=key, account=issuer.account)


def _signers(entries: tuple[str, ...], signer_files: Mapping[str, bytes | None]) -> tuple[SignerEntry, ...]:
    return tuple(_signer(entry, signer_files) for entry in entries)


def _signer(entry: str, signer_files: Mapping[str, bytes | None]) -> SignerEntry:
    if keys.is_hex_key(entry):
        return Signer(entry, keys.ed25519_from_hex(entry))
    content = signer_files.get(entry)
    if content is None:
        return Unusable(entry, "the file could not be read")
    try:
        return Signer(entry, keys.key_from_file(content))
    except keys.KeyFormError as error:
        return Unusable(entry, str(error))
