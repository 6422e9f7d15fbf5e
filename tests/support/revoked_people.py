"""A small world of people who can be revoked, and a plain model of who is: for property tests."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from choria_broker.access.request import Authority as Anchor
from choria_broker.access.request import Certificate, Intermediate
from choria_broker.access.session import Holder
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import Authority, Crl, Entry, EntryKind, Revocation

ROOT = Authority("f-root", "k-root", ("cn=root",), ("cn=root",), "1")
CHILD = Authority("f-child", "k-child", ("cn=child", "o=example"), ("cn=root",), "2", "k-root")
NAMESAKE = Authority("f-namesake", "k-namesake", ("cn=child", "o=example"), ("cn=child", "o=example"), "1")
CAS = (ROOT, CHILD, NAMESAKE)
_NAMES = {"k-root": "CN=Root", "k-child": "CN=Child,O=Example", "k-namesake": "CN=Child,O=Example"}
_KEYS = ("aa" * 32, "bb" * 32)
_PLACE = Origin("/r", 1)
UNTIL = 100.0


def crl_of(ca: Authority, *serials: str, next_update: float | None = None, number: int = 1) -> Crl:
    """Make the list of a CA."""
    return Crl(_NAMES[ca.key], ca.key, Path("/crl"), float(number), number, next_update, frozenset(serials))


def _certificates() -> Iterable[Certificate]:
    for name, serial in (("a", "1"), ("b", "2"), ("B", "3")):
        for ca in CAS:
            anchor = Anchor(_NAMES[ca.key], ca.fingerprint, ca.key)
            yield Certificate(name, serial, _NAMES[ca.key], f"{name}{serial}{ca.key}", 5_000, (), anchor)
        between = (Intermediate("2", "CN=Root", "f-child", "k-child"),)
        yield Certificate(
            name, serial, _NAMES["k-child"], f"{name}{serial}long", 300, between, Anchor("", "f-root", "k-root")
        )


def _people() -> Iterable[Holder]:
    yield Holder()
    for certificate in _certificates():
        yield Holder(identity=certificate.common_name, certificate=certificate, expires=certificate.not_after)
    tokens = itertools.product(("T1", "T2"), _KEYS, ((), ((_KEYS[1], "T2"),)))
    for number, (token, key, chain) in enumerate(tokens):
        expires = (None, 90, 250)[number % 3]
        yield Holder(caller="up=bob", token_id=token, key=key, chain=chain, expires=expires)
        yield Holder(identity="b", token_id=token, key=key, chain=chain, expires=expires)
    yield Holder(caller="up=eve", token_id="T3", certificate=next(iter(_certificates())))


PEOPLE = tuple(_people())
"""Holders of connections."""


def _entries() -> Iterable[Entry]:
    for until in (None, UNTIL):
        for subject, values in (
            (EntryKind.IDENTITY, ("a", "b")),
            (EntryKind.CALLER, ("up=bob", "up=eve")),
            (EntryKind.TOKEN, ("T1", "T2")),
            (EntryKind.KEY, _KEYS),
            (EntryKind.CERTIFICATE, ("1", "2")),
        ):
            yield from (Entry(subject, value, _PLACE, until) for value in values)
        for issuer in (("cn=root",), ("cn=child", "o=example")):
            yield from (Entry(EntryKind.CERTIFICATE, value, _PLACE, until, issuer, "x") for value in ("1", "2"))


ENTRIES = tuple(_entries())
"""Entries of a revocation file."""


def revocation(entries: Iterable[Entry], serials: Mapping[str, Collection[str]], **more: object) -> Revocation:
    """Make what is revoked of entries, and of what the lists of the CAs have."""
    crls = tuple(crl_of(ca, *serials.get(ca.key, ())) for ca in CAS)
    return Revocation(entries=tuple(entries), crls=crls, authorities=CAS, **more)  # type: ignore[arg-type] # by name


def is_revoked(holder: Holder, made: Revocation, now: float) -> bool:
    """Tell whether somebody is revoked, as one would find out by hand."""
    serials = {each.key: each.serials for each in made.crls}
    for entry in made.entries:
        if entry.until is not None and now >= entry.until:
            continue
        if entry.subject is not EntryKind.CERTIFICATE and entry.value in _names(holder)[entry.subject]:
            return True
        if entry.subject is EntryKind.CERTIFICATE and any(
            entry.value == serial and (entry.issuer == issuer if entry.issuer else leaf)
            for serial, issuer, _, leaf in _path(holder.certificate)
        ):
            return True
    return any(serial in serials.get(key, ()) for serial, _, key, _ in _path(holder.certificate))


def _names(holder: Holder) -> Mapping[EntryKind, set[str]]:
    name = holder.certificate.common_name.lower() if holder.certificate else ""
    return {
        EntryKind.IDENTITY: {holder.identity.lower(), name} - {""},
        EntryKind.CALLER: {holder.caller} - {""},
        EntryKind.TOKEN: {holder.token_id, *(token for _, token in holder.chain)} - {""},
        EntryKind.KEY: {holder.key, *(key for key, _ in holder.chain)} - {""},
    }


def _path(certificate: Certificate | None) -> list[tuple[str, tuple[str, ...], str, bool]]:
    """Write out number, issuer and issuer's key of each certificate of a path, and which is the leaf."""
    if certificate is None or certificate.authority is None:
        return []
    short = certificate.authority.fingerprint
    issuer = CHILD if certificate.intermediates else next(each for each in CAS if each.fingerprint == short)
    path = [(certificate.serial, issuer.subject, issuer.key, True)]
    if issuer is CHILD:
        path.append(("2", ROOT.subject, ROOT.key, False))
    # A root has issued itself; its own number is nobody's to revoke but with its name.
    top = ROOT if issuer is CHILD else issuer
    return [*path, (top.serial, top.subject, "", False)]
