"""A question that notes what a decision reads of it."""

from __future__ import annotations

import dataclasses

from choria_broker.access.request import ConnectRequest

FIELDS = frozenset(field.name for field in dataclasses.fields(ConnectRequest))
"""Everything that a question has."""


class Watched(ConnectRequest):
    """The same question, which knows what was read of it.

    Its own fields are empty, which Python tells by asking ``__getattr__``; the first time that a field is read it is
    filled. So reading it again costs nothing, and nothing that is read can be missed.
    """

    __slots__ = ("_asked",)
    _asked: ConnectRequest

    def __init__(self, asked: ConnectRequest) -> None:
        """Begin with nothing read."""
        object.__setattr__(self, "_asked", asked)

    def __getattr__(self, name: str) -> object:
        """Read a field for the first time."""
        value = getattr(object.__getattribute__(self, "_asked"), name)
        object.__setattr__(self, name, value)
        return value

    @property
    def read(self) -> frozenset[str]:
        """Names of the fields that were read."""
        return frozenset(name for name in FIELDS if _filled(self, name))


def unwatched(request: ConnectRequest) -> ConnectRequest:
    """Return the question itself: what is read of it decides nothing."""
    return request._asked if isinstance(request, Watched) else request  # noqa: SLF001 - this module's own


def _filled(request: Watched, name: str) -> bool:
    try:
        object.__getattribute__(request, name)
    except AttributeError:
        return False
    return True
