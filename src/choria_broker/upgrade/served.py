"""What the broker serves, told to the next program, so that it keeps what only a restart changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from choria_broker.host.succession import Succession
from choria_broker.settings.broker import Settings, Statistics
from choria_broker.settings.findings import Finding, Origin
from choria_broker.settings.network import Network
from choria_broker.settings.operator import Operator
from choria_broker.settings.tls import Tls
from choria_broker.values import Discreet

_SERVED = "served"


class Served(Discreet, frozen=True, kw_only=True):
    """What is in force, as far as another program has to know it to read the configuration.

    Attributes:
        source: the main configuration file.
        identity: name of the broker.
        raw: all keys as read.
        origins: where each was set.
        signer_files: content of the files that hold keys of signers, as in the settings.
        operator: whose accounts there are.
        listen_address: on which the engine listens.
        statistics: the statistics listener.
        known: findings that there were, by code, key and problem.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"raw", "origins", "signer_files"})

    source: Path
    identity: str
    raw: Mapping[str, str] = msgspec.field(default_factory=dict)
    origins: Mapping[str, Origin] = msgspec.field(default_factory=dict)
    signer_files: Mapping[str, bytes | None] = msgspec.field(default_factory=dict)
    operator: Operator | None = None
    listen_address: str
    statistics: Statistics
    known: tuple[tuple[str, str, str], ...] = ()

    @property
    def settings(self) -> Settings:
        """Settings that say as much."""
        return Settings(
            source=self.source,
            identity=self.identity,
            tls=Tls(enabled=False, everywhere=False, verify_clients=False, files=None),
            network=Network(operator=self.operator, listen_address=self.listen_address),
            statistics=self.statistics,
            origins=self.origins,
            raw=self.raw,
            signer_files=self.signer_files,
        )


def remember(succession: Succession, settings: Settings, findings: tuple[Finding, ...]) -> None:
    """Tell the next program what is served, and what was found while it was read."""
    served = Served(
        source=settings.source,
        identity=settings.identity,
        raw=dict(settings.raw),
        origins=dict(settings.origins),
        signer_files=dict(settings.signer_files),
        operator=settings.network.operator,
        listen_address=settings.network.listen_address,
        statistics=settings.statistics,
        known=tuple((str(each.code), each.key, each.problem) for each in findings),
    )
    succession.tell(_SERVED, served)


def recall(succession: Succession) -> Served | None:
    """Return what the program before has served; None when that is not known."""
    return succession.told(_SERVED, Served)
