"""What this host can listen on: a listen address becomes the addresses that can be bound, and sockets.

Every listener is judged here, whoever opens it, so that ``check``, the start and the engine cannot disagree.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable

from choria_broker.host.facts import Bindable
from choria_broker.settings.hostnames import HostError, canonical, is_address

EVERY_ADDRESS = "::"
EVERY_IPV4 = "0.0.0.0"  # noqa: S104 - the address itself
NO_SUCH_ADDRESS = "this host does not have the address"

_LACKING = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENODEV, errno.ENXIO, errno.EINVAL})
"""What the kernel says of an address, a version of IP or a network interface that this host does not have."""


def bindable(text: str) -> Bindable:
    """Find out what of a listen address can be bound, on any port. Names are looked up, which may take long.

    ``::`` stands for every address, and for every IPv4 address where there is no IPv6.

    Args:
        text: an IP address or a host name.
    """
    try:
        host = canonical(text)
    except HostError as error:
        return Bindable(problem=error.problem)
    try:
        meant = _addresses(host)
    except OSError as error:
        return Bindable(problem=_unknown(host, error))
    good: list[str] = []
    lacking: list[str] = []
    for address in meant:
        (lacking if _lacks(address) else good).append(address)
    if not good and host == EVERY_ADDRESS and not _lacks(EVERY_IPV4):
        good = [EVERY_IPV4]
    for found in (good, lacking):
        found.sort(key=lambda address: ":" in address)
    problem = "" if good else _lacking(host, lacking)
    return Bindable(tuple(good), tuple(lacking), problem)


def bound(address: str, port: int) -> socket.socket:
    """Return a TCP socket that is bound to an IP address and a port, for ``::`` of both versions of IP.

    Raises:
        OSError: the port is taken, the address is not of this host, or there is no such address.
    """
    family, kind, protocol, _, place = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != EVERY_ADDRESS))
        sock.bind(place)
    except BaseException:
        sock.close()
        raise
    return sock


def _addresses(host: str) -> tuple[str, ...]:
    if is_address(host):
        return (host,)
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _lacks(address: str) -> bool:
    """Tell whether an address cannot be bound because this host does not have it."""
    try:
        with bound(address, 0):
            return False
    except socket.gaierror:
        return True  # A zone that is no network interface, or a version of IP that the kernel does not have.
    except OSError as error:
        return error.errno in _LACKING


def _lacking(host: str, addresses: Iterable[str]) -> str:
    return NO_SUCH_ADDRESS if is_address(host) else f"{host} is {', '.join(addresses)}, which this host does not have"


def _unknown(host: str, error: OSError) -> str:
    if error.errno == socket.EAI_AGAIN and isinstance(error, socket.gaierror):
        return f"the name {host} cannot be looked up now: the name servers do not answer"
    return f"the name {host} is not known"


def free(address: str, port: int, *, listen: bool = True) -> None:
    """Make sure that a listener can be opened.

    Args:
        address: IP address.
        port: of it.
        listen: listen for a moment, which is in the way of whoever wants to at that moment. Without, a port that
            another program has bound and does not listen on yet counts as free.

    Raises:
        OSError: it cannot.
    """
    with contextlib.closing(bound(address, port)) as sock:
        if listen:
            sock.listen(1)


def words(error: OSError) -> str:
    """Return the operating system's words for an error."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
