"""Everything the broker was told."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from choria_broker.settings.accounts import CHORIA_ACCOUNT, account_names
from choria_broker.settings.companions import Adapter, Federation
from choria_broker.settings.findings import DEFAULT, Origin
from choria_broker.settings.listeners import Listener, engine_listeners
from choria_broker.settings.network import Network
from choria_broker.settings.security import Security
from choria_broker.settings.tls import Tls
from choria_broker.values import Discreet

LOG_WORDS = frozenset({"stdout", "stderr", "discard"})
"""What the log can go to besides a file."""


class LogLevel(enum.StrEnum):
    """Levels the operator may choose."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics listener.

    Attributes:
        address: where to, an IP address or a name.
        port: 0 means none.
        ui: serve status pages on other than loopback addresses too.
        addresses: IP addresses that are bound of ``address``; empty for an IP address that is bound as it is.
    """

    address: str = "127.0.0.1"
    port: int = 0
    ui: bool = False
    addresses: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """The addresses to listen on."""
        return self.addresses or (self.address,)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The listeners there, none without a port."""
        key, address_key = "plugin.choria.stats_port", "plugin.choria.stats_address"
        places = self.places if self.port else ()
        return tuple(Listener(key=key, address_key=address_key, address=address, port=self.port) for address in places)


class Settings(Discreet, frozen=True, kw_only=True):
    """Everything the broker was told.

    Attributes:
        source: absolute path of the main configuration file.
        identity: name of this broker.
        logfile: ``stdout``, ``stderr``, ``discard`` or a path.
        loglevel: level of the log.
        collectives, main_collective: names.
        network_enabled: the network broker runs.
        adapters: the adapters to run.
        federation: the federation broker to run, None without one.
        network: the network broker.
        security: who is trusted.
        tls: how TLS is used.
        statistics: the statistics listener.
        origins: where each key that was set was set.
        raw: all keys as read, for features that own families of keys; holds secrets, so it is not in the text form.
        signer_files: content of the files that hold keys of signers, by the entry that names them; None where there
            was none to read.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"origins", "raw", "signer_files"})

    source: Path
    identity: str
    tls: Tls
    logfile: str = "stdout"
    loglevel: LogLevel = LogLevel.INFO
    collectives: tuple[str, ...] = ("mcollective",)
    main_collective: str = "mcollective"
    network_enabled: bool = False
    adapters: tuple[Adapter, ...] = ()
    federation: Federation | None = None
    network: Network = Network()
    security: Security = Security()
    statistics: Statistics = Statistics()
    origins: Mapping[str, Origin] = msgspec.field(default_factory=dict)
    raw: Mapping[str, str] = msgspec.field(default_factory=dict)
    signer_files: Mapping[str, bytes | None] = msgspec.field(default_factory=dict)

    @property
    def log_file(self) -> Path | None:
        """The file to which the log is appended; None where it goes elsewhere, or nowhere."""
        return Path(self.logfile) if self.logfile and self.logfile.lower() not in LOG_WORDS else None

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Every place with a port of its own where the broker listens."""
        engine = engine_listeners(self.network) if self.network_enabled else ()
        return (*engine, *self.statistics.listeners)

    def listener(self, key: str) -> Listener | None:
        """Return the engine's listener whose port is set with a key, None where there is none."""
        return next((listener for listener in engine_listeners(self.network) if listener.key == key), None)

    @property
    def account_names(self) -> tuple[str, ...]:
        """The local accounts; none of them is there in operator mode."""
        return account_names(
            self.network.accounts, self.security.accounts, provisioning=self.network.provisioning.enabled
        )

    @property
    def stream_account_names(self) -> tuple[str, ...]:
        """Those of them that have streams once there is a store: Choria's own first, then those of organizations."""
        return tuple(dict.fromkeys((CHORIA_ACCOUNT, *self.security.accounts)))

    def origin(self, key: str) -> Origin:
        """Tell where a key was set."""
        return self.origins.get(key, DEFAULT)
