"""What takes away the right to be here: lists of revoked certificates, and the revocation file; as frozen values."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import ClassVar

import msgspec

from choria_broker.settings.findings import Origin
from choria_broker.values import Discreet


class EntryKind(enum.StrEnum):
    """What an entry of the revocation file names."""

    IDENTITY = "identity"
    """A server, by the identity in its token or the common name of its certificate."""
    CALLER = "caller"
    """A client, by the caller id in its token."""
    TOKEN = "token"  # noqa: S105 - a word
    """One token by its id, ``jti``; with the token of a chain issuer all that it issued."""
    KEY = "key"
    """The ed25519 key of a token's holder; with the key of a chain issuer all that it issued."""
    CERTIFICATE = "certificate"
    """A certificate by its serial number; with that of an intermediate CA all below it."""

    @property
    def is_seen_by_engine(self) -> bool:
        """It can be of a certificate, at which the engine looks where the broker is not asked."""
        return self in {EntryKind.IDENTITY, EntryKind.CERTIFICATE}


class CrlExpired(enum.StrEnum):
    """What a certificate counts whose issuer's list is past its next update."""

    ACCEPT = "accept"
    """As much as before: what the list revokes is revoked."""
    REFUSE = "refuse"
    """Nothing: no certificate of that issuer gets in."""


class Entry(msgspec.Struct, frozen=True):
    """One line of the revocation file.

    Attributes:
        subject: what it names.
        value: the name, in the spelling in which it is compared.
        origin: file and line.
        until: Unix seconds from which on it revokes nothing any more, None for ever.
        issuer: of a certificate: the parts of its issuer's name in their one spelling, empty for any issuer.
        issuer_told: the same as it was written.
    """

    subject: EntryKind
    value: str
    origin: Origin
    until: float | None = None
    issuer: tuple[str, ...] = ()
    issuer_told: str = ""

    def counts(self, now: float) -> bool:
        """Tell whether it revokes anything at a moment, in Unix seconds."""
        return self.until is None or now < self.until

    def __str__(self) -> str:
        """Write it as in the file, without what ends it."""
        issuer = f' issuer="{self.issuer_told}"' if self.issuer_told else ""
        return f"{self.subject} {self.value}{issuer}"


class Crl(Discreet, frozen=True):
    """One list of revoked certificates, verified.

    Attributes:
        issuer: distinguished name, in the notation of RFC 4514.
        key: SHA-256 of the public key that signed it, in DER, as lower-case hex. Names of CAs are given twice at times.
        file: where it is.
        number: its number, None where it has none.
        updated: when it was made, Unix seconds.
        next_update: when it is to be replaced, Unix seconds, None where it does not say.
        serials: serial numbers as lower-case hex without leading zeros.
        point: what it says of where it is distributed, empty where it does not: a CA may spread its certificates over
            several lists.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"serials"})

    issuer: str
    key: str
    file: Path
    updated: float
    number: int | None = None
    next_update: float | None = None
    serials: frozenset[str] = frozenset()
    point: str = ""

    def overdue(self, now: float) -> bool:
        """Tell whether it should have been replaced by a moment, in Unix seconds."""
        return self.next_update is not None and self.next_update <= now

    def older_than(self, other: Crl) -> bool:
        """Tell whether another list of the same key has replaced it."""
        if self.number is not None and other.number is not None and self.number != other.number:
            return self.number < other.number
        return self.updated < other.updated


class Authority(msgspec.Struct, frozen=True):
    """A certificate in the CA file.

    Attributes:
        fingerprint: SHA-256 of its DER form as lower-case hex.
        key: of its public key, as in ``Crl``.
        subject, issuer: parts of the names in their one spelling.
        serial: serial number as lower-case hex without leading zeros.
        issuer_key: key of the CA in the file that issued it; empty where it issued itself, or none did.
    """

    fingerprint: str
    key: str
    subject: tuple[str, ...] = ()
    issuer: tuple[str, ...] = ()
    serial: str = ""
    issuer_key: str = ""


class Revocation(Discreet, frozen=True, kw_only=True):
    """What is revoked, and what follows from it.

    Attributes:
        crl_files: where lists of revoked certificates are looked for.
        crls: the lists in force, at most one for each key.
        expired: what certificates count whose issuer's list is past its next update.
        file: the revocation file, None where there is none.
        entries: its entries.
        authorities: the certificates in the CA file.
        enforce_expiry: sessions end when their token or certificate does.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"crls", "entries", "authorities"})

    crl_files: tuple[Path, ...] = ()
    crls: tuple[Crl, ...] = ()
    expired: CrlExpired = CrlExpired.ACCEPT
    file: Path | None = None
    entries: tuple[Entry, ...] = ()
    authorities: tuple[Authority, ...] = ()
    enforce_expiry: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read for it."""
        return (*self.crl_files, *([self.file] if self.file else ()))


NOTHING_REVOKED = Revocation()
"""Nothing is revoked, and no list is kept."""
