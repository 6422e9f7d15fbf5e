from __future__ import annotations

from pathlib import Path

from choria_broker.access.revoked import Revocations
from choria_broker.access.session import Holder
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import NOTHING_REVOKED, Entry, EntryKind, Revocation
from choria_broker.status.revocation import MOST_SHOWN, CrlReport, RevocationReport, hits, revocation_report
from choria_broker.values import replace
from support.revoked_people import CHILD, ROOT, crl_of
from support.sessions import session

NOW = 50.0
BOB = Entry(EntryKind.CALLER, "up=bob", Origin("/r", 1))


def test_what_is_in_force() -> None:
    lists = (crl_of(ROOT, "1", "2", next_update=NOW, number=3), replace(crl_of(CHILD), number=None))
    made = Revocation(crls=lists, file=Path("/r"), entries=(BOB, replace(BOB, until=NOW)))
    assert revocation_report(made, {"revoked-caller": 2, "expired": 0}, NOW) == RevocationReport(
        crls=(
            CrlReport("CN=Root", "/crl", 3, 2, 3.0, NOW, overdue=True),
            CrlReport("CN=Child,O=Example", "/crl", None, 0, 1.0, None, overdue=False),
        ),
        file="/r",
        entries=1,
        ended={"revoked-caller": 2},
    )
    assert revocation_report(NOTHING_REVOKED, {}, NOW) == RevocationReport()


def test_the_first_of_many_are_named() -> None:
    sessions = [
        session(number, username="up=bob", tls="anon", since=0.0, holder=Holder(caller="up=bob"))
        for number in range(MOST_SHOWN + 5)
    ]
    matches = Revocations(Revocation(entries=(BOB,))).of_sessions(sessions, NOW)
    found = hits((each, why.reason) for each, why in matches)
    assert len(matches) == MOST_SHOWN + 5
    assert len(found) == MOST_SHOWN
    assert found[0].connection == 0
    assert found[0].why == "caller 'up=bob' is revoked"
