"""The certificates the broker works with, and when they expire."""

from __future__ import annotations

import dataclasses
import enum
import warnings
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from choria_broker.access.build import signer_file_names
from choria_broker.config.settings import Settings
from choria_broker.security.malformed import MALFORMED

_BEGIN = b"-----BEGIN CERTIFICATE-----"


class Role(enum.StrEnum):
    """What a certificate is for."""

    BROKER = "broker"
    CA = "ca"
    SIGNER = "signer"
    GATEWAY = "gateway"
    GATEWAY_CA = "gateway-ca"
    LEAFNODE = "leafnode"
    LEAFNODE_CA = "leafnode-ca"


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A file with certificates, and what they are for."""

    role: Role
    file: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate.

    Attributes:
        source: where it is, and what for.
        subject: whose it is, in the notation of RFC 4514.
        expires: end of its validity, Unix seconds.
    """

    source: Source
    subject: str
    expires: float


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
    latest: dict[tuple[Source, str], float] = {}
    for source, content in files:
        for block in content.split(_BEGIN)[1:]:
            try:
                subject, expires = _read(_BEGIN + block)
            except MALFORMED:
                continue
            latest[source, subject] = max(expires, latest.get((source, subject), expires))
    return tuple(Certificate(source, subject, expires) for (source, subject), expires in latest.items())


def _read(pem: bytes) -> tuple[str, float]:
    with warnings.catch_warnings():
        # Old CAs have serial numbers that the library announces to refuse one day; the engine takes them.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        found = x509.load_pem_x509_certificate(pem)
    return found.subject.rfc4514_string(), found.not_valid_after_utc.timestamp()
