"""Revoked certificates for the engine, which looks at links to other brokers by itself: a pure function to text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from choria_broker.settings.revocation import Authority, CrlExpired, Entry, EntryKind, Revocation


def render_revoked(revocation: Revocation) -> str:
    """Write what the engine needs to know whether the certificate of another broker is revoked.

    Args:
        revocation: what is revoked.

    Returns:
        A JSON document; ``engine/revoked.go`` has the meaning of its fields.
    """
    return msgspec.json.encode(
        {
            "refuse_overdue": revocation.expired is CrlExpired.REFUSE,
            "anchors": list(_anchors(revocation)),
            "lists": {
                each.key: {"next_update": each.next_update or 0, "serials": sorted(each.serials)}
                for each in revocation.crls
            },
            "entries": [_entry(each, revocation) for each in revocation.entries if each.subject.is_seen_by_engine],
        }
    ).decode()


def _anchors(revocation: Revocation) -> Iterator[str]:
    """Name the certificates in the CA file that a list of another CA there revokes."""
    lists = {each.key: each.serials for each in revocation.crls}
    for authority in revocation.authorities:
        if any(each.serial in lists.get(each.issuer_key, ()) for each in _upwards(authority, revocation)):
            yield authority.fingerprint


def _upwards(authority: Authority, revocation: Revocation) -> Iterator[Authority]:
    """Go from a certificate in the CA file up as far as there are others above it."""
    above: Authority | None = authority
    seen: set[str] = set()
    while above and above.key not in seen:
        yield above
        seen.add(above.key)
        key = above.issuer_key
        above = next((each for each in revocation.authorities if key and each.key == key), None)


def _entry(entry: Entry, revocation: Revocation) -> dict[str, Any]:
    told: dict[str, Any] = {"until": entry.until or 0, "place": str(entry.origin)}
    if entry.subject is EntryKind.IDENTITY:
        return told | {"name": entry.value}
    keys = sorted({each.key for each in revocation.authorities if each.subject == entry.issuer})
    told |= {"serial": entry.value, "keys": keys, "leaf": not entry.issuer}
    told["fingerprints"] = [
        authority.fingerprint
        for authority in revocation.authorities
        if entry.issuer and any(_means(entry, each) for each in _upwards(authority, revocation))
    ]
    # The engine does not compare names. Of an issuer that is not in the CA file it takes any certificate of the number.
    return told | {"any": bool(entry.issuer and not keys)}


def _means(entry: Entry, authority: Authority) -> bool:
    return (entry.value, entry.issuer) == (authority.serial, authority.issuer)
