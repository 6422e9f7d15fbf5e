"""``choria-broker revoke``: take somebody's right to be here away, at once and for good."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from choria_broker.cli.answers import fail, show
from choria_broker.cli.options import as_json, running_broker
from choria_broker.config.load import load
from choria_broker.control.client import ControlError, NotRunningError, ask_revoke
from choria_broker.control.protocol import RevokeRequest
from choria_broker.host.appending import append_line
from choria_broker.security.revocation_file import EntryError, entry_of, read_entries, write_entry
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import Entry, EntryKind
from choria_broker.status.revocation import NOT_ASKED, NOT_SET, RevokeReport
from choria_broker.wording import plain

_NOT_KNOWN = (
    "In operator mode the engine ends the sessions by itself. Its log names each; their number is not known here."
)


class _FileError(Exception):
    """The entry cannot be written; the message says why."""


@click.command()
@running_broker
@click.option("--identity", metavar="NAME", help="A server: identity of its token, or common name of its certificate.")
@click.option("--caller", metavar="ID", help="A client by its caller id, such as up=bob.")
@click.option(
    "--token", metavar="ID", help="One token by its id, jti; for a chain issuer, also all tokens that it issued."
)
@click.option(
    "--key",
    metavar="HEX",
    help="The public key of a token's holder; for a chain issuer, also all tokens that it issued.",
)
@click.option("--certificate", metavar="SERIAL", help="A certificate by its serial number in hexadecimal.")
@click.option("--issuer", metavar="NAME", default="", help="With --certificate: distinguished name of its issuer.")
@click.option("--until", metavar="TIME", default="", help="When the entry ends, such as 2026-12-24T00:00:00Z.")
@click.option("--comment", metavar="TEXT", default="", help="Comment for people, written after the entry.")
@click.option("--dry-run", is_flag=True, help="Only show whose sessions would end.")
@as_json
def revoke(
    *, config: Path, comment: str, until: str, issuer: str, dry_run: bool, as_json: bool, **named: str | None
) -> None:
    """Revoke an identity, a caller, a token, a key or a certificate.

    The entry is added to the file in plugin.choria.network.revocations, and the running broker takes it over: the
    sessions it means end at once, and none of them comes back. Exit status 1: nothing has changed, or the entry does
    not count yet.
    """
    given = {EntryKind(name): value for name, value in named.items() if value is not None}
    if len(given) != 1:
        raise click.UsageError("give one of --identity, --caller, --token, --key and --certificate")
    ((subject, value),) = given.items()
    try:
        entry = entry_of(subject, value, Origin("command line"), until=until, issuer=issuer)
        if not entry.counts(time.time()):
            raise click.UsageError("--until is in the past")
        request = RevokeRequest(subject.value, value, until, issuer, dry_run)
        result = _revoked(config, entry, request, comment)
    except EntryError as error:
        raise click.UsageError(plain(str(error))) from error
    except OSError as error:
        fail(f"{error.filename or 'the revocation file'}: {error.strerror or error}; nothing has changed")
    except (ControlError, _FileError) as error:
        fail(str(error))
    document = msgspec.to_builtins(result.report) | {"known": result.known}
    show(document, _text(result, entry, dry_run=dry_run), as_json=as_json)
    raise SystemExit(1 if result.report.problem else 0)


class _Result(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        report: of the broker, or of this command where none runs.
        known: place of the same entry, that was there before; empty when it was written.
        running: a broker runs.
    """

    report: RevokeReport
    known: str = ""
    running: bool = True


def _revoked(config: Path, entry: Entry, request: RevokeRequest, comment: str) -> _Result:
    """Ask the broker for the file and for whose sessions would end, write the entry, and have the broker read it."""
    running = True
    try:
        report = ask_revoke(config, msgspec.structs.replace(request, dry_run=True))
    except NotRunningError:
        if request.dry_run:
            raise
        report, running = RevokeReport(file=str(_file_of(config, entry.subject))), False
    if request.dry_run:
        return _Result(report)
    known = _written(Path(report.file), entry, request.value, comment)
    return _Result(ask_revoke(config, request) if running else report, known, running)


def _file_of(config: Path, subject: EntryKind) -> Path:
    """Find the revocation file of a broker that does not run, for an entry that would count there."""
    loaded = load(config)
    file = loaded.settings.network.revocation.file if loaded.settings else None
    if loaded.settings is None:
        raise _FileError(f"no broker runs with {config}, and it does not describe one that would start")
    if file is None:
        raise _FileError(NOT_SET)
    if loaded.settings.network.operator and not subject.is_seen_by_engine:
        raise _FileError(NOT_ASKED)
    return file.absolute()


def _written(file: Path, entry: Entry, value: str, comment: str) -> str:
    """Add the entry to the file, unless it is there: then return its place."""
    known = ""

    def line(content: bytes) -> str:
        nonlocal known
        entries, unreadable = read_entries(content, str(file))
        if unreadable:
            first = unreadable[0]
            raise _FileError(f"{file}:{first.line}: {first.problem}; correct the line first, nothing has changed")
        same = (each for each in entries if _covers(each, entry))
        known = str(next((each.origin for each in same), ""))
        return "" if known else write_entry(entry, value, comment)

    append_line(file, line)
    return known


def _covers(known: Entry, entry: Entry) -> bool:
    """Tell whether an entry revokes all that another one does, for as long."""
    if (known.subject, known.value, known.issuer) != (entry.subject, entry.value, entry.issuer):
        return False
    return known.until is None or (entry.until is not None and known.until >= entry.until)


def _text(result: _Result, entry: Entry, *, dry_run: bool) -> Iterator[str]:
    """Write what came of it for people, line by line."""
    if any(each in entry.value for each in "*?"):
        yield "Note: an entry means one name, so * and ? have no special meaning; the command kick accepts patterns."
    report = result.report
    sessions = "1 session" if report.sessions == 1 else f"{report.sessions} sessions"
    if dry_run:
        if report.by_engine:
            yield f"Dry run: {entry} would be written to {report.file}. {_NOT_KNOWN}"
            return
        yield f"Dry run: {entry} would be written to {report.file}, and {sessions} would end."
        for hit in report.hits:
            who = " ".join(filter(None, (hit.kind, hit.address, hit.account, hit.username)))
            yield f"  cid {hit.connection} {who}: {hit.why}"
        if report.sessions > len(report.hits):
            yield f"  and {report.sessions - len(report.hits)} more"
        return
    where = f"was there already, {result.known}" if result.known else f"is now in {report.file}"
    if not result.running:
        yield f"{entry} {where}. No broker runs with this configuration; the entry is used from the next start on."
    elif report.problem:
        yield f"{entry} {where}, but is not in use yet: {report.problem}."
    elif report.by_engine:
        yield f"{entry} {where}, and is in use. {_NOT_KNOWN}"
    else:
        yield f"{entry} {where}, and is in use. {sessions[0].upper()}{sessions[1:]} ended."
