"""What a companion process is told to be, made from settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar

import msgspec

from choria_broker.settings.broker import Settings
from choria_broker.settings.companions import Adapter, Federation
from choria_broker.values import Discreet

ADAPTER, FEDERATION = "adapter", "federation"
"""Kinds of companions."""

_T = TypeVar("_T")


class Key(msgspec.Struct, frozen=True):
    """Which companion it is.

    Attributes:
        kind: what it is.
        name: of the adapter, or of the federation broker's cluster.
    """

    kind: str
    name: str

    @property
    def words(self) -> str:
        """What people call it."""
        return f"adapter {self.name}" if self.kind == ADAPTER else f"the federation broker of cluster {self.name}"


class Spec(Discreet, frozen=True):
    """A companion as it is to be. Two that are alike are the same companion: it is left alone at a reload.

    Attributes:
        key: which one it is.
        identity: of the broker.
        detail: its settings, packed; they hold secrets, so they are not in the text form.
        processes: how many processes share its work, if there are as many cores.
        debug: it logs at debug level.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"detail"})

    key: Key
    identity: str
    detail: bytes
    processes: int = 1
    debug: bool = False

    def settings(self, kind: type[_T]) -> _T:
        """Return its settings.

        Raises:
            msgspec.DecodeError: another version of the program has packed them in another way.
        """
        return msgspec.msgpack.decode(self.detail, type=kind)


class Share(msgspec.Struct, frozen=True):
    """The part of the work of one process.

    Attributes:
        number: which of the processes it is, from 0 on.
        of: how many there are.
    """

    number: int = 0
    of: int = 1

    def workers(self, count: int) -> range:
        """Return the numbers of the workers that this process has, of so many."""
        return range(self.number, count, self.of)

    def part(self, count: int) -> int:
        """Return its part of a number that the processes share, 1 or more."""
        return max(1, len(self.workers(count)))


def specs(settings: Settings) -> tuple[Spec, ...]:
    """Tell which companions there are to be."""
    return tuple(_specs(settings))


def _specs(settings: Settings) -> Iterator[Spec]:
    debug = settings.loglevel == "debug"
    for adapter in settings.adapters:
        yield Spec(Key(ADAPTER, adapter.name), settings.identity, packed(adapter), debug=debug)
    if federation := settings.federation:
        yield Spec(
            Key(FEDERATION, federation.cluster), settings.identity, packed(federation), federation.processes, debug
        )


def packed(detail: Adapter | Federation) -> bytes:
    """Pack the settings of a companion, secrets and all, for its process."""
    return msgspec.msgpack.encode(detail)
