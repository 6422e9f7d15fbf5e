"""What is revoked, and what came of revoking somebody, as commands and the status tell it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import msgspec

from choria_broker.access.session import Session
from choria_broker.settings.revocation import Revocation

NOT_SET = (
    "plugin.choria.network.revocations is not set, so there is no file to write to; set it to the path of a file, "
    "which may not exist yet, then run choria-broker reload"
)
"""What is said where there is no revocation file."""

NOT_ASKED = (
    "in operator mode nats-server verifies tokens and the broker is not asked, so only certificates, and identities "
    "by their certificate's common name, can be revoked here; revoke users with nsc revocations add-user, then run "
    "choria-broker reload"
)
"""What is said where an entry would have no effect."""

MOST_SHOWN = 100
"""Sessions that are named; of the others only the number is told."""


class CrlReport(msgspec.Struct, frozen=True):
    """A list of revoked certificates.

    Attributes:
        issuer: whose it is, in the notation of RFC 4514.
        file: where it is.
        number: of the list, None where it has none.
        certificates: how many it revokes.
        updated: when it was made, Unix seconds.
        next_update: when it is to be replaced, Unix seconds, None where it does not say.
        overdue: that time has passed.
    """

    issuer: str
    file: str
    number: int | None
    certificates: int
    updated: float
    next_update: float | None
    overdue: bool


class RevocationReport(msgspec.Struct, frozen=True):
    """What is revoked.

    Attributes:
        crls: the lists in force.
        file: the revocation file, empty where there is none.
        entries: how many of its entries count.
        ended: sessions that were ended since the start, by rule.
    """

    crls: tuple[CrlReport, ...] = ()
    file: str = ""
    entries: int = 0
    ended: dict[str, int] = {}


class Hit(msgspec.Struct, frozen=True):
    """A session of somebody who is revoked.

    Attributes:
        connection, kind, address, account, username: as of the session.
        why: what of it is revoked.
    """

    connection: int
    kind: str
    address: str
    account: str
    username: str
    why: str


class RevokeReport(msgspec.Struct, frozen=True):
    """What came of revoking somebody, or would.

    Attributes:
        file: the revocation file, absolute; empty when none is set.
        sessions: sessions that were ended, or would be.
        hits: the first of those that would be.
        problem: why nothing has changed, one sentence without its full stop; empty otherwise.
        by_engine: the engine ends sessions by itself, as in operator mode: ``sessions`` and ``hits`` are not known, and
            its log names each.
    """

    file: str = ""
    sessions: int = 0
    hits: tuple[Hit, ...] = ()
    problem: str = ""
    by_engine: bool = False


def revocation_report(revocation: Revocation, ended: Mapping[str, int], now: float) -> RevocationReport:
    """Tell what is revoked.

    Args:
        revocation: what is in force.
        ended: sessions that were ended, by rule.
        now: Unix seconds.
    """
    return RevocationReport(
        crls=tuple(
            CrlReport(
                each.issuer,
                str(each.file),
                each.number,
                len(each.serials),
                each.updated,
                each.next_update,
                each.overdue(now),
            )
            for each in revocation.crls
        ),
        file=str(revocation.file or ""),
        entries=sum(each.counts(now) for each in revocation.entries),
        ended={cause: count for cause, count in ended.items() if count},
    )


def hits(matches: Iterable[tuple[Session, str]]) -> tuple[Hit, ...]:
    """Name sessions, as many as are shown.

    Args:
        matches: each with what of it is revoked.
    """
    return tuple(
        Hit(each.connection, each.kind, each.address, each.account, each.username, why)
        for each, why in itertools.islice(matches, MOST_SHOWN)
    )
