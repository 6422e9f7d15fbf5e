"""CAs that revoke: lists of revoked certificates of every form, made for a test, and who is refused for them."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nats.errors
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from support.testbed import Authority, Identity, client

HOUR = dt.timedelta(hours=1)


def serial_of(identity: Identity) -> int:
    """Return the serial number of an identity's own certificate."""
    return x509.load_pem_x509_certificate(identity.certificate.read_bytes()).serial_number


def crl(  # noqa: PLR0913 - each is a kind of list
    ca: trustme.CA,
    serials: Iterable[int] = (),
    *,
    number: int | None = 1,
    updated: dt.datetime | None = None,
    lasts: dt.timedelta = HOUR,
    pss: bool = False,
    delta: bool = False,
    extension: x509.ExtensionType | None = None,
    signed_by: trustme.CA | None = None,
) -> bytes:
    """Make a list of revoked certificates, in PEM.

    Args:
        ca: whose list it is.
        serials: what it revokes.
        number: of the list, None for none.
        updated: when it was made; a minute ago when left out.
        lasts: time until its next update.
        pss: sign with RSA-PSS.
        delta: make it a delta list.
        extension: a further one, critical.
        signed_by: another CA that signs it in place of its own.
    """
    updated = updated or dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    authority, key = ca._certificate, (signed_by or ca)._private_key
    builder = x509.CertificateRevocationListBuilder(authority.subject, updated, updated + lasts)
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder(serial, updated)
        builder = builder.add_revoked_certificate(revoked.build())
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    if delta:
        builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
    if extension:
        builder = builder.add_extension(extension, critical=True)
    padded = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH) if pss else None
    if padded:
        assert isinstance(key, rsa.RSAPrivateKey)
    return builder.sign(key, hashes.SHA256(), rsa_padding=padded).public_bytes(Encoding.PEM)


class RevokingAuthority(Authority):
    """A CA with a list of revoked certificates in a file.

    Attributes:
        crl: the file; there is none before ``revoke``.
        root: the CA itself.
    """

    def __init__(
        self, folder: Path, name: str = "ca", *, key_type: trustme.KeyType = trustme.KeyType.ECDSA, pss: bool = False
    ) -> None:
        """Make the CA and write its certificate."""
        self.root = self._ca = trustme.CA(key_type=key_type)
        self._folder = folder
        self.ca = folder / f"{name}.pem"
        self.crl = folder / f"{name}-crl.pem"
        self._ca.cert_pem.write_to_path(self.ca)
        self._pss, self._number, self._revoked = pss, 0, set[int]()

    def revoke(self, *identities: Identity, lasts: dt.timedelta = HOUR) -> None:
        """Write a new list with further certificates."""
        self._number += 1
        self._revoked |= {serial_of(each) for each in identities}
        written = self.crl.with_suffix(".new")
        written.write_bytes(crl(self.root, self._revoked, number=self._number, lasts=lasts, pss=self._pss))
        written.rename(self.crl)


async def refused(port: int, context: ssl.SSLContext) -> None:
    """Make sure that nobody gets in this way."""
    with pytest.raises((nats.errors.Error, OSError)):
        async with client_at(port, context):
            pass


def client_at(port: int, context: ssl.SSLContext, **options: Any) -> contextlib.AbstractAsyncContextManager[Client]:
    """Connect to a port."""
    return client(None, context, port=port, **options)  # type: ignore[arg-type] # not looked at with a port


def last_rule(one: NetworkBroker) -> str:
    """The rule of the latest decision."""
    return one.audit.recent[-1].rule
