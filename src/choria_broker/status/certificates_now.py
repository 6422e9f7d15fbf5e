"""The certificates a broker works with, the first to end first, and what hangs on its CAs."""

from __future__ import annotations

import msgspec

from choria_broker.settings.durations import DAY
from choria_broker.status.document import AuthoritiesReport, CertificateReport, Overview
from choria_broker.status.revocation import RevocationReport

SOON = 14 * DAY
"""Seconds before the end of a certificate in which it is time to renew it."""


class Certificates(msgspec.Struct, frozen=True):
    """What is shown.

    Attributes:
        certificates: those the broker works with, the first to end first.
        ending: how many of them have ended, or end within the time that was asked for.
        authorities: connections by CA; None before they were counted.
        revocation: what is revoked.
        expiring_tokens: sessions whose token ends within a day, by organization and key of the issuer.
    """

    certificates: tuple[CertificateReport, ...]
    ending: int
    authorities: AuthoritiesReport | None
    revocation: RevocationReport
    expiring_tokens: dict[str, int]


def certificates_now(found: Overview, within: float = SOON) -> Certificates:
    """Take them from the status.

    Args:
        found: the status.
        within: seconds in which certificates count that end.
    """
    ordered = tuple(sorted(found.certificates, key=lambda each: (each.expires, each.file)))
    ending = sum(each.days_left * DAY <= within for each in ordered)
    return Certificates(ordered, ending, found.authorities, found.revocation, dict(found.expiring_tokens))
