"""What the process does about the reloads of its broker."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from choria_broker.log.structured import show_from
from choria_broker.service import systemd
from choria_broker.settings.broker import Settings


class Reloading(Protocol):
    """A broker that reloads."""

    @property
    def settings(self) -> Settings:
        """What is in force."""
        ...

    @property
    def summary(self) -> str:
        """How it is, in a sentence or two."""
        ...

    @property
    def stopping(self) -> bool:
        """Somebody asked it to stop."""
        ...


@contextlib.contextmanager
def announced(broker: Reloading) -> Iterator[None]:
    """Tell the service manager of a reload, for as long as the context lasts, and log from the level it leaves on."""
    systemd.tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    systemd.tell("STATUS=Reloading the configuration.")
    try:
        yield
    finally:
        show_from(broker.settings.loglevel)
        if not broker.stopping:
            systemd.tell("READY=1")
            systemd.tell(f"STATUS={broker.summary}")
