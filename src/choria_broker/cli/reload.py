"""``choria-broker reload``: have a running broker read its configuration again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import as_json, running_broker
from choria_broker.cli.progress import progress
from choria_broker.control.client import ask_reload
from choria_broker.status.reloads import PARTIAL, REFUSED, ReloadReport

_EXIT = {REFUSED: 1, PARTIAL: 3}


@click.command()
@running_broker
@click.option("--dry-run", is_flag=True, help="Only show what a reload would change.")
@as_json
def reload(*, config: Path, dry_run: bool, as_json: bool) -> None:
    """Make a running broker read its configuration, and all files that it names, again.

    Connections are kept. Exit status 0: the new configuration is in use. 3: it is, except what needs a restart. 1:
    nothing has changed, because there is an error, or the broker could not be asked.
    """
    with asking(), progress("Reading the configuration"):
        report = ask_reload(config, dry_run=dry_run)
    show(report, text(report), as_json=as_json)
    raise SystemExit(_EXIT.get(report.result, 0))


def text(report: ReloadReport) -> Iterator[str]:
    """Write a report for people, line by line."""
    yield from (f"{each.severity}: {each.text}" for each in report.findings)
    now = "would be in use" if report.dry_run else "now in use"
    for changed in report.changes:
        yield f"{now}, {changed.apply}: {changed.key} is {changed.new or 'unset'}, was {changed.old or 'unset'}"
    yield from (f"{now}, new content: {file}" for file in report.files)
    yield from (f"{now}: {other}" for other in report.others)
    if report.ended:
        yield f"sessions ended because they are revoked: {report.ended}"
    for waiting in report.pending:
        place = f"{waiting.file}:{waiting.line}: " if waiting.line else ""
        yield f"restart needed, {place}{waiting.key} is {waiting.new or 'unset'}, in use: {waiting.old or 'unset'}"
    reason = f": {report.reason}" if report.reason else ""
    sentence = f"{report.sentence}{reason}."
    yield f"{'Dry run: ' if report.dry_run else ''}{sentence[0].upper()}{sentence[1:]}"
