"""``choria-broker certificates``: how long certificates of a running broker are good, and what hangs on its CAs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import Duration, as_json, running_broker
from choria_broker.control.client import ask_status
from choria_broker.status.document import AuthoritiesReport, CertificateReport, Status
from choria_broker.status.revocation import RevocationReport
from choria_broker.status.words import authorities, counts, moment, revocation
from choria_broker.wording import table

_DAY = 86400.0
_SOON = 3


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


@click.command()
@running_broker
@click.option("--within", type=Duration(), default=14 * _DAY, help="Time that is to be left; 14d unless given.")
@as_json
def certificates(*, config: Path, within: float, as_json: bool) -> None:
    """Show the certificates of a running broker, the first to end first, and the connections that hang on its CAs.

    Exit status 0: all are good for longer than --within. 3: one has ended, or ends within that time. 1: no broker runs
    on the configuration, or it did not answer.
    """
    with asking():
        status = ask_status(config)
    found = _found(status, within)
    show(found, _text(found), as_json=as_json)
    raise SystemExit(_SOON if found.ending else 0)


def _found(status: Status, within: float) -> Certificates:
    ordered = tuple(sorted(status.certificates, key=lambda each: (each.expires, each.file)))
    ending = sum(each.days_left * _DAY <= within for each in ordered)
    return Certificates(ordered, ending, status.authorities, status.revocation, dict(status.expiring_tokens))


def _text(found: Certificates) -> Iterator[str]:
    if found.certificates:
        rows = [
            (each.role, moment(each.expires), f"{each.days_left:g}", each.subject, each.file)
            for each in found.certificates
        ]
        yield from table((("ROLE", "EXPIRES", "DAYS", "SUBJECT", "FILE"), *rows))
    else:
        yield "The broker works without certificates, or has not read them yet."
    if found.authorities:
        yield from authorities(found.authorities)
    yield from revocation(found.revocation)
    if found.expiring_tokens:
        yield f"Tokens that end within a day: {counts(found.expiring_tokens)}"
