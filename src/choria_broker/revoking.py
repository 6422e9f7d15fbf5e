"""What the broker does when it is asked to revoke somebody: it has the file read that the command has written."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from choria_broker.access.revoked import Revocations
from choria_broker.audit.acts import record
from choria_broker.control.peer_credentials import Peer
from choria_broker.control.protocol import RevokeRequest
from choria_broker.control.server import ActError
from choria_broker.enforcement.keeper import Ends
from choria_broker.errors import BrokerError
from choria_broker.reload.reloads import Reloads
from choria_broker.security.revocation_file import EntryError, entry_of
from choria_broker.settings.findings import Origin
from choria_broker.settings.network import Network
from choria_broker.settings.revocation import Entry, Revocation, Subject
from choria_broker.status.revocation import NOT_ASKED, NOT_SET, RevokeReport, hits


async def revoke(
    request: RevokeRequest, peer: Peer, in_force: Callable[[], Network], engine: Ends, reloads: Reloads
) -> RevokeReport:
    """Do what is asked for.

    Args:
        request: whom to revoke.
        peer: who asks.
        in_force: gives the settings in force.
        engine: has the sessions.
        reloads: has the revocation file read, and nothing else: what else is wrong must not keep it from counting.

    Raises:
        ActError: it cannot be done.
    """
    revocation, by_engine = in_force().revocation, in_force().operator is not None
    if revocation.file is None:
        raise ActError(NOT_SET)
    try:
        subject = Subject(request.subject)
        entry = entry_of(subject, request.value, Origin("command"), until=request.until, issuer=request.issuer)
    except (EntryError, ValueError) as error:
        raise ActError(str(error)) from error
    if by_engine and not subject.is_seen_by_engine:
        raise ActError(NOT_ASKED)
    file = str(revocation.file.absolute())
    try:
        if request.dry_run:
            only = Revocations(dataclasses.replace(revocation, entries=(entry,), crls=()))
            matches = only.of_sessions(await engine.sessions(), time.time())
            return RevokeReport(file, len(matches), hits(matches), by_engine=by_engine)
        outcome = await reloads.ask_files((revocation.file,), engine=False, recorded=False)
    except BrokerError as error:
        raise ActError(str(error)) from error
    problem = outcome.report.why
    if not problem and not _is_in(entry, in_force().revocation):
        problem = f"the entry is not in {file}"
    sessions = outcome.report.ended
    count = "see the engine's log" if by_engine else str(sessions)
    told = f"not in force: {problem}" if problem else f"in force, sessions ended: {count}"
    record("revoke", str(peer), told, entry=str(entry))
    return RevokeReport(file, sessions, (), problem, by_engine=by_engine)


def _is_in(entry: Entry, revocation: Revocation) -> bool:
    wanted = (entry.subject, entry.value, entry.issuer)
    return any((each.subject, each.value, each.issuer) == wanted for each in revocation.entries)
