"""One spelling for each host: names and addresses as operators, DNS and certificates write them.

Everything that compares hosts, or hands one to the engine, goes through ``canonical`` first.
"""

from __future__ import annotations

import ipaddress

from choria_broker.patterns import expression

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = expression(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBERS = expression(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*")
"""What some programs read as an IPv4 address in another notation, and others as a name."""
_ZONE = expression(r"[A-Za-z0-9_.-]{1,15}")
_ESCAPED_ZONE = expression(r"25(?=[A-Za-z_])")
_LONGEST = 253
_MOST_CHARACTERS = 1000
"""More are not even looked at."""
_NAME_REMEDY = "write a host name of letters, digits, - and _ between dots, or an IP address"


class HostError(ValueError):
    """A text that names no host.

    Attributes:
        problem: what is wrong, without the text itself.
        remedy: what to write instead.
    """

    def __init__(self, problem: str, remedy: str = _NAME_REMEDY) -> None:
        """Keep the parts; the message is the problem."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def canonical(text: str) -> str:
    """Return the one spelling of a host.

    Names are in lower case, without a final dot, and in the form that DNS and certificates have where they hold letters
    beyond ASCII. Addresses are in their shortest form without brackets, IPv4 written as IPv6 is IPv4, and a link-local
    address may have a zone, as in ``fe80::1%eth0``.

    Args:
        text: a name, or an address with or without brackets.

    Raises:
        HostError: the text is neither.
    """
    if len(text) > _MOST_CHARACTERS:
        raise HostError("too long for a host name")
    if text.startswith("[") and text.endswith("]"):
        return str(_ip(text[1:-1]))
    return str(_ip(text)) if ":" in text else _name(text)


def address(text: str) -> IPAddress | None:
    """Bring an address into the one form that is compared with addresses of connections.

    Args:
        text: IPv4 or IPv6, perhaps in brackets, perhaps with a zone.

    Returns:
        The address, IPv4 when it is IPv4 written as IPv6, without a zone; None when it is no address.
    """
    bare = text.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    try:
        return _unmapped(ipaddress.ip_address(bare.partition("%")[0]))
    except ValueError:
        return None


def is_host(text: str) -> bool:
    """Tell whether a text names a host."""
    try:
        canonical(text)
    except HostError:
        return False
    return True


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address and not a name."""
    return address(host) is not None


def same(one: str, other: str) -> bool:
    """Tell whether two texts name one host; texts that name none are equal when they are the same but for case."""
    return comparable(one) == comparable(other)


def comparable(text: str) -> str:
    """Return the one spelling of a host; a text that names none in lower case."""
    try:
        return canonical(text)
    except HostError:
        return text.lower()


def covers(certified: str, host: str) -> bool:
    """Tell whether a name in a certificate is good for a host; a ``*`` stands for one label, the first."""
    if certified.startswith("*."):
        first, dot, rest = comparable(host).partition(".")
        return bool(first and dot) and not is_address(host) and rest == comparable(certified[2:])
    return same(certified, host)


def authority(host: str, port: int) -> str:
    """Write ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_authority(host: str, port: int) -> str:
    """Write ``host:port`` as a URL has it, where the mark before a zone is escaped."""
    return authority(host, port).replace("%", "%25")


def _unmapped(parsed: IPAddress) -> IPAddress:
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _ip(text: str) -> IPAddress:
    bare, percent, zone = text.partition("%")
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        raise HostError("not an IP address", "write an IP address, IPv6 in brackets where a port follows") from None
    if not percent:
        return _unmapped(parsed)
    if not parsed.is_link_local or parsed.version == 4:  # noqa: PLR2004 - the version of IP
        raise HostError("a zone behind an address that is not link-local", "remove % and what follows it")
    zone = _ESCAPED_ZONE.sub("", zone, count=1)
    if not _ZONE.fullmatch(zone):
        raise HostError("not a zone that an address can have", "write the name of a network interface behind the %")
    return ipaddress.IPv6Address(f"{parsed}%{zone}")


def _name(text: str) -> str:
    lower = _ascii(text).lower()
    name = lower.removesuffix(".")
    if not name:
        raise HostError("the root of DNS, which is not a host" if lower else "no host")
    if _NUMBERS.fullmatch(name):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise HostError(
                "neither an IPv4 address nor a name", "write four decimal numbers of 0 to 255 without leading zeros"
            ) from None
    if len(name) > _LONGEST:
        raise HostError("too long for a host name")
    if not all(map(_LABEL.fullmatch, name.split("."))):
        raise HostError("not a host name")
    return name


def _ascii(text: str) -> str:
    """Write a name with letters beyond ASCII as DNS has it."""
    if text.isascii():
        return text
    import idna  # noqa: PLC0415 - few have such names, and its tables are long

    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
        labels = (label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split("."))
        return ".".join(labels)
    except UnicodeError:
        raise HostError("not a host name") from None
