"""Reading the engine's log lines: ``[pid] [LVL] text``."""

from __future__ import annotations

import dataclasses
import logging
import re

_LINE = re.compile(r"^\[\d+\] \[(?P<level>[A-Z]{3})\] (?P<text>.*)$", re.DOTALL)
_LEVELS = {
    "TRC": logging.DEBUG,
    "DBG": logging.DEBUG,
    "INF": logging.INFO,
    "WRN": logging.WARNING,
    "ERR": logging.ERROR,
    "FTL": logging.CRITICAL,
}


_ADVICE = (
    (
        re.compile(r"TLS route handshake error|rid:\d+ - authentication error"),
        (
            "the peer has other TLS settings, another CA, another login, or a name that is not listed: compare "
            "plugin.choria.network.peer_tls, peers, peer_user and peer_password of both"
        ),
    ),
    (
        re.compile(r"TLS gateway handshake error|gid:\d+ - authentication error"),
        (
            "the gateway has other TLS settings, another CA, or a name that is not listed: compare "
            "plugin.choria.network.gateway_tls and gateway_remotes of both"
        ),
    ),
    (
        re.compile(r"TLS leafnode handshake error|Leafnode Error 'Authorization Violation'"),
        (
            "the other side has other TLS settings, another CA, a name that is not in the url, or other credentials: "
            "compare url, tls and credentials of plugin.choria.network.leafnode_remote with it, and read its log"
        ),
    ),
    (
        re.compile(r"Leafnode connection dropped with same cluster name error"),
        "set plugin.choria.network.gateway_name to a name of this site's own",
    ),
)


@dataclasses.dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the engine: a level of the standard ``logging`` module and the text without its prefix.

    The text of a failed route, gateway or leafnode says in addition which settings to look at.
    """

    level: int
    text: str


def parse(line: str) -> LogLine:
    """Read one line; what has no prefix, such as a Go panic, is an error, for the engine only fails that way."""
    match = _LINE.match(line)
    if match is None:
        return LogLine(logging.ERROR, line)
    return LogLine(_LEVELS.get(match["level"], logging.INFO), _advised(match["text"]))


def _advised(text: str) -> str:
    """Add to the engine's words what only the broker knows: the names of the settings behind them."""
    for failure, advice in _ADVICE:
        if failure.search(text):
            return f"{text} ({advice})"
    return text
