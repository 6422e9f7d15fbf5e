"""Distinguished names as text: however programs write one, it has one spelling here in which two can be compared."""

from __future__ import annotations

import re

from choria_broker.patterns import expression

_PARTS = expression(r"((?:\\.|[^\\,+;])*)(?:[,+;]|$)", re.DOTALL)
_HEX_PAIR = expression(r"(?:\\[0-9A-Fa-f]{2})+")
_ESCAPED = expression(r"\\(.)", re.DOTALL)
_TYPE = expression(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+")
_LONG_FORM = 0x80
_OTHER_NAMES = {
    "email": "emailaddress",
    "1.2.840.113549.1.9.1": "emailaddress",
    "e": "emailaddress",
    "s": "st",
    "serial": "serialnumber",
    "2.5.4.5": "serialnumber",
    "postalcode": "2.5.4.17",
    "0.9.2342.19200300.100.1.25": "dc",
    "0.9.2342.19200300.100.1.1": "uid",
}


def parts_of(text: str) -> tuple[str, ...]:
    """Take a name apart, as RFC 4514, Go, Puppet or openssl write it.

    Programs differ in the order, which does not count here, in blanks and in the case of types; values are compared
    without regard to case and repeated blanks.

    Args:
        text: such as ``CN=Puppet CA: puppet.example.net`` or ``/O=Example/CN=CA``.

    Returns:
        Its parts in their one spelling and order; empty when it is no name.
    """
    stripped = text.strip()
    pieces = _slashed(stripped) if stripped.startswith("/") else _separated(stripped)
    parts = []
    for piece in pieces:
        kind, equals, value = piece.partition("=")
        kind = kind.strip().lower().removeprefix("oid.")
        if not equals or not _TYPE.fullmatch(kind):
            return ()
        parts.append(f"{_OTHER_NAMES.get(kind, kind)}={_plain(value)}")
    return tuple(sorted(parts))


def _separated(text: str) -> list[str]:
    return [found for found in _PARTS.findall(text)[: None if text == "" else -1] if found.strip()] if text else []


def _slashed(text: str) -> list[str]:
    """Split what old programs write; a slash in a value is not the start of a part."""
    return [piece for piece in re.split(r"/(?=[A-Za-z0-9.]+=)", text) if piece]


def _plain(value: str) -> str:
    def decoded(found: re.Match[str]) -> str:
        return bytes.fromhex(found.group().replace("\\", "")).decode("utf-8", "replace")

    if value.startswith("#"):
        value = _encoded(value)
    unescaped = _ESCAPED.sub(r"\1", _HEX_PAIR.sub(decoded, value.strip()))
    return " ".join(unescaped.split()).casefold()


def _encoded(value: str) -> str:
    """Read the text in what Go writes of types without a name: its DER in hexadecimal."""
    try:
        _, size, *rest = bytes.fromhex(value[1:])
        content = bytes(rest)
        if size >= _LONG_FORM:
            size, content = int.from_bytes(content[: size - _LONG_FORM]), content[size - _LONG_FORM :]
        return content.decode() if len(content) == size else value
    except ValueError:
        return value
