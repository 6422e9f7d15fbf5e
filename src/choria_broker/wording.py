"""Texts that others chose, made fit to be shown: on one line, short, without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from choria_broker.patterns import expression

HIDDEN = "*****"
"""What stands where a secret would."""

MORE = "..."
"""What stands where a text was cut."""

LONGEST_SENTENCE = 1000
"""Characters of a sentence; what is longer holds something that was not meant to be in it."""

LONGEST_ITEM = 100
"""Characters of a text that stands in a sentence."""

LONGEST_KEY = 200
"""Characters of a key."""

_WORD_WITH_DOTS = expression(r"[\w.-]+", re.ASCII)
_TOKEN_HEADER = expression(r"(?:ey[JA]|ew[gko0][\w-]{0,40}[A-Z])[\w-]{4}", re.ASCII)
"""How the header of a JSON web token begins: it is an object, in base64url."""
_SHORTEST_PAYLOAD = 8
_CREDENTIALS = expression(
    # The seed of an nkey, a bcrypt hash, a private key or a credentials file, a header of HTTP.
    r"\bS[ACNOUX][A-Z2-7]{56}\b"
    r"|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{22,}"
    r"|-----BEGIN [A-Z ]*(?:PRIVATE KEY|NKEY SEED|JWT)(?s:.*)"
    r"|(?i:\bbearer)\s+[\w.~+/=-]{16,}",
    re.ASCII,
)
_SHORTEST_CREDENTIAL = len("-----BEGIN JWT")
"""Characters of the shortest text that has one of these forms; a token has two more."""
_SHORTEST_SEED = 58
# A path has lost slashes of a URL.
_ADDRESS = expression(r"([A-Za-z][A-Za-z0-9+.-]{0,20}:/{1,3})([^\s,;'\"]*[^\s,;'\":.])")
_LOGIN = expression(r"(?<![^\s,;'\"])(?![A-Za-z0-9+.-]{1,20}:/)[^\s,;'\"@]{1,200}:[^\s,;'\"@]{1,200}@")
_KEY = expression(
    r"(\bplugin\.(?:choria|security|nats)\.[\w.-]+)[:@=/?#][^\s,;]+"
)  # with what was pasted for the name of an item
_FAMILY = r"\bplugin\.(?:choria\.(?:network\.(?:leafnode_remote|gateway_remote|mapping)|adapter)|security\.issuer)\."
_ITEM = expression(
    rf"({_FAMILY})(?!names\b)((?:(?!{_FAMILY}).){{1,2000}}?)"
    r"(?=\.(?:urls?|account|credentials?|source|destination|public|type|queue_len|(?:tls|ingest|stream)\.\w+)(?!\.?\w))"
)
"""A key of an item that the operator has named; what was pasted for the name of one can be a login."""
_ITEM_NAME = expression(r"[\w-]+(?:\.[\w-]+)*")
_PLACE = expression(
    r"\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\](?::\d{1,5})?"  # IPv6 in brackets
    r"|[\w.*-]*(?::\d{1,5})?"  # a name or IPv4
    r"|[0-9A-Fa-f:]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?"  # IPv6
)
_TAIL = expression(r"[?#]")


_STEP = 1024


def plain(text: str) -> str:
    """Escape everything unprintable, ends of lines too, so that a terminal takes nothing in the text for a command.

    Args:
        text: anything.

    Returns:
        The text on one line; what was printable is unchanged.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write rows in columns of even width, two blanks apart; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def without_credentials(text: str, label: str = HIDDEN) -> str:
    """Put a label in place of everything that has the form of a token, a seed, a private key or a password's hash.

    It takes time that grows with the length of the text and no more, since strangers choose some of the texts.
    """
    return _without_credentials(text, label) if _can_hold_credentials(text) else text


def _can_hold_credentials(text: str) -> bool:
    """Tell, at little cost, whether it is worth looking closely: most texts are names and numbers."""
    length = len(text)
    if length < _SHORTEST_CREDENTIAL:
        return False
    if length >= _SHORTEST_SEED:
        return True
    return "ey" in text or "ew" in text or "$2" in text or "-----BEGIN" in text or "bearer" in text.lower()


def _without_credentials(text: str, label: str) -> str:
    others = _CREDENTIALS.sub(lambda _: label, text)
    return _WORD_WITH_DOTS.sub(lambda found: _without_tokens(found[0], label), others)


def in_bytes(number: float) -> str:
    """Write a number of bytes for people: ``12 B``, ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < _STEP:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= _STEP
    return f"{number:.1f} TiB"


def short(text: str, most: int = LONGEST_ITEM) -> str:
    """Cut a text to so many characters; those of an item are fit for a sentence."""
    return text if len(text) <= most else text[:most] + MORE


def is_place(text: str) -> bool:
    """Tell whether a text can be a host or address, perhaps with a port, and so cannot be a login."""
    return _PLACE.fullmatch(text) is not None


def sentence(text: str) -> str:
    """Make a sentence fit to be shown in which something stands that an operator or a peer wrote.

    Args:
        text: the sentence.

    Returns:
        It on one line and not endless, without credentials, and without the logins and queries of addresses.
    """
    shown = without_logins(_without_pasted_names(text[: 4 * LONGEST_SENTENCE]))
    return plain(short(shown, LONGEST_SENTENCE))


def _without_tokens(word: str, label: str) -> str:
    """Put a label in place of each header with its payload and its signature, without which a token is one too."""
    if "." not in word or not _TOKEN_HEADER.search(word):
        return word
    parts, shown = word.split("."), []
    place = 0
    while place < len(parts):
        header = _TOKEN_HEADER.search(parts[place])
        if header and place + 1 < len(parts) and len(parts[place + 1]) >= _SHORTEST_PAYLOAD:
            shown.append(parts[place][: header.start()] + label)
            place += 3
        else:
            shown.append(parts[place])
            place += 1
    return ".".join(shown)


def without_logins(text: str) -> str:
    """Put a mask in place of every credential in a text, and of the logins and queries of addresses in it."""
    return _LOGIN.sub(f"{HIDDEN}@", _ADDRESS.sub(_without_login, without_credentials(text)))


def configured_key(key: str) -> str:
    """Make a key fit to be shown: no longer than a key can be, and without what was pasted for the name of an item."""
    shown = _without_pasted_names(key)
    return plain(without_credentials(short(shown, LONGEST_KEY)))


def _without_pasted_names(text: str) -> str:
    named = _ITEM.sub(lambda found: found[1] + (found[2] if _ITEM_NAME.fullmatch(found[2]) else HIDDEN), text)
    return _KEY.sub(rf"\1{MORE}", named)


def _without_login(found: re.Match[str]) -> str:
    scheme, rest = found[1], found[2]
    login, at, place = rest.rpartition("@")
    host = re.split(r"[/?#]", place, maxsplit=1)[0]
    if not is_place(host):
        return scheme + HIDDEN
    asked = _TAIL.search(place)
    tail = place[: asked.start()] + MORE if asked else place
    return f"{scheme}{HIDDEN}@{tail}" if login or at else scheme + tail
