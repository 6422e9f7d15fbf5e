from __future__ import annotations

from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import Entry, EntryKind, Revocation
from choria_broker.stats.revoked import LISTED, Revoked
from support.revoked_people import CHILD, ROOT, crl_of

NOW = 50.0


def test_what_is_counted() -> None:
    place = Origin("/r", 1)
    entries = (
        Entry(EntryKind.CALLER, "a", place),
        Entry(EntryKind.CALLER, "b", place, NOW),
        Entry(EntryKind.KEY, "c", place),
    )
    lists = (crl_of(ROOT, "1", "2", next_update=NOW, number=3), crl_of(CHILD, "3"))
    made = Revoked(Revocation(entries=entries, crls=lists), NOW)
    assert made.counts == {"identity": 0, "caller": 1, "token": 0, "key": 1, "certificate": 0, LISTED: 3}
    root, child = ("CN=Root", "/crl"), ("CN=Child,O=Example", "/crl")
    assert made.updates == {root: 3.0, child: 1.0}
    assert made.next_updates == {root: NOW}
    assert made.overdue == {root: 1.0, child: 0.0}


def test_nothing() -> None:
    assert Revoked().updates == {}
