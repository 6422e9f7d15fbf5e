"""``choria-broker certificates``: how long certificates of a running broker are good, and what hangs on its CAs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import Duration, as_json, running_broker
from choria_broker.control.client import ask_status
from choria_broker.status.certificates_now import SOON, Certificates, certificates_now
from choria_broker.status.words import authorities, counts, moment, revocation
from choria_broker.wording import table

_ENDING = 3


@click.command()
@running_broker
@click.option("--within", type=Duration(), default=SOON, help="Shortest time until expiry that is good; default 14d.")
@as_json
def certificates(*, config: Path, within: float, as_json: bool) -> None:
    """Show the certificates of a running broker, the next to expire first, and the connections that depend on its CAs.

    Exit status 0: all are valid for longer than --within. 3: one has expired, or expires within that time. 1: no broker
    runs with this configuration, or it did not answer.
    """
    with asking():
        status = ask_status(config)
    found = certificates_now(status, within)
    show(found, _text(found), as_json=as_json)
    raise SystemExit(_ENDING if found.ending else 0)


def _text(found: Certificates) -> Iterator[str]:
    if found.certificates:
        rows = [
            (each.role, moment(each.expires), f"{each.days_left:g}", each.subject, each.file)
            for each in found.certificates
        ]
        yield from table((("ROLE", "EXPIRES", "DAYS", "SUBJECT", "FILE"), *rows))
    else:
        yield "The broker uses no certificates, or has not read them yet."
    if found.authorities:
        yield from authorities(found.authorities)
    yield from revocation(found.revocation)
    if found.expiring_tokens:
        yield f"Tokens that expire within a day: {counts(found.expiring_tokens)}"
