"""Why links to other brokers ended, or do not come about: what the engine said of them last."""

from __future__ import annotations

import collections
import re
from collections.abc import Collection

import msgspec

from choria_broker.patterns import expression
from choria_broker.settings.hostnames import authority

MOST = 64
"""Different troubles that are remembered."""

_LONGEST = 300

_DIALLED = expression(
    r"Error (?:trying to connect (?:to (?P<route>route)(?: (?P<host>\S+))?|as (?P<leafnode>leafnode) to remote server "
    r"\"(?P<url>[^\"]*)\")|connecting to \w+ (?P<gateway>gateway) \"(?P<name>[^\"]*)\" \([^)]*\) at \S+) "
    r"\(attempt \d+\): (?P<why>.*)"
)
_PLACE = expression(r"dial \w+ (?P<place>\S+): ")
_CONNECTION = expression(
    r"(?:\S+/)?\[?(?P<place>[^\s\[\]/]+?)\]?:(?P<port>\d{1,5}) - (?P<kind>[rgl])id\w*:\d+ - (?P<told>.*)"
)
_CLOSED = expression(r"\w+ connection closed: (?P<why>.+?)(?: - .*?Remote: (?P<remote>[^,]+).*)?$")
_KINDS = {"r": "route", "g": "gateway", "l": "leafnode"}
_NO_TROUBLE = (
    "Client Closed",
    "TLS Handshake Failure",
    "Authentication Failure",
    "Duplicate",
    "Server Shutdown",
    "Route Removed",
    "Cluster Name Conflict",
)
_CAUSES = (
    ("stale", r"Stale Connection"),
    ("refused", r"connection refused"),
    ("timeout", r"i/o timeout|Timeout|deadline exceeded"),
    ("unknown-host", r"no such host|server misbehaving|lookup "),
    ("revoked", r"is revoked|list of revoked certificates"),
    ("x509", r"x509: |tls: [a-z ]*certificate|link refused: [a-z ]*certificate"),
    ("login", r"Authorization|authentication|Authentication|link refused"),
    ("ended", r"Read Error|Write Error|EOF|reset by peer|broken pipe|Shutdown"),
    ("tls", r"TLS|tls: "),
    ("unreachable", r"no route to host|unreachable"),
)


CAUSES = {
    "stale": "no answer to pings",
    "refused": "connection refused",
    "timeout": "timeout",
    "unknown-host": "its host is not known",
    "x509": "x509, one side does not accept the other's certificate",
    "revoked": "a certificate is revoked, or the list of its CA is out of date",
    "tls": "TLS, the two sides do not agree on it",
    "login": "login, one side does not accept the other's name or password",
    "unreachable": "its host cannot be reached",
    "ended": "the other side ended it",
    "other": "see the log",
}
"""Causes in words that fit behind a colon."""


class LinkTrouble(msgspec.Struct, frozen=True):
    """Something that ended links, or keeps them from coming about.

    Attributes:
        kind: ``route``, ``gateway`` or ``leafnode``.
        place: name of the other side where the engine says it, else its address, with the port where this broker
            connects to it there.
        cause: in a word: ``stale`` for no answer to pings, ``refused``, ``timeout``, ``unknown-host``, ``x509``,
            ``revoked``, ``tls``, ``login``, ``unreachable``, ``ended`` or ``other``.
        words: the engine's.
        times: how often it was said; the engine does not say every attempt.
        first, last: when, Unix seconds.
    """

    kind: str
    place: str
    cause: str
    words: str
    times: int = 1
    first: float = 0.0
    last: float = 0.0


class LinkTroubles(msgspec.Struct):
    """The latest troubles of each place.

    Attributes:
        ports: those to which this broker connects.
    """

    ports: Collection[int] = ()
    _noted: collections.OrderedDict[tuple[str, str, str], LinkTrouble] = msgspec.field(
        default_factory=collections.OrderedDict
    )

    @property
    def latest(self) -> tuple[LinkTrouble, ...]:
        """All that are remembered, the latest first."""
        return tuple(reversed(self._noted.values()))

    def hear(self, line: str, now: float) -> LinkTrouble | None:
        """Take a line of the engine's log.

        Args:
            line: the text without its prefix, and without credentials.
            now: Unix seconds.

        Returns:
            The trouble that it tells of, None when it tells of none.
        """
        found = recognise(line, self.ports)
        if found is None:
            return None
        key = (found.kind, found.place, found.cause)
        before = self._noted.pop(key, None)
        if before is None and len(self._noted) >= MOST:
            self._noted.popitem(last=False)
        times, first = (before.times + 1, before.first) if before else (1, now)
        self._noted[key] = msgspec.structs.replace(found, times=times, first=first, last=now)
        return self._noted[key]


def recognise(line: str, ports: Collection[int] = ()) -> LinkTrouble | None:
    """Tell what a line says about a link, None when it says of no trouble.

    Args:
        line: of the engine's log, without its prefix.
        ports: to which this broker connects; others are those of connections that it accepted.
    """
    if line.startswith("Error ") and (match := _DIALLED.match(line)):
        kind = match["route"] or match["leafnode"] or match["gateway"]
        dialled = _PLACE.search(match["why"])
        place = match["name"] or match["url"] or match["host"] or (dialled["place"] if dialled else "")
        return _trouble(kind, place, match["why"])
    match = _CONNECTION.match(line) if " - " in line else None
    if match is None:
        return None
    kind, place, port, told = _KINDS[match["kind"]], match["place"], int(match["port"]), match["told"]
    place = authority(place, port) if port in ports else place
    if closed := _CLOSED.match(told):
        if closed["why"].startswith(_NO_TROUBLE):
            return None
        return _trouble(kind, (closed["remote"] or place).strip(), closed["why"])
    if "handshake error" in told or "link refused" in told or " Error '" in told:
        return _trouble(kind, place, told)
    return None


def _trouble(kind: str, place: str, words: str) -> LinkTrouble:
    cause = next((name for name, pattern in _CAUSES if re.search(pattern, words)), "other")
    return LinkTrouble(kind, place, cause, words[:_LONGEST])
