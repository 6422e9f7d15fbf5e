"""Reading the engine's log lines: ``[pid] [LVL] text``."""

from __future__ import annotations

import logging
import re

import msgspec

from choria_broker.engine.tls_causes import plain_cause
from choria_broker.patterns import expression

_LINE = expression(r"^\[\d+\] \[(?P<level>[A-Z]{3})\] (?P<text>.*)$", re.DOTALL)
_LEVELS = {
    "TRC": logging.DEBUG,
    "DBG": logging.DEBUG,
    "INF": logging.INFO,
    "WRN": logging.WARNING,
    "ERR": logging.ERROR,
    "FTL": logging.CRITICAL,
}


_OF_FAILURES = ("error", "Error", "refused", "Ended", "handshake", "x509: ", "tls: ")
"""One of these is in each line that more can be said about."""

_BEFORE = "the line before says why"
_ADVICE = (
    (
        expression(r"(handshake error|Ended (a link|cid)).* is revoked( by |$)"),
        "give the other side a new certificate, or remove the revocation",
    ),
    (
        expression(r"(handshake error|Ended (a link|cid)).*list of revoked certificates of .* is out of date"),
        (
            "have the CA write a new list and copy it to the file in plugin.choria.network.crl, or set crl_expired to "
            "accept"
        ),
    ),
    (
        expression(r"rid:\d+ - .*link refused: it sent"),
        "compare plugin.choria.network.peer_user and peer_password on both sides",
    ),
    (
        expression(r"rid:\d+ - .*link refused: no name"),
        (
            "if it is a member, list it in plugin.choria.network.peers by a name of its certificate, or give it a "
            "certificate with the name that is listed"
        ),
    ),
    (
        expression(r"gid:\d+ - .*link refused: no name"),
        (
            "if it is a broker of another cluster, list it in the urls of plugin.choria.network.gateway_remote by a "
            "name of its certificate, or give it a certificate with the name that is listed"
        ),
    ),
    (expression(r"[rg]id:\d+ - .*authentication error"), _BEFORE),
    (
        expression(r"Route Error 'Authorization Violation'"),
        (
            "the other side refused this broker: its plugin.choria.network.peer_user and peer_password differ from "
            "those here, or its peers list no name of this broker's certificate; its log says which"
        ),
    ),
    (
        expression(r"Gateway Error 'Authorization Violation'"),
        (
            "the other side refused this broker: the urls of its plugin.choria.network.gateway_remote list no name of "
            "this broker's certificate; see its log"
        ),
    ),
    (
        expression(r"TLS (?:route|gateway|leafnode) handshake error: .*i/o timeout"),
        (
            "the other side accepts the connection and does not answer: it hangs or is overloaded, see choria-broker "
            "status there; or a firewall blocks the connection"
        ),
    ),
    (
        expression(r"TLS route handshake error: tls: first record"),
        "compare plugin.choria.network.peer_tls on both sides",
    ),
    (
        expression(r"TLS gateway handshake error: tls: first record"),
        "compare plugin.choria.network.gateway_tls on both sides",
    ),
    (
        expression(r"TLS leafnode handshake error|Leafnode Error 'Authorization Violation'"),
        (
            "the other side has different TLS settings, another CA, a name that is not in the url, or other "
            "credentials: compare url, tls and credentials of plugin.choria.network.leafnode_remote with its "
            "configuration, and read its log"
        ),
    ),
    (
        expression(r"Leafnode connection dropped with same cluster name error"),
        "set plugin.choria.network.gateway_name to a name that only this site uses",
    ),
)
_UNKNOWN_CAUSE = (
    (
        expression(r"TLS route handshake error"),
        "compare plugin.choria.network.peer_tls and the certificates of both sides, and read the other side's log",
    ),
    (
        expression(r"TLS gateway handshake error"),
        "compare plugin.choria.network.gateway_tls and the certificates of both sides, and read the other side's log",
    ),
)
"""What to do where the engine's words say no cause."""
_HARMLESS = expression(r'^(Address ".*" can not be resolved properly$|Could not find any non-local IP for )')
"""Errors of the library that are none: it looks for further addresses to tell others of."""

_ONLY_LOOPBACK = (
    "this host has only loopback addresses, so the engine announces no address to others; all listeners work"
)


class LogLine(msgspec.Struct, frozen=True):
    """One line of the engine: a level of the standard ``logging`` module and the text without its prefix.

    The text of a TLS connection that failed says in addition why, in plain words; that of a failed route, gateway or
    leafnode says which settings to look at.
    """

    level: int
    text: str


def parse(line: str) -> LogLine:
    """Read one line; what has no prefix, such as a Go panic, is an error, for the engine only fails that way."""
    match = _LINE.match(line)
    if match is None:
        return LogLine(logging.ERROR, line)
    if _HARMLESS.match(match["text"]):
        return LogLine(logging.INFO, f"{match['text']} ({_ONLY_LOOPBACK})")
    return LogLine(_LEVELS.get(match["level"], logging.INFO), _advised(match["text"]))


def _advised(text: str) -> str:
    """Add to the engine's words what they mean, and what only the broker knows: the settings behind them."""
    if not any(word in text for word in _OF_FAILURES):
        return text
    cause = plain_cause(text)
    table = _ADVICE if cause else (*_ADVICE, *_UNKNOWN_CAUSE)
    advice = next((advice for failure, advice in table if failure.search(text)), "")
    added = "; ".join(filter(None, (cause, advice)))
    return f"{text} ({added})" if added else text
