"""Certificates and CAs: what ends when, and which connections hang on which CA."""

from __future__ import annotations

import msgspec

from choria_broker.settings.durations import DAY
from choria_broker.status.certificates_now import SOON, Certificates, certificates_now
from choria_broker.status.document import AuthorityReport, CertificateReport, Status
from choria_broker.ui.page import Asked, Group, Page, status


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate.

    Attributes:
        condition: ``ok``, ``degraded`` when it ends soon, ``failing`` when it has ended.
        word: the same for people.
        certificate: what is known of it.
    """

    condition: str
    word: str
    certificate: CertificateReport


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A CA, and what hangs on it.

    Attributes:
        condition: ``ok``, ``degraded`` when it ends soon or is in no file any more, ``failing`` when it has ended.
        word: the same for people.
        authority: what is known of it.
        total: connections that hang on it.
    """

    condition: str
    word: str
    authority: AuthorityReport
    total: int


class CertificatesView(msgspec.Struct, frozen=True, kw_only=True):
    """What ends when.

    Attributes:
        rows: certificates, the first to end first.
        generations: CAs.
        now: the same as the command tells it, with revocations and tokens.
    """

    rows: tuple[Row, ...]
    generations: tuple[Generation, ...]
    now: Certificates


def view(found: Status, _asked: Asked) -> CertificatesView:
    """Make the page."""
    now = certificates_now(found)
    known = now.authorities.authorities if now.authorities else ()
    return CertificatesView(
        rows=tuple(
            Row(condition=_condition(each.days_left), word=_word(each.days_left), certificate=each)
            for each in now.certificates
        ),
        generations=tuple(map(_generation, known)),
        now=now,
    )


def _generation(found: AuthorityReport) -> Generation:
    condition, word = _condition(found.days_left), _word(found.days_left)
    if condition == "ok" and not found.files:
        condition, word = "degraded", "in no CA file any more"
    return Generation(condition=condition, word=word, authority=found, total=sum(found.connections.values()))


def _condition(days: float) -> str:
    if days <= 0:
        return "failing"
    return "degraded" if days * DAY <= SOON else "ok"


def _word(days: float) -> str:
    return {"failing": "has expired", "degraded": "expires soon"}.get(_condition(days), "good")


PAGE = Page(
    name="certificates",
    title="Certificates",
    group=Group.BROKER,
    place=10,
    facts=status,
    view=view,
    document=lambda found: found.now,
    refresh=10,
)
