"""What the certificate library raises for certificates and keys that are not as they should be."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""Errors to catch around reading a certificate or key that somebody else wrote; not all of them are ``ValueError``."""
