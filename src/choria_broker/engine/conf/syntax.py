"""Text form of nats-server configuration values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from choria_broker.settings.secret import Secret
from choria_broker.wording import plain, without_logins

Value = str | int | bool | Secret | Sequence["Value"] | Mapping[str, "Value"]
"""What can stand behind a key: scalars, lists and blocks."""

_INDENT = "  "


def write(block: Mapping[str, Value], *, masked: bool = False) -> str:
    """Write a whole configuration file.

    Args:
        block: top-level keys in the order they are to appear.
        masked: write a mask in place of each secret, for people to read.

    Returns:
        The text, ending in a newline.
    """
    return "".join(f"{_key(key)}: {_value(value, 0, masked=masked)}\n" for key, value in block.items())


def _key(key: str) -> str:
    """Quote a key where it needs quotes.

    Raises:
        ValueError: the key has a character that would end it early: the engine's lexer knows no escapes in keys.
    """
    if key.replace("_", "").isalnum() and key.isascii():
        return key
    if not key.isprintable() or {'"', "\\"} & set(key):
        raise ValueError(f"the engine's configuration cannot have the key {key!a}")
    return f'"{key}"'


def _value(value: Value, depth: int, *, masked: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Secret):
        return _text(value.shown if masked else value.reveal())
    if isinstance(value, str):
        return plain(_text(without_logins(value))) if masked else _text(value)
    if isinstance(value, Mapping):
        lines = [f"{_key(key)}: {_value(item, depth + 1, masked=masked)}" for key, item in value.items()]
        return _enclose("{", lines, "}", depth)
    return _enclose("[", [_value(item, depth + 1, masked=masked) for item in value], "]", depth)


def _enclose(opening: str, lines: list[str], closing: str, depth: int) -> str:
    if not lines:
        return f"{opening} {closing}"
    inner = "\n".join(_INDENT * (depth + 1) + line for line in lines)
    return f"{opening}\n{inner}\n{_INDENT * depth}{closing}"


def _text(text: str) -> str:
    """Quote a text; the engine's lexer knows these escapes and no others, every other character stands for itself."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    escaped = "".join(escapes.get(character, character) for character in text)
    return f'"{escaped}"'
