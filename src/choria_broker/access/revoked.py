"""Who is revoked: the lists of revoked certificates and the revocation file, held against whose a connection is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from choria_broker.access import rules
from choria_broker.access.quoted import quoted
from choria_broker.access.request import Certificate
from choria_broker.access.rules import Rule
from choria_broker.access.session import Holder, Session
from choria_broker.security.distinguished_names import parts_of
from choria_broker.settings.revocation import Authority, Crl, CrlExpired, Entry, EntryKind, Revocation

_CLIPPED = 256
"""Bytes of a certificate's names that the engine tells."""

_RULES = {
    EntryKind.IDENTITY: rules.REVOKED_IDENTITY,
    EntryKind.CALLER: rules.REVOKED_CALLER,
    EntryKind.TOKEN: rules.REVOKED_TOKEN,
    EntryKind.KEY: rules.REVOKED_KEY,
    EntryKind.CERTIFICATE: rules.REVOKED_CERTIFICATE,
}


class Found(msgspec.Struct, frozen=True):
    """Why a connection is revoked.

    Attributes:
        rule: the rule that refuses it.
        reason: what is revoked, without a full stop.
        place: where that is written.
    """

    rule: Rule
    reason: str
    place: str

    @property
    def remedy(self) -> str:
        """What an operator can do about it."""
        return f"See {self.place}. {self.rule.remedy}"


class _Link(msgspec.Struct, frozen=True):
    """A certificate of a chain, as far as it is known."""

    serial: str
    issuer: tuple[str, ...]
    issuer_told: str
    issuer_key: str
    what: str
    is_leaf: bool = False


class Revocations:
    """What is revoked, arranged so that a look costs the same for long lists.

    Attributes:
        revocation: what it was made of.
    """

    def __init__(self, revocation: Revocation | None = None) -> None:
        """Arrange it."""
        self.revocation = revocation or Revocation()
        self._entries: dict[tuple[EntryKind, str], list[Entry]] = {}
        for entry in self.revocation.entries:
            self._entries.setdefault((entry.subject, entry.value), []).append(entry)
        self._lists: Mapping[str, Crl] = {each.key: each for each in self.revocation.crls}
        self._authorities: Mapping[str, Authority] = {each.fingerprint: each for each in self.revocation.authorities}

    def __bool__(self) -> bool:
        """Tell whether there is anything that could revoke somebody."""
        return bool(self._entries or self._lists)

    def of(self, holder: Holder, now: float) -> Found | None:
        """Tell why somebody is revoked, None when he is not.

        Args:
            holder: whose a connection is.
            now: Unix seconds.
        """
        if not self:
            return None
        return next(self._named(holder, now), None) or next(self._certified(holder.certificate, now), None)

    def refusal(self, holder: Holder, now: float) -> Found | None:
        """Tell the same for a new connection, which is also refused where the list of its issuer is too old.

        Args:
            holder: whose it is.
            now: Unix seconds.
        """
        found = self.of(holder, now)
        if found or not self._lists or self.revocation.expired is CrlExpired.ACCEPT or holder.certificate is None:
            return found
        return next(self._overdue(holder.certificate, now), None)

    def of_sessions(self, sessions: Iterable[Session], now: float) -> tuple[tuple[Session, Found], ...]:
        """Choose the sessions of those who are revoked."""
        if not self:
            return ()
        return tuple((each, found) for each in sessions if (found := self.of(each.holder, now)))

    def active(self, now: float) -> frozenset[Entry]:
        """Return the entries that have an end which has not come."""
        return frozenset(each for each in self.revocation.entries if each.until is not None and each.counts(now))

    def _named(self, holder: Holder, now: float) -> Iterator[Found]:
        certificate = holder.certificate
        names = {holder.identity.casefold()} | ({certificate.common_name.casefold()} if certificate else set())
        for name in names - {""}:
            yield from self._entry(EntryKind.IDENTITY, name, f"identity {quoted(name)}", now)
        yield from self._entry(EntryKind.CALLER, holder.caller, f"caller {quoted(holder.caller)}", now)
        told = f"token {quoted(holder.token_id)}"
        yield from self._entry(EntryKind.TOKEN, holder.token_id, told, now)
        yield from self._entry(EntryKind.KEY, holder.key.lower(), f"key {holder.key.lower()}", now)
        for key, token_id in holder.chain:
            told = f"token {quoted(token_id)} of the chain issuer that made the token"
            yield from self._entry(EntryKind.TOKEN, token_id, told, now)
            told = f"key {key.lower()} of the chain issuer that made the token"
            yield from self._entry(EntryKind.KEY, key.lower(), told, now)

    def _entry(self, subject: EntryKind, value: str, told: str, now: float) -> Iterator[Found]:
        for entry in self._entries.get((subject, value), ()) if value else ():
            if entry.counts(now):
                yield _by_entry(entry, told)

    def _certified(self, certificate: Certificate | None, now: float) -> Iterator[Found]:
        if certificate is None:
            return
        for link in self._chain(certificate):
            told = f"{link.what} {link.serial} of {quoted(link.issuer_told)}"
            for entry in self._entries.get((EntryKind.CERTIFICATE, link.serial), ()):
                if entry.counts(now) and _fits(entry.issuer, link):
                    yield _by_entry(entry, told)
            crl = self._lists.get(link.issuer_key)
            if crl and link.serial in crl.serials:
                yield Found(rules.REVOKED_CERTIFICATE, f"{told} is revoked", _list(crl))

    def _overdue(self, certificate: Certificate, now: float) -> Iterator[Found]:
        for link in self._chain(certificate):
            crl = self._lists.get(link.issuer_key)
            if crl and crl.overdue(now):
                told = f"the list of {quoted(crl.issuer)}, which issued {link.what} {link.serial}, is out of date"
                yield Found(rules.CRL_EXPIRED, told, _list(crl))

    def _chain(self, certificate: Certificate) -> Iterator[_Link]:
        """List the certificates of a chain from the leaf up, those of the CA file that it came by included."""
        authority, between = certificate.authority, certificate.intermediates
        # What has signed counts: a CA that is renewed has another certificate, and clients choose which they send.
        keys = [*(each.key for each in between), authority.key if authority else ""]
        told = [("certificate", certificate.serial, certificate.issuer)]
        told += [("intermediate certificate", each.serial, each.issuer) for each in between]
        for number, (what, serial, issuer) in enumerate(told):
            yield _Link(serial, parts_of(issuer), issuer, keys[number], what, number == 0)
        for above in self._anchors(certificate):
            yield _Link(above.serial, above.issuer, ", ".join(above.issuer), above.issuer_key, "CA certificate")

    def _anchors(self, certificate: Certificate) -> Iterator[Authority]:
        """List the CAs in the CA file that a chain ends in, and those in the file above them."""
        known = self._authorities.get(certificate.authority.fingerprint) if certificate.authority else None
        seen: set[str] = set()
        while known and known.key not in seen:
            yield known
            seen.add(known.key)
            key = known.issuer_key
            known = next((each for each in self.revocation.authorities if key and each.key == key), None)


def _by_entry(entry: Entry, told: str) -> Found:
    return Found(_RULES[entry.subject], f"{told} is revoked", str(entry.origin))


def _list(crl: Crl) -> str:
    return f"the list of {quoted(crl.issuer)} in {crl.file}"


def _fits(wanted: tuple[str, ...], link: _Link) -> bool:
    """Tell whether an entry that names an issuer, or none, means a certificate.

    Serial numbers of CAs are often small ones that others have too: without an issuer nobody means them. Of a very long
    name the engine tells the start, with which the last part is not whole.
    """
    if not wanted:
        return link.is_leaf
    if wanted == link.issuer:
        return True
    return len(link.issuer_told.encode()) >= _CLIPPED - 3 and len(set(link.issuer) - set(wanted)) <= 1


NOBODY = Revocations()
"""Nobody is revoked."""
