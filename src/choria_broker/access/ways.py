"""Ways in which connections are made cheaper; what is decided is the same with and without each of them."""

from __future__ import annotations

import msgspec


class Ways(msgspec.Struct, frozen=True):
    """The ways that are taken.

    Attributes:
        conditions: the engine checks signatures of tokens, in parallel, before it lets anybody in.
        memory: the engine uses a verdict again for connections that would get the same.
    """

    conditions: bool = True
    memory: bool = True


NONE = Ways(conditions=False, memory=False)
"""None of them."""

STANDARD = Ways()
"""All of them; tests put others in its place."""
