"""A log line as text: ``name=value`` pairs, quoted where a value needs it."""

from __future__ import annotations

from collections.abc import Mapping


def logfmt(fields: Mapping[str, object]) -> str:
    """Write fields as pairs, in their order.

    Nothing is written for what is None, no value for what is true; a value with a blank, a quote or an equals sign is
    quoted.

    Args:
        fields: names and values of one line.
    """
    return " ".join(_pair(name, value) for name, value in fields.items())


def _pair(name: str, value: object) -> str:
    if value is None:
        return f"{name}="
    if value is True:
        return name
    text = "false" if value is False else str(value)
    quoted = " " in text or "=" in text or '"' in text
    if quoted:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    text = text.replace("\n", "\\n")
    return f'{name}="{text}"' if quoted else f"{name}={text}"
