"""What a running broker serves, as far as whoever reads its configuration again has to know it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from choria_broker.settings.broker import Settings, Statistics
from choria_broker.settings.findings import DEFAULT, Origin
from choria_broker.settings.links import Cluster
from choria_broker.settings.operator import Operator
from choria_broker.settings.revocation import Revocation
from choria_broker.values import Discreet


class Served(Discreet, frozen=True, kw_only=True):
    """What stays as it is until a restart, and what stays when it turned bad.

    Nothing else of the settings in force is there when a configuration is read again, neither at a reload nor by the
    program of an upgrade: so both keep the same.

    Attributes:
        source: the main configuration file.
        identity: name of the broker.
        raw: all keys as read.
        origins: where each was set.
        signer_files: content of the files that hold keys of signers, as in the settings.
        operator: whose accounts there are, None in other modes.
        listen_address: on which the engine listens.
        statistics: the statistics listener.
        cluster: its cluster; None where an older program did not tell.
        revocation: who is revoked; None where an older program did not tell.
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
    cluster: Cluster | None = None
    revocation: Revocation | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Take it from the settings in force."""
        return cls(
            source=settings.source,
            identity=settings.identity,
            raw=dict(settings.raw),
            origins=dict(settings.origins),
            signer_files=dict(settings.signer_files),
            operator=settings.network.operator,
            listen_address=settings.network.listen_address,
            statistics=settings.statistics,
            cluster=settings.network.cluster,
            revocation=settings.network.revocation,
        )

    def origin(self, key: str) -> Origin:
        """Tell where a key was set."""
        return self.origins.get(key, DEFAULT)
