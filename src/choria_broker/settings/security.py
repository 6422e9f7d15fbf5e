"""Who is trusted."""

from __future__ import annotations

import enum

import msgspec

from choria_broker.settings.accounts import CHORIA_ACCOUNT


class Provider(enum.StrEnum):
    """Security providers, which say where certificate, key and CA are."""

    PUPPET = "puppet"
    FILE = "file"
    CERTMANAGER = "certmanager"
    CHORIA = "choria"
    PKCS11 = "pkcs11"


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """An organization issuer.

    Attributes:
        name: compared with the ``ou`` claim.
        public_key: 64 lower-case hex digits.
        account: account its connections are placed in.
    """

    name: str
    public_key: str
    account: str = CHORIA_ACCOUNT


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """Who is trusted.

    Attributes:
        provider: where certificates come from.
        issuers: organization issuers; non-empty selects issuer mode.
        choria_ca: ``plugin.security.choria.ca`` is set.
    """

    provider: Provider = Provider.PUPPET
    issuers: tuple[Issuer, ...] = ()
    choria_ca: bool = False

    @property
    def accounts(self) -> tuple[str, ...]:
        """Accounts of the organization issuers, in their order."""
        return tuple(issuer.account for issuer in self.issuers)
