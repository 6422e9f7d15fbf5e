"""Who is trusted."""

from __future__ import annotations

import enum
from typing import Self

import msgspec

from choria_broker.settings.accounts import CHORIA_ACCOUNT

_IN_SSLDIR, _NAMED = "in ssldir", "named"


class Provider(enum.StrEnum):
    """Security providers, which say where certificate, key and CA are.

    Attributes:
        in_ssldir: in the directory that ``plugin.choria.ssldir`` names.
        named: each file has a setting, such as ``plugin.security.file.key``.
    """

    in_ssldir: bool
    named: bool

    def __new__(cls, name: str, where: str = "") -> Self:
        """Make a member out of a row."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.in_ssldir, member.named = where == _IN_SSLDIR, where == _NAMED
        return member

    PUPPET = "puppet", _IN_SSLDIR
    FILE = "file", _NAMED
    CERTMANAGER = "certmanager", _IN_SSLDIR
    CHORIA = "choria", _NAMED
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
