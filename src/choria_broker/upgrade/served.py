"""What the broker serves, told to the next program, which reads the configuration with it as a reload does."""

from __future__ import annotations

import msgspec

from choria_broker.host.succession import Succession
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding, Known, known
from choria_broker.settings.served import Served

_SERVED = "served"


class Before(Served, frozen=True, kw_only=True):
    """What the program before served.

    Attributes:
        known: findings that there were.
    """

    known: frozenset[Known] = frozenset()


def remember(succession: Succession, settings: Settings, findings: tuple[Finding, ...]) -> None:
    """Tell the next program what is served, and what was found while it was read."""
    served = msgspec.structs.asdict(Served.of(settings))
    succession.tell(_SERVED, Before(**served, known=known(findings)))


def recall(succession: Succession) -> Before | None:
    """Return what the program before has served; None when that is not known."""
    return succession.told(_SERVED, Before)
