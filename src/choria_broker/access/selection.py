"""Which sessions an operator means."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable

import msgspec

from choria_broker.access.request import Certificate
from choria_broker.access.session import Holder, Session

SELECTORS = ("identity", "caller", "token", "key", "certificate", "issuer", "address", "account", "kind", "method")
"""Fields of a selection that are texts; by these names options and the dashboard know them."""


class SelectionError(ValueError):
    """A selector means nothing; the message says which, and what it would have to be."""


class Selection(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is known of the sessions that are meant; all that is set has to be so.

    Attributes:
        identity: pattern of the identity, in which ``*`` and ``?`` stand for any text and any character.
        caller: caller id.
        token: token id, of the session's own token or of a chain issuer above it.
        key: public key as hex, of the session's own token or of a chain issuer above it.
        certificate: serial number as hex, of the session's certificate or of an intermediate one above it.
        issuer: distinguished name of the issuer of the certificate with that serial number; goes with ``certificate``.
        connections: the engine's numbers.
        address: of the peer, or a network in the form ``192.0.2.0/24``.
        account: it is in.
        kind: ``client``, ``websocket`` or ``leafnode``.
        method: how it was recognised.
    """

    identity: str = ""
    caller: str = ""
    token: str = ""
    key: str = ""
    certificate: str = ""
    issuer: str = ""
    connections: tuple[int, ...] = ()
    address: str = ""
    account: str = ""
    kind: str = ""
    method: str = ""

    @property
    def empty(self) -> bool:
        """It means every session."""
        return self == Selection()


def selector(selection: Selection) -> Callable[[Session], bool]:
    """Make a function that tells whether a session is meant.

    Args:
        selection: what is known of those that are.

    Raises:
        SelectionError: a value of it means nothing.
    """
    tests = [
        *_tests_of_session(selection),
        *(_on_holder(test) for test in _tests_of_holder(selection)),
    ]

    def meant(session: Session) -> bool:
        return all(test(session) for test in tests)

    return meant


def _on_holder(test: Callable[[Holder], bool]) -> Callable[[Session], bool]:
    return lambda session: test(session.holder)


def _tests_of_session(selection: Selection) -> list[Callable[[Session], bool]]:
    tests: list[Callable[[Session], bool]] = []
    if selection.connections:
        numbers = frozenset(selection.connections)
        tests.append(lambda session: session.connection in numbers)
    if selection.account:
        tests.append(lambda session: session.account == selection.account)
    if selection.kind:
        tests.append(lambda session: session.kind == selection.kind)
    if selection.address:
        tests.append(_from(selection.address))
    return tests


def _tests_of_holder(selection: Selection) -> list[Callable[[Holder], bool]]:
    tests: list[Callable[[Holder], bool]] = []
    if selection.identity:
        pattern = re.compile(fnmatch.translate(selection.identity.lower()))
        tests.append(lambda holder: bool(holder.identity and pattern.match(holder.identity.lower())))
    if selection.caller:
        tests.append(lambda holder: holder.caller == selection.caller)
    if selection.method:
        tests.append(lambda holder: holder.method == selection.method)
    if selection.token:
        token = selection.token
        tests.append(lambda holder: holder.token_id == token or any(above == token for _, above in holder.chain))
    if selection.key:
        key = selection.key.lower()
        tests.append(lambda holder: holder.key == key or any(above == key for above, _ in holder.chain))
    if selection.certificate:
        tests.append(_certified(serial_number(selection.certificate), selection.issuer))
    elif selection.issuer:
        raise SelectionError("an issuer goes with the serial number of a certificate")
    return tests


def _certified(serial: str, issuer: str) -> Callable[[Holder], bool]:
    def is_it(of: str, by: str) -> bool:
        return serial_number(of) == serial and issuer in ("", by)

    def has_it(held: Certificate) -> bool:
        return is_it(held.serial, held.issuer) or any(is_it(each.serial, each.issuer) for each in held.intermediates)

    return lambda holder: holder.certificate is not None and has_it(holder.certificate)


def serial_number(text: str) -> str:
    """Write a serial number as certificates' facts have it: lower-case hex without zeros in front.

    Args:
        text: hex of either case, perhaps with ``0x`` in front or colons between.

    Raises:
        SelectionError: it is none.
    """
    try:
        return f"{int(text.replace(':', '').removeprefix('0x'), 16):x}"
    except ValueError:
        raise SelectionError("a certificate is known by its serial number in hex, such as 4f3a09") from None


def _from(address: str) -> Callable[[Session], bool]:
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise SelectionError("an address is an IP address or a network such as 192.0.2.0/24") from None

    def within(session: Session) -> bool:
        return bool(session.address) and ipaddress.ip_address(session.address) in network

    return within


def mentions(session: Session, text: str) -> bool:
    """Tell whether a text stands in anything by which an operator may know a session; case does not matter.

    Args:
        session: the session.
        text: what was typed; not empty.
    """
    wanted = text.lower()
    holder = session.holder
    known = [
        str(session.connection),
        session.address,
        session.username,
        holder.identity,
        holder.caller,
        holder.token_id,
        holder.key,
        *(part for link in holder.chain for part in link),
    ]
    if holder.certificate is not None:
        held = holder.certificate
        known += [held.common_name, held.serial, held.fingerprint]
    return known[0] == wanted or any(wanted in value.lower() for value in known[1:])
