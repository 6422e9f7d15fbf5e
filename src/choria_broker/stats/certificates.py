"""The certificates the broker works with, and when they expire."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256

from choria_broker.security import pem
from choria_broker.security.certificates import load
from choria_broker.security.malformed import MALFORMED
from choria_broker.security.signer_files import signer_file_names
from choria_broker.settings.broker import Settings


class Role(enum.StrEnum):
    """What a certificate is for."""

    BROKER = "broker"
    CA = "ca"
    SIGNER = "signer"
    GATEWAY = "gateway"
    GATEWAY_CA = "gateway-ca"
    LEAFNODE = "leafnode"
    LEAFNODE_CA = "leafnode-ca"


class Source(msgspec.Struct, frozen=True):
    """A file with certificates, and what they are for."""

    role: Role
    file: Path


class Certificate(msgspec.Struct, frozen=True):
    """One certificate.

    Attributes:
        source: where it is, and what for.
        subject: whose it is, in the notation of RFC 4514.
        expires: end of its validity, Unix seconds.
        fingerprint: SHA-256 of it as lower-case hex.
    """

    source: Source
    subject: str
    expires: float
    fingerprint: str = ""


def sources(settings: Settings) -> tuple[Source, ...]:
    """Name every file in which the settings have the broker look for certificates, each once for a role."""
    named: list[tuple[Role, Path | None]] = []
    if settings.tls.files:
        named += [(Role.BROKER, settings.tls.files.certificate), (Role.CA, settings.tls.files.ca)]
    named += [(Role.SIGNER, Path(name)) for name in signer_file_names(settings)]
    for gateway in settings.network.gateway.remotes:
        named += [(Role.GATEWAY, gateway.tls.certificate), (Role.GATEWAY_CA, gateway.tls.ca)]
    for leafnode in settings.network.leafnodes.remotes:
        named += [(Role.LEAFNODE, leafnode.tls.certificate), (Role.LEAFNODE_CA, leafnode.tls.ca)]
    return tuple(dict.fromkeys(Source(role, file) for role, file in named if file))


def certificates(files: Iterable[tuple[Source, bytes]]) -> tuple[Certificate, ...]:
    """Find the certificates in files.

    Of several certificates of one subject in a file, as while a CA is renewed, the one that lasts longest counts.
    What is no certificate, such as a signer's bare key, is passed over.

    Args:
        files: the files with their content.
    """
    latest: dict[tuple[Source, str], tuple[float, str]] = {}
    for source, content in files:
        for piece in pem.certificates(content):
            try:
                found = load(piece)
                subject, expires = found.subject.rfc4514_string(), found.not_valid_after_utc.timestamp()
                fingerprint = found.fingerprint(SHA256()).hex()
            except MALFORMED:
                continue
            this = (expires, fingerprint)
            latest[source, subject] = max(this, latest.get((source, subject), this))
    return tuple(Certificate(*named, *last) for named, last in latest.items())


def expired_own(found: Iterable[Certificate], now: float) -> tuple[Certificate, ...]:
    """Return the certificates that this broker shows to others and that have expired."""
    shown = (Role.BROKER, Role.GATEWAY, Role.LEAFNODE)
    return tuple(each for each in found if each.source.role in shown and each.expires <= now)
