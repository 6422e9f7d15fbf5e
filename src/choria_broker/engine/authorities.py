"""On which CAs the connections of an engine hang, as the engine counts them."""

from __future__ import annotations

import msgspec


class Count(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many connections of one kind hang on one CA.

    Attributes:
        kind: the listener through which others came, as in ``settings.listeners.DOORS``, or ``to_cluster``,
            ``to_gateway`` or ``to_leafnode`` for links that this broker has made, where the other side's certificate
            counts.
        tls: ``mtls`` with a certificate, ``anon`` with TLS and without one, ``none`` without TLS.
        count: how many.
        subject: of the CA certificate in which the verified chain ends, in the notation of RFC 2253.
        fingerprint: SHA-256 of it as lower-case hex.
        expires: end of its validity, Unix seconds.

    The last three are empty and 0 without a certificate.
    """

    kind: str
    tls: str
    count: int
    subject: str = ""
    fingerprint: str = ""
    expires: float = 0.0
