"""Whether the engine would verify a client's certificate, found out without a connection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from cryptography import x509

from choria_broker.security import pem, verifier
from choria_broker.security.certificates import UnreadableCertificateError, is_issued, load


class CertificateFileError(ValueError):
    """A file holds no certificates; the message says why."""


def load_chain(content: bytes) -> tuple[x509.Certificate, ...]:
    """Load the certificates of a PEM file in their order.

    Raises:
        CertificateFileError: there is none, or one cannot be read.
    """
    pieces = pem.certificates(content)
    if not pieces:
        raise CertificateFileError("no PEM certificate in the file")
    try:
        return tuple(map(load, pieces))
    except UnreadableCertificateError as error:
        raise CertificateFileError(f"a certificate in the file {error}") from None


def refusal(chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], now: dt.datetime) -> str | None:
    """Say why the engine would refuse a client's certificate during the TLS handshake, None when it would verify it.

    Args:
        chain: what the client sends, its own certificate first; not empty.
        trusted: the certificates in the broker's CA file.
        now: the moment, with time zone.
    """
    fault = verifier.refusal(chain, trusted, now, verifier.Use.CLIENT)
    return fault.text.replace("a CA in the CA file", "a CA in the broker's CA file") if fault else None


def path(chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Return the certificates by which the engine verifies a client's, from that up to one in the CA file.

    Where there are several ways it takes the first that ends, as here.

    Args:
        chain: what the client sends, its own certificate first; not empty.
        trusted: the certificates in the broker's CA file.

    Returns:
        The way, or only the client's own certificate where there is none.
    """
    return next(_paths((chain[0],), chain[1:], trusted), (chain[0],))


def _paths(
    begun: tuple[x509.Certificate, ...], sent: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]
) -> Iterator[tuple[x509.Certificate, ...]]:
    yield from ((*begun, each) for each in trusted if is_issued(begun[-1], each))
    for each in sent:
        if each not in begun and is_issued(begun[-1], each):
            yield from _paths((*begun, each), sent, trusted)
