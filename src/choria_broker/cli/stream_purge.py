"""``choria-broker streams purge``: delete messages of a stream, after it was said which."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from choria_broker.cli.answers import asking, fail, show
from choria_broker.cli.options import as_json, running_broker
from choria_broker.cli.progress import progress
from choria_broker.cli.stream_contents import subjects
from choria_broker.cli.stream_names import checked, checked_subject
from choria_broker.control.client import ask_purge
from choria_broker.control.protocol import PurgeRequest
from choria_broker.status.words import moment
from choria_broker.streams.contents import Purged
from choria_broker.wording import in_bytes


@click.command()
@click.argument("stream")
@running_broker
@click.option("--account", default="", help="Account of the stream; default choria.")
@click.option("--subject", default="", help="Delete only messages of this subject; * and > are wildcards.")
@click.option("--keep", type=click.IntRange(min=0), default=0, help="Keep this number of the newest messages.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@as_json
def purge(*, stream: str, config: Path, account: str, subject: str, keep: int, as_json: bool, **flags: bool) -> None:
    """Delete messages of a stream: the command shows what would be deleted, then asks for the name of the stream.

    Without a terminal, and with --json, nothing is deleted unless you give --yes. Messages that arrive during the
    command are kept. The log has one audit line that says who did it.

    Exit status 0: they are deleted, there were none, or it was a dry run. 1: nothing was deleted.
    """
    request = PurgeRequest(checked(stream), account, checked_subject(subject) if subject else "", keep, dry_run=True)
    with asking(), progress("Asking what would be deleted"):
        found = ask_purge(config, request)
    if flags["dry_run"] or not found.messages:
        show(found, _preview(found), as_json=as_json)
        return
    if not as_json:
        click.echo("\n".join(_preview(found)))
    if not flags["yes"]:
        _confirmed(found, asks=not as_json)
    request = msgspec.structs.replace(request, account=found.account, dry_run=False, up_to=0 if keep else found.up_to)
    with asking(), progress("Deleting messages"):
        done = ask_purge(config, request)
    show(done, (f"{done.messages} messages deleted, {done.left} left.",), as_json=as_json)


def _confirmed(found: Purged, *, asks: bool) -> None:
    """Go on only when somebody says so."""
    if not asks or not sys.stdin.isatty():
        fail("nothing was deleted: there is no terminal for the confirmation; give --yes to delete without it")
    if click.prompt(f"Type {found.stream} to delete them", err=True, default="", show_default=False) != found.stream:
        fail("nothing was deleted")


def _preview(found: Purged) -> Iterator[str]:
    where = f"stream {found.stream} of account {found.account}"
    if not found.messages:
        yield f"Nothing to delete in {where}: it has {found.left} messages."
        return
    about = "about " if found.left else ""
    since = f", the oldest of {moment(found.oldest)}" if found.oldest is not None else ""
    yield f"In {where} to delete: {found.messages} messages, {about}{in_bytes(found.bytes)}{since}; {found.left} stay."
    yield "Subjects concerned:" if found.keep else "Subjects:"
    yield from subjects(found.filling, found.others)
