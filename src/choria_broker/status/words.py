"""Parts of the status of a broker in words, for the commands that show them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from choria_broker.patterns import expression
from choria_broker.status.document import AuthoritiesReport, AuthorityReport, ProvisioningReport
from choria_broker.status.revocation import RevocationReport

_SHORT = 16
_ODD_IN_NAMES = expression("[^A-Za-z0-9.-]")


def moment(seconds: float) -> str:
    """Write a moment, Unix seconds, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def bundle_name(identity: str, seconds: float) -> str:
    """Name a bundle of what helps with a problem, without the ending of the file.

    Args:
        identity: of the broker, empty when it is not known.
        seconds: when it is made, Unix seconds.
    """
    who = _ODD_IN_NAMES.sub("-", identity) or "unknown"
    return f"choria-broker-{who}-{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y%m%dT%H%M%SZ}"


def counts(counts: Mapping[str, int]) -> str:
    """Write counts by name, the largest first."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def provisioning(found: ProvisioningReport) -> str:
    """Tell in a sentence who waits for provisioning, and whether anybody provisions."""
    since = f", the first since {moment(found.oldest)}" if found.waiting else ""
    return f"{nodes_waiting(found)}{since}; {provisioners(found)}"


def nodes_waiting(found: ProvisioningReport) -> str:
    """Tell how many nodes wait."""
    if not found.waiting:
        return "no node waits"
    return "1 node waits" if found.waiting == 1 else f"{found.waiting} nodes wait"


def provisioners(found: ProvisioningReport) -> str:
    """Tell whether anybody provisions."""
    if found.provisioners:
        there = "a provisioner is" if found.provisioners == 1 else f"{found.provisioners} provisioners are"
        return f"{there} connected"
    if found.elsewhere:
        return "a provisioner is connected to another broker"
    if found.silent:
        return "no provisioner is connected here, and not all other brokers could be asked"
    return "no provisioner is connected"


def authorities(found: AuthoritiesReport) -> Iterator[str]:
    """Tell of connections by CA, line by line with a heading."""
    yield f"Connections by CA, {moment(found.time)}:"
    yield from map(_authority, found.authorities)
    if found.without_certificate:
        connections = _kinds(found.without_certificate)
        yield f"  no certificate: {connections}; the CA with which these verify this broker is not known here"
    if found.clear_text:
        yield f"  no TLS: {_kinds(found.clear_text)}"


def revocation(found: RevocationReport) -> Iterator[str]:
    """Tell what is revoked, line by line; nothing when nothing can be."""
    for crl in found.crls:
        number = "" if crl.number is None else f" {crl.number}"
        until = f"next update {moment(crl.next_update)}" if crl.next_update is not None else "no next update"
        late = ", out of date" if crl.overdue else ""
        yield f"Revoked certificates: {crl.certificates} in list{number} of {crl.issuer} in {crl.file}, {until}{late}"
    if found.file:
        yield f"Revocations: {found.entries} in {found.file}"
    if found.ended:
        yield f"Sessions ended: {counts(found.ended)}"


def _authority(found: AuthorityReport) -> str:
    end = "expired" if found.days_left < 0 else "expires"
    place = ", ".join(found.files) or "in no CA file any more, cannot reconnect"
    named = f"{found.subject or 'unnamed'} ({found.fingerprint[:_SHORT]}), {end} {moment(found.expires)}"
    return f"  {named}: {_kinds(found.connections) or 'none'}; {place}"


def _kinds(connections: Mapping[str, int]) -> str:
    return ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in connections.items())
