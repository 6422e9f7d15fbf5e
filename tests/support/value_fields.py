"""What fields values have, structs and dataclasses alike."""

from __future__ import annotations

import dataclasses

import msgspec

NONE = object()
"""Stands for the default of a field that has none, or one that is made anew each time."""


def is_value(kind: type) -> bool:
    """Tell whether instances of a class are values."""
    return issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind)


def field_names(kind: type) -> tuple[str, ...]:
    """Name the fields of a class of values."""
    return tuple(field_defaults(kind))


def field_defaults(kind: type) -> dict[str, object]:
    """Name the fields of a class of values, each with its default."""
    if issubclass(kind, msgspec.Struct):
        given = msgspec.structs.fields(kind)
        return {each.name: NONE if each.default is msgspec.NODEFAULT else each.default for each in given}
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is no class of values")
    fields = dataclasses.fields(kind)
    return {each.name: NONE if each.default is dataclasses.MISSING else each.default for each in fields}
