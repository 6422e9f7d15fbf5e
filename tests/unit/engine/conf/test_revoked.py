from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from choria_broker.engine.conf.revoked import render_revoked
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import (
    NOTHING_REVOKED,
    Authority,
    Crl,
    CrlExpired,
    Entry,
    EntryKind,
    Revocation,
)

ROOT = Authority("f-root", "k-root", ("cn=root",), ("cn=root",), "1")
CHILD = Authority("f-child", "k-child", ("cn=child",), ("cn=root",), "2", "k-root")
GRANDCHILD = Authority("f-grandchild", "k-grandchild", ("cn=grandchild",), ("cn=child",), "3", "k-child")
PLACE = Origin("/r", 4)


def rendered(revocation: Revocation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render_revoked(revocation))
    return found


def crl(key: str, *serials: str, next_update: float | None = None) -> Crl:
    return Crl(key, key, Path("/c"), 0.0, next_update=next_update, serials=frozenset(serials))


def test_nothing() -> None:
    assert rendered(NOTHING_REVOKED) == {
        "refuse_overdue": False,
        "anchors": [],
        "lists": {},
        "entries": [],
    }


def test_lists_and_entries() -> None:
    made = Revocation(
        crls=(crl("k-root", "b", "a", next_update=9.5), crl("k-child")),
        expired=CrlExpired.REFUSE,
        authorities=(ROOT, CHILD),
        entries=(
            Entry(EntryKind.CALLER, "up=bob", PLACE),
            Entry(EntryKind.IDENTITY, "web1", PLACE, 7.0),
            Entry(EntryKind.CERTIFICATE, "4f", PLACE),
            Entry(EntryKind.CERTIFICATE, "4f", PLACE, None, ("cn=child",), "CN=child"),
            Entry(EntryKind.CERTIFICATE, "4f", PLACE, None, ("cn=nobody",), "CN=nobody"),
        ),
    )
    assert rendered(made) == {
        "refuse_overdue": True,
        "anchors": [],
        "lists": {
            "k-root": {"next_update": 9.5, "serials": ["a", "b"]},
            "k-child": {"next_update": 0, "serials": []},
        },
        "entries": [
            {"until": 7.0, "place": "/r:4", "name": "web1"},
            {"until": 0, "place": "/r:4", "serial": "4f", "keys": [], "leaf": True, "fingerprints": [], "any": False},
            {
                "until": 0,
                "place": "/r:4",
                "serial": "4f",
                "keys": ["k-child"],
                "leaf": False,
                "fingerprints": [],
                "any": False,
            },
            {"until": 0, "place": "/r:4", "serial": "4f", "keys": [], "leaf": False, "fingerprints": [], "any": True},
        ],
    }


def test_a_ca_is_revoked_with_all_below_it() -> None:
    chain = (ROOT, CHILD, GRANDCHILD)
    assert rendered(Revocation(crls=(crl("k-root", "2"),), authorities=chain))["anchors"] == ["f-child", "f-grandchild"]
    assert rendered(Revocation(crls=(crl("k-child", "3"),), authorities=chain))["anchors"] == ["f-grandchild"]
    assert rendered(Revocation(crls=(crl("k-child", "1", "2"),), authorities=chain))["anchors"] == []


def test_an_entry_may_mean_a_ca_in_the_ca_file() -> None:
    entries = (
        Entry(EntryKind.CERTIFICATE, "2", PLACE, None, ("cn=root",), "CN=root"),
        Entry(EntryKind.CERTIFICATE, "2", PLACE),
    )
    made = rendered(Revocation(entries=entries, authorities=(ROOT, CHILD, GRANDCHILD)))
    assert [each["fingerprints"] for each in made["entries"]] == [["f-child", "f-grandchild"], []]
