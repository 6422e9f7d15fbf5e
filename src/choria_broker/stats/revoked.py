"""What is revoked, counted."""

from __future__ import annotations

import collections
from collections.abc import Mapping

import msgspec

from choria_broker.settings.revocation import NOTHING_REVOKED, Crl, EntryKind, Revocation
from choria_broker.stats.families import Values

LISTED = "listed_certificate"
"""The kind of what lists of revoked certificates have, beside the kinds of entries of the revocation file."""


class Revoked(msgspec.Struct, frozen=True):
    """What is revoked at one moment.

    Attributes:
        revocation: what is in force.
        now: Unix seconds.
        ended: sessions that were ended, by rule or ``expired``.
    """

    revocation: Revocation = NOTHING_REVOKED
    now: float = 0.0
    ended: Mapping[str, int] = msgspec.field(default_factory=dict)

    @property
    def counts(self) -> Values:
        """How much is revoked, by kind."""
        counted = collections.Counter(each.subject for each in self.revocation.entries if each.counts(self.now))
        listed = sum(len(each.serials) for each in self.revocation.crls)
        return {subject.value: counted[subject] for subject in EntryKind} | {LISTED: listed}

    @property
    def updates(self) -> Values:
        """When each list was made."""
        return {_labels(each): each.updated for each in self.revocation.crls}

    @property
    def next_updates(self) -> Values:
        """When each list is to be replaced."""
        return {_labels(each): each.next_update for each in self.revocation.crls if each.next_update is not None}

    @property
    def overdue(self) -> Values:
        """Which lists should have been replaced by now."""
        return {_labels(each): float(each.overdue(self.now)) for each in self.revocation.crls}


NOTHING = Revoked()
"""Nothing is revoked."""


def _labels(crl: Crl) -> tuple[str, str]:
    return crl.issuer, str(crl.file)
