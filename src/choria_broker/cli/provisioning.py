"""``choria-broker provisioning``: which nodes wait for provisioning, and whether anybody provisions them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from choria_broker.access.selection import Selection
from choria_broker.access.session import Session
from choria_broker.cli.answers import asking, fail, show
from choria_broker.cli.options import as_json, running_broker
from choria_broker.control.client import ask_connections, ask_status
from choria_broker.sessions.words import ordered, table
from choria_broker.status.document import ProvisioningReport
from choria_broker.status.words import provisioning as in_words

_LIMIT = 100
_NOBODY_PROVISIONS = 3
_METHOD = "provisioning"


class Waiting(msgspec.Struct, frozen=True):
    """What is shown.

    Attributes:
        provisioning: who waits, and for whom.
        nodes: connections of the nodes, those that have waited longest first.
        provisioners: connections of provisioners.
    """

    provisioning: ProvisioningReport
    nodes: tuple[Session, ...]
    provisioners: tuple[Session, ...]


@click.command()
@running_broker
@click.option(
    "--limit", type=click.IntRange(min=0), default=_LIMIT, show_default=True, help="Most rows to show; 0 for all."
)
@as_json
def provisioning(*, config: Path, limit: int, as_json: bool) -> None:
    """Show the nodes that wait for provisioning on a running broker, and its provisioners.

    Exit status 0: no node waits, or there is a provisioner. 3: nodes wait and there is no provisioner. 1: no broker
    runs with this configuration, or it did not answer, or nodes cannot be provisioned through it.
    """
    with asking():
        report = ask_status(config).provisioning
        if report is None:
            fail(
                "nodes cannot be provisioned through this broker; set plugin.choria.network.provisioning.signer_cert "
                "and plugin.choria.network.provisioning.client_password"
            )
        nodes, now = _all(config, _METHOD)
        provisioners, _ = _all(config, "provisioner")
    found = Waiting(report, tuple(each for each, _ in ordered(nodes, now, "since"))[: limit or None], provisioners)
    show(found, _text(found, len(nodes), now), as_json=as_json)
    there = report.provisioners or report.elsewhere
    raise SystemExit(_NOBODY_PROVISIONS if report.waiting and not there else 0)


def _all(config: Path, method: str) -> tuple[tuple[Session, ...], float]:
    """Ask for all connections that were recognised in one way, page by page, and the time."""
    page = ask_connections(config, Selection(method=method))
    found = list(page.sessions)
    while page.more:
        page = ask_connections(config, Selection(method=method), found[-1].connection)
        found += page.sessions
    return tuple(found), page.time


def _text(found: Waiting, waiting: int, now: float) -> Iterator[str]:
    sentence = in_words(found.provisioning)
    yield f"{sentence[:1].upper()}{sentence[1:]}."
    for title, sessions, count in (
        ("Nodes that wait", found.nodes, waiting),
        ("Provisioners", found.provisioners, len(found.provisioners)),
    ):
        if sessions:
            yield ""
            yield f"{title}, {len(sessions)} of {count} shown:"
            yield from table(ordered(sessions, now, "since"))
