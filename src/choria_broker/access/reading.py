"""A question that notes what a decision reads of it."""

from __future__ import annotations

from choria_broker.access.request import ConnectRequest

_set, _get = object.__setattr__, object.__getattribute__

NEVER_MATTERS = ("kind", "tls", "user", "token", "token_unread")
"""Fields in which all connections agree that one verdict may reach, those of a class too: a decision may read them
unseen. ``reach`` looks itself at whether a connection has sent something."""


class Watched(ConnectRequest):
    """The same question, which knows what was read of it.

    Its own fields are empty, which Python tells by asking ``__getattr__``; the first time that a field is read it is
    filled. So reading it again costs nothing, and nothing that is read can be missed.
    """

    __slots__ = ("_asked", "_noted")
    _asked: ConnectRequest
    _noted: list[str]

    def __init__(self, asked: ConnectRequest) -> None:
        """Begin with nothing read."""
        _set(self, "_asked", asked)
        _set(self, "_noted", [])
        for name in NEVER_MATTERS:
            _set(self, name, getattr(asked, name))

    def __getattr__(self, name: str) -> object:
        """Read a field for the first time."""
        value = getattr(_get(self, "_asked"), name)
        _get(self, "_noted").append(name)
        _set(self, name, value)
        return value

    @property
    def read(self) -> frozenset[str]:
        """Names of the fields that were read, but for those which never matter."""
        return frozenset(self._noted)


def unwatched(request: ConnectRequest) -> ConnectRequest:
    """Return the question itself: what is read of it decides nothing."""
    return request._asked if isinstance(request, Watched) else request  # noqa: SLF001 - this module's own
