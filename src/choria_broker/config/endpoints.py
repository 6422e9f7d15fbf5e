"""Addresses as operators write them: URLs, ``host:port``, listen addresses, advertised names, networks."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from choria_broker.config.secret import Secret
from choria_broker.config.settings import Endpoint, Gateway, IPNetwork
from choria_broker.config.values import BadValueError

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_REMEDY = "write host:port, an IPv6 address in brackets"
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


@dataclasses.dataclass(frozen=True, slots=True)
class ParsedEndpoint:
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
    written, separator, _ = text.partition("://")
    if separator and written.lower() not in known:
        raise BadValueError("an unknown scheme in the address", f"use one of {', '.join(known)}")
    try:
        parts = urlsplit(text if separator else f"{scheme}://{text}")
        port, host = parts.port, parts.hostname
    except ValueError:
        raise BadValueError("not an address", _REMEDY) from None
    if not host:
        raise BadValueError("no host in the address", _REMEDY)
    if not port:
        raise BadValueError("no usable port in the address", "add a port between 1 and 65535, as in host:4222")
    password = Secret(unquote(parts.password)) if parts.password else None
    endpoint = Endpoint(
        known[written.lower()] if separator else scheme,
        _host(host, parts.netloc),
        port,
        unquote(parts.username or ""),
        password,
    )
    extra = parts.path not in {"", "/"} or bool(parts.query or parts.fragment)
    return ParsedEndpoint(endpoint, extra)


def _host(host: str, netloc: str) -> str:
    if "[" in netloc:
        return str(_address(host))
    if not _HOST.fullmatch(host):
        raise BadValueError("not a host name", _REMEDY)
    return host


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise BadValueError("not an IP address", _REMEDY) from None


def listen_address(text: str) -> str:
    """Read the address of a listener: an IP address, with or without brackets, or a host name.

    Raises:
        BadValueError: neither.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare:
        return str(_address(bare))
    if not _HOST.fullmatch(bare):
        raise BadValueError("not an address to listen on", "write an IP address or a host name, without a port")
    return bare


def advertised(text: str, *, port_required: bool) -> str:
    """Read an address told to others, and strip its scheme.

    Returns:
        ``host:port``, or ``host`` alone where that is allowed; IPv6 in brackets.

    Raises:
        BadValueError: not such an address.
    """
    rest = text.partition("://")[2] if "://" in text else text
    rest = rest.rstrip("/")
    try:
        bare = ipaddress.IPv6Address(rest.removeprefix("[").removesuffix("]"))
    except ValueError:
        pass
    else:
        if port_required:
            raise BadValueError("no port in the address", _REMEDY)
        return f"[{bare}]"
    if not port_required and _HOST.fullmatch(rest):
        return rest
    parsed = parse_endpoint(rest)
    if parsed.extra or parsed.endpoint.user:
        raise BadValueError("more than a host and a port", _REMEDY)
    return parsed.endpoint.authority


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


def named(endpoints: Sequence[Endpoint]) -> bool:
    """Tell whether places are all given by name, so that certificates can be held against them.

    The engine compares the DNS names of a certificate only, never its addresses.
    """
    return bool(endpoints) and not any(is_address(endpoint.host) for endpoint in endpoints)


def gateway_urls(gateway: Gateway) -> tuple[Endpoint, ...]:
    """List where the brokers of the other clusters are."""
    return tuple(url for remote in gateway.remotes if remote.name != gateway.name for url in remote.urls)


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
