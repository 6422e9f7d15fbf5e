"""Addresses as operators write them: URLs, ``host:port``, listen addresses, advertised names, networks."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote

import msgspec

from choria_broker.config.text.values import BadValueError
from choria_broker.patterns import expression
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.hostnames import HostError, address, authority, canonical
from choria_broker.settings.network import IPNetwork
from choria_broker.settings.secret import Secret

_PORT = expression(r"0*([0-9]{1,5})")
_LAST_PORT = 65535
_BEHIND_PLACE = expression(r"[/?#]")
_PLACE = expression(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(:(?P<port>[^:]*))?")
_REMEDY = "write host:port, an IPv6 address in brackets"
_PORT_REMEDY = "add a port between 1 and 65535, as in host:4222"
_SCHEMES = {
    "nats": {"nats": "nats", "tls": "nats", "nats-route": "nats"},
    "nats-leaf": {
        "nats": "nats-leaf",
        "tls": "nats-leaf",
        "leafnode": "nats-leaf",
        "nats-leaf": "nats-leaf",
        "ws": "ws",
        "wss": "wss",
    },
}
"""Schemes accepted where the outer scheme is the default, and what each becomes."""


class ParsedEndpoint(msgspec.Struct, frozen=True):
    """An address and what it held beyond scheme, login, host and port.

    Attributes:
        endpoint: the address.
        extra: True when a path, query or fragment was dropped.
    """

    endpoint: Endpoint
    extra: bool = False


def parse_endpoint(text: str, scheme: str = "nats") -> ParsedEndpoint:
    """Read ``host:port`` or ``scheme://[user:password@]host:port``.

    Args:
        text: one address.
        scheme: ``nats`` or ``nats-leaf``: used when the text has none, and deciding which others are accepted.

    Raises:
        BadValueError: no port, port out of range, unknown scheme, or no usable host. The message leaves the text out.
    """
    known = _SCHEMES[scheme]
    written, separator, rest = text.partition("://")
    if separator and written.lower() not in known:
        raise BadValueError("an unknown scheme in the address", f"use one of {', '.join(known)}")
    rest = rest if separator else text
    before = _BEHIND_PLACE.split(rest, maxsplit=1)[0]
    login, _, place = before.rpartition("@")
    host, port = _place(place.replace("%25", "%") if separator else place)
    user, _, password = login.partition(":")
    endpoint = Endpoint(
        known[written.lower()] if separator else scheme,
        host,
        port,
        unquote(user),
        Secret(unquote(password)) if password else None,
    )
    return ParsedEndpoint(endpoint, extra=rest[len(before) :] not in {"", "/"})


def endpoint_of(host: str, port: int) -> Endpoint:
    """Make an address of a host and a port as DNS tells them.

    Raises:
        BadValueError: no host name, or no port that can be connected to.
    """
    return Endpoint("nats", usable_host(host), _port(str(port)))


def host_in(text: str) -> str:
    """Return the host of an address that cannot be used, for want of a port say; empty when none can be read."""
    _, separator, rest = text.partition("://")
    place = _BEHIND_PLACE.split(rest if separator else text, maxsplit=1)[0].rpartition("@")[2]
    found = _PLACE.fullmatch(place.replace("%25", "%") if separator else place)
    try:
        return canonical(found["host"]) if found else ""
    except HostError:
        return ""


def usable_host(text: str) -> str:
    """Return the one spelling of a host.

    Raises:
        BadValueError: the text names no host.
    """
    try:
        return canonical(text)
    except HostError as error:
        raise BadValueError(error.problem, error.remedy) from None


def _place(text: str) -> tuple[str, int]:
    """Take host and port apart."""
    found = _PLACE.fullmatch(text)
    if not found:
        raise BadValueError("not an address", _REMEDY)
    if not found["host"]:
        raise BadValueError("no host in the address", _REMEDY)
    if not found["port"]:
        raise BadValueError("no usable port in the address", _PORT_REMEDY)
    port = _port(found["port"])
    return usable_host(found["host"]), port


def _port(text: str) -> int:
    found = _PORT.fullmatch(text)
    number = int(found[1]) if found else 0
    if not 0 < number <= _LAST_PORT:
        raise BadValueError("no usable port in the address", _PORT_REMEDY)
    return number


def listen_address(text: str) -> str:
    """Read the address of a listener: an IP address, with or without brackets, or a host name.

    Raises:
        BadValueError: neither.
    """
    remedy = "write an IP address or a host name without a port, or :: for every address of this host"
    try:
        host = canonical(text)
    except HostError:
        raise BadValueError("not an address on which to listen", remedy) from None
    found = address(host)
    if found and (found.is_multicast or host == "255.255.255.255"):
        raise BadValueError("a multicast or other group address, on which nothing can listen", remedy)
    if found and found.version != 4 and found.is_link_local and "%" not in host:  # noqa: PLR2004 - the version of IP
        remedy = f"write the network interface behind it, as in {host}%eth0"
        raise BadValueError("a link-local address, which does not say on which network interface", remedy)
    return host


def advertised(text: str, *, port_required: bool) -> str:
    """Read an address told to others, and strip its scheme.

    Returns:
        ``host:port``, or ``host`` alone where that is allowed; IPv6 in brackets.

    Raises:
        BadValueError: not such an address.
    """
    _, separator, rest = text.partition("://")
    rest = (rest.replace("%25", "%") if separator else text).rstrip("/")
    try:
        host = canonical(rest)
    except HostError:
        host, port = _place(rest)
        return authority(host, port)
    if port_required:
        raise BadValueError("no usable port in the address", _PORT_REMEDY)
    return f"[{host}]" if ":" in host else host


def network(text: str) -> IPNetwork:
    """Read an address or a network of the allow-list; host bits may be set.

    IPv4 addresses written as IPv6 become plain IPv4, brackets and zones are dropped.

    Raises:
        BadValueError: neither an address nor a network.
    """
    address, slash, length = text.partition("/")
    address = address.removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped if ":" in address else None
        if mapped and (not slash or int(length) >= 96):  # noqa: PLR2004 - the mapped range is a /96
            return ipaddress.ip_network(f"{mapped}/{int(length) - 96 if slash else 32}", strict=False)
        return ipaddress.ip_network(f"{address}{slash}{length}", strict=False)
    except ValueError:
        raise BadValueError(
            "not an address or network", "write an IP address, or a network such as 192.0.2.0/24"
        ) from None


def overlap(one: str, other: str) -> bool:
    """Tell whether listeners on two addresses would clash if they had the same port."""
    first, second = _families(one), _families(other)
    if one == other:
        return True
    return any(
        family in second and (address == "" or second[family] == "" or address == second[family])
        for family, address in first.items()
    )


def _families(address: str) -> dict[int, str]:
    """Map IP version to the address listened on, empty text for all addresses of that version."""
    if address == "::":
        return {4: "", 6: ""}
    if address == "0.0.0.0":  # noqa: S104 - compared, not bound
        return {4: ""}
    if address == "localhost":
        return {4: "127.0.0.1", 6: "::1"}
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        # A host name may resolve to either version, and never to a wildcard.
        return {4: address, 6: address}
    return {parsed.version: str(parsed)}
