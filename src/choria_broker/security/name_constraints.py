"""Whether CAs allow the names of a certificate, found out as the engine does."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from cryptography import x509

from choria_broker.patterns import expression
from choria_broker.security.certificates import alternative_names, extension, title

_LABEL = expression(r"[\x21-\x2d\x2f-\x7e]+")
_KINDS: tuple[tuple[type[x509.GeneralName], str], ...] = (
    (x509.IPAddress, "IP address"),
    (x509.DNSName, "name"),
    (x509.UniformResourceIdentifier, "URI"),
    (x509.RFC822Name, "email address"),
)
_Subtrees = Sequence[x509.GeneralName]


def forbidden(path: Sequence[x509.Certificate]) -> str | None:
    """Say which name of a certificate some CA above it does not allow, None when all are allowed.

    Args:
        path: certificates that issued each other, that of the client or server first.
    """
    for place, certificate in enumerate(path):
        names = alternative_names(certificate)
        above = [ca for ca in path[place + 1 :] if extension(ca, x509.NameConstraints) is not None]
        if names is None or not above:
            continue
        for kind, what in _KINDS:
            for name in names:
                if isinstance(name, kind):
                    fault = next(filter(None, (_fault(ca, name, kind, what) for ca in above)), None)
                    if fault:
                        return fault
    return None


def unhandled(certificate: x509.Certificate) -> bool:
    """Tell whether name constraints hold kinds of names that the engine does not compare."""
    constraints = extension(certificate, x509.NameConstraints)
    subtrees = (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())) if constraints else ()
    return any(not isinstance(each, tuple(kind for kind, _ in _KINDS)) for each in subtrees)


def _fault(ca: x509.Certificate, name: x509.GeneralName, kind: type[x509.GeneralName], what: str) -> str:
    constraints = extension(ca, x509.NameConstraints)
    if constraints is None:
        return ""
    permitted = [each for each in constraints.permitted_subtrees or () if isinstance(each, kind)]
    excluded = [each for each in constraints.excluded_subtrees or () if isinstance(each, kind)]
    shown = f"the {what} {name.value}"
    if not _comparable(name):
        return (
            f"{shown} of the certificate cannot be checked against the name constraints of CA certificate {title(ca)}"
        )
    if permitted and not _any_within(name, permitted, excluding=False):
        return f"the name constraints of CA certificate {title(ca)} do not permit {shown} of the certificate"
    if _any_within(name, excluded, excluding=True):
        return f"the name constraints of CA certificate {title(ca)} exclude {shown} of the certificate"
    return ""


def _comparable(name: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName):
        return _is_domain(name.value)
    if isinstance(name, x509.UniformResourceIdentifier):
        host = _host(name.value)
        return bool(host) and _is_domain(host) and not _is_ip(host)
    if isinstance(name, x509.RFC822Name):
        return _is_domain(name.value.rpartition("@")[2])
    return True


def _any_within(name: x509.GeneralName, subtrees: _Subtrees, *, excluding: bool) -> bool:
    if isinstance(name, x509.IPAddress):
        networks: Iterable[object] = (each.value for each in subtrees)
        return any(_inside(name.value, network) for network in networks)
    texts = [str(each.value) for each in subtrees]
    if isinstance(name, x509.DNSName):
        return any(_within(name.value, text, excluding=excluding) for text in texts)
    if isinstance(name, x509.UniformResourceIdentifier):
        return any(_within(_host(name.value), text, excluding=excluding) for text in texts)
    local, _, domain = str(name.value).rpartition("@")
    return any(
        text.rpartition("@")[0] == local and text.rpartition("@")[2].lower() == domain.lower()
        if "@" in text
        else _within(domain, text, excluding=excluding)
        for text in texts
    )


def _inside(address: object, network: object) -> bool:
    if isinstance(address, ipaddress.IPv4Address) and isinstance(network, ipaddress.IPv4Network):
        return address in network
    if isinstance(address, ipaddress.IPv6Address) and isinstance(network, ipaddress.IPv6Network):
        return address in network
    return False


def _within(name: str, tree: str, *, excluding: bool) -> bool:
    """Tell whether a name is a domain or below it; below it only, when the domain begins with a dot."""
    name, tree = name.lower(), tree.lower()
    if not tree or name == tree:
        return True
    if name.endswith(tree if tree.startswith(".") else f".{tree}"):
        return True
    # A wildcard may stand for the very name that is excluded.
    return excluding and name.startswith("*") and "." in tree and name[1:] == tree[tree.index(".") :]


def _is_domain(text: str) -> bool:
    return bool(text) and all(_LABEL.fullmatch(label) for label in text.split("."))


def _host(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
