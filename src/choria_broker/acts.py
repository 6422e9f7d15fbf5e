"""What the broker does when it is asked over the control socket, but for what is asked about sessions."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from choria_broker.access.revoked import Revocations
from choria_broker.audit.acts import ActBook
from choria_broker.control.protocol import DrainRequest, ReloadRequest, RevokeRequest, UpgradeRequest
from choria_broker.control.server import Act, ActError, Who
from choria_broker.drains import Drains
from choria_broker.enforcement.keeper import Ends
from choria_broker.reload.reloads import Reloads
from choria_broker.security.revocation_file import EntryError, entry_of
from choria_broker.settings.findings import Origin
from choria_broker.settings.network import Network
from choria_broker.settings.revocation import Entry, EntryKind, Revocation
from choria_broker.status.document import UpgradeBegun
from choria_broker.status.drains import DrainReport
from choria_broker.status.reloads import ReloadReport, Trigger
from choria_broker.status.revocation import NOT_ASKED, NOT_SET, RevokeReport, hits
from choria_broker.values import replace


class Operated(msgspec.Struct, frozen=True):
    """What operators act upon.

    Attributes:
        engine: has the sessions.
        reloads: has files read.
        drains: moves connections elsewhere.
        network: gives the settings of the network in force.
        upgrade: runs the installed program in place of this one, given who asks.
        book: what operators did.
    """

    engine: Ends
    reloads: Reloads
    drains: Drains
    network: Callable[[], Network]
    upgrade: Callable[[str], Awaitable[UpgradeBegun]]
    book: ActBook


def broker_acts(operated: Operated) -> Mapping[type, Act]:
    """Tell who answers which request."""

    async def reload(request: ReloadRequest, who: Who) -> ReloadReport:
        outcome = await operated.reloads.ask(Trigger("command", await who()), dry_run=request.dry_run)
        return outcome.report

    async def drain(request: DrainRequest, who: Who) -> DrainReport:
        match request.act:
            case "begin":
                return await operated.drains.begin(request.over, await who())
            case "cancel":
                return await operated.drains.cancel(await who())
            case _:
                return operated.drains.report

    async def revoke(request: RevokeRequest, who: Who) -> RevokeReport:
        return await _revoke(request, who, operated)

    async def upgrade(_request: UpgradeRequest, who: Who) -> UpgradeBegun:
        try:
            return await operated.upgrade(await who())
        except OSError as error:
            raise ActError(str(error)) from error

    return {ReloadRequest: reload, DrainRequest: drain, RevokeRequest: revoke, UpgradeRequest: upgrade}


async def _revoke(request: RevokeRequest, who: Who, operated: Operated) -> RevokeReport:
    """Have the file read that the command has written, and nothing else: what else is wrong must not hinder it."""
    revocation, by_engine = operated.network().revocation, operated.network().operator is not None
    if revocation.file is None:
        raise ActError(NOT_SET)
    try:
        subject = EntryKind(request.subject)
        entry = entry_of(subject, request.value, Origin("command"), until=request.until, issuer=request.issuer)
    except (EntryError, ValueError) as error:
        raise ActError(str(error)) from error
    if by_engine and not subject.is_seen_by_engine:
        raise ActError(NOT_ASKED)
    file = str(revocation.file.absolute())
    if request.dry_run:
        only = Revocations(replace(revocation, entries=(entry,), crls=()))
        matches = only.of_sessions(await operated.engine.sessions(), time.time())
        return RevokeReport(
            file, len(matches), hits((each, found.reason) for each, found in matches), by_engine=by_engine
        )
    outcome = await operated.reloads.ask_files((revocation.file,), engine=False, recorded=False)
    problem = outcome.report.why
    if not problem and not _is_in(entry, operated.network().revocation):
        problem = f"the entry is not in {file}"
    sessions = outcome.report.ended
    count = "see the engine's log" if by_engine else str(sessions)
    told = f"not in use: {problem}" if problem else f"in use, sessions ended: {count}"
    operated.book.record("revoke", await who(), told, entry=str(entry))
    return RevokeReport(file, sessions, (), problem, by_engine=by_engine)


def _is_in(entry: Entry, revocation: Revocation) -> bool:
    wanted = (entry.subject, entry.value, entry.issuer)
    return any((each.subject, each.value, each.issuer) == wanted for each in revocation.entries)
