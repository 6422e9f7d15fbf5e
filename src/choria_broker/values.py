"""Values: how one is made from another with changes, and what is not shown of one.

What the program knows and decides is in frozen values. They are structs of msgspec, whose classes take 0.02 ms each to
make at the start, where dataclasses take 0.6 ms or more. One is a dataclass all the same, ``ConnectRequest``:
``access/reading`` makes one of it that fills itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

__all__ = ["Discreet", "replace"]

_T = TypeVar("_T")

if TYPE_CHECKING:
    from dataclasses import replace  # The type checker knows it, and looks at the names and types of changes.
else:

    def replace(value: _T, /, **changes: Any) -> _T:
        """Return a value like this one, struct or dataclass, but for some fields.

        Raises:
            TypeError: it has no such field.
        """
        if isinstance(value, msgspec.Struct):
            return msgspec.structs.replace(value, **changes)
        return dataclasses.replace(value, **changes)


class Discreet(msgspec.Struct, frozen=True):
    """A value whose text form leaves fields out, such as secrets, and what is long; structs show all they have.

    Attributes:
        hidden: which fields; None, as long as a class does not say otherwise, is all of them.
    """

    hidden: ClassVar[frozenset[str] | None] = None

    def __repr__(self) -> str:
        """Write what may be shown."""
        name = type(self).__qualname__
        if self.hidden is None:
            return f"<{name}>"
        shown = (each for each in self.__struct_fields__ if each not in self.hidden)
        return f"{name}({', '.join(f'{each}={getattr(self, each)!r}' for each in shown)})"
