"""Reading lines of the engine's log: which peer one is about, what it says of that, and what of it may be shown."""

from __future__ import annotations

import re

import msgspec

from choria_broker.patterns import expression
from choria_broker.values import replace
from choria_broker.wording import without_credentials

_CONNECTION = expression(
    r"(?:websocket: (?:http: )?(?P<early>TLS handshake error) from )?"
    r"(?:pipe|(?:[^ ]*/)?\[?(?P<address>[^\s\[\]/]+?)\]?:\d+)"
    r"(?(early): | - (?:(?P<kind>[cwmlrg])id\w*:(?P<number>\d{1,18}) - |(?=websocket )))(?P<told>.*)",
    re.DOTALL,
)
"""How the engine's lines about one connection begin; before the slash is what a proxy claims the address to be."""

_LINKS = frozenset("rg")
"""Routes and gateways, whose logins the engine decides by itself."""

# The engine cuts long lines, perhaps in the middle of it.
_USER = expression(r' - (?:JWT )?(?:User|Nkey|Token) "(?:[^"\\]|\\.)*(?:"|\\?$)', re.DOTALL)

_NAMES = expression(r'^(?:"(?:[^"\\]|\\.)*" - )+')
"""What a peer calls itself, where lines show it."""
_LOGGED_IN = expression(r'"[^"/]*/user:(?P<user>(?:[^"\\]|\\.)*)" - $')
_ESCAPED = expression(r"\\(.)")
_FIRST_WORDS = expression(r"[A-Za-z][A-Za-z ]{0,39}")

_AUTHENTICATION = "authentication error"


class EngineLine(msgspec.Struct, frozen=True):
    """What a line says.

    Attributes:
        text: the line without what a peer sent as its user, and without credentials.
        peer: address of the peer it is about, empty when it has none; None for a line about no single connection.
        refusal: cause of the refusal that it tells of, empty when it tells of none.
        decided: it tells of a refusal that the broker decided, and has logged with the reason.
        connection: the engine's number for it, 0 where there is none.
        user: whose it is, as the line says after the login; empty when it does not.
        about: what kind of line about a connection it is, in the library's words, such as ``route-error``.
    """

    text: str
    peer: str | None = None
    refusal: str = ""
    decided: bool = False
    about: str = ""
    connection: int = 0
    user: str = ""


def read(text: str, *, asked: bool) -> EngineLine:
    """Read a line.

    Args:
        text: the line without its prefix.
        asked: the broker is asked about connections; otherwise the engine decides.
    """
    shown = without_credentials(_USER.sub("", text))
    match = _CONNECTION.match(text)
    if match is None:
        return EngineLine(shown)
    peer, told = match["address"] or "", match["early"] or match["told"]
    line = EngineLine(shown, peer, about=_about(told), connection=int(match["number"] or 0), user=_user(told))
    if match["kind"] in _LINKS:
        return line
    if not asked and _AUTHENTICATION in told:
        return replace(line, refusal="authentication")
    if told.removeprefix("read error: ").startswith(_AUTHENTICATION):
        return replace(line, decided=True)
    return replace(line, refusal=_failed_handshake(told))


def _user(told: str) -> str:
    names = _NAMES.match(told)
    found = _LOGGED_IN.search(names[0]) if names else None
    return without_credentials(unescaped(found["user"])) if found else ""


def unescaped(quoted: str) -> str:
    """Undo the escapes of quotes and backslashes in what stood in quotes."""
    return _ESCAPED.sub(r"\1", quoted)


def _about(told: str) -> str:
    """Name a kind of line by its first words, which are the library's own."""
    words = _FIRST_WORDS.match(_NAMES.sub("", told))
    return "-".join(words[0].lower().split()) if words and words[0].strip() else "unnamed"


def _failed_handshake(told: str) -> str:
    if "handshake error" not in told:
        return ""
    if told.startswith("websocket handshake error: origin not allowed"):
        return "websocket-origin"
    return "tls-handshake" if "TLS" in told else "websocket-handshake"
