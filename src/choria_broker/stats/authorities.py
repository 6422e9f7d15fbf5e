"""On which CAs connections hang, and which of those are in the files: what a change of the CA has to wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256

from choria_broker.engine.authorities import Count
from choria_broker.security import pem
from choria_broker.security.certificates import load
from choria_broker.security.malformed import MALFORMED
from choria_broker.stats.certificates import Role, Source

_ROLES = (Role.CA, Role.GATEWAY_CA, Role.LEAFNODE_CA)


class Authority(msgspec.Struct, frozen=True):
    """One CA certificate.

    Attributes:
        fingerprint: SHA-256 of it as lower-case hex.
        subject: whose it is, in the notation of RFC 4514.
        expires: end of its validity, Unix seconds.
        files: where it is; empty once it is in no CA file any more.
    """

    fingerprint: str
    subject: str
    expires: float
    files: tuple[Path, ...] = ()


class Use(msgspec.Struct, frozen=True):
    """A CA, and what hangs on it.

    Attributes:
        authority: the CA certificate.
        connections: how many, by kind; kinds without any are left out.
    """

    authority: Authority
    connections: Mapping[str, int]


class Uses(msgspec.Struct, frozen=True):
    """All CAs, and what hangs on them.

    Attributes:
        authorities: those in the files, in their order, then those that are in no file any more.
        without_certificate: connections whose other side showed no certificate, by kind.
        clear_text: connections without TLS, by kind.
        time: when the engine counted, Unix seconds.
    """

    authorities: tuple[Use, ...] = ()
    without_certificate: Mapping[str, int] = msgspec.field(default_factory=dict)
    clear_text: Mapping[str, int] = msgspec.field(default_factory=dict)
    time: float = 0.0


def authorities(files: Iterable[tuple[Source, bytes]]) -> tuple[Authority, ...]:
    """Find the CA certificates in files, each once.

    Args:
        files: files with their content; those for other purposes are passed over, as is what cannot be read.
    """
    found: dict[str, Authority] = {}
    for source, content in files:
        if source.role not in _ROLES:
            continue
        for piece in pem.certificates(content):
            try:
                read = load(piece)
                fingerprint = read.fingerprint(SHA256()).hex()
                subject, expires = read.subject.rfc4514_string(), read.not_valid_after_utc.timestamp()
            except MALFORMED:
                continue
            before = found.get(fingerprint)
            places = (*(before.files if before else ()), source.file)
            found[fingerprint] = Authority(fingerprint, subject, expires, tuple(dict.fromkeys(places)))
    return tuple(found.values())


def uses(known: Iterable[Authority], counts: Sequence[Count], time: float) -> Uses:
    """Put together what the files have and what the engine counted.

    Args:
        known: the CAs of the files.
        counts: connections by kind and CA.
        time: when they were counted, Unix seconds.
    """
    all_of_them = {each.fingerprint: each for each in known}
    hanging: dict[str, Counter[str]] = {fingerprint: Counter() for fingerprint in all_of_them}
    without, clear = Counter[str](), Counter[str]()
    for each in sorted(counts, key=lambda count: count.expires):
        if not each.fingerprint:
            (clear if each.tls == "none" else without)[each.kind] += each.count
            continue
        all_of_them.setdefault(each.fingerprint, Authority(each.fingerprint, each.subject, each.expires))
        hanging.setdefault(each.fingerprint, Counter())[each.kind] += each.count
    return Uses(
        tuple(Use(all_of_them[fingerprint], dict(kinds)) for fingerprint, kinds in hanging.items()),
        dict(without),
        dict(clear),
        time,
    )
