"""Settings of a network broker as they come out of a configuration."""

from __future__ import annotations

from pathlib import Path

from choria_broker.settings.broker import Settings
from choria_broker.settings.network import Network
from choria_broker.settings.tls import Tls, TlsFiles

FILES = TlsFiles(certificate=Path("/ssl/cert.pem"), key=Path("/ssl/key.pem"), ca=Path("/ssl/ca.pem"))


SECURE = Tls(enabled=True, everywhere=True, verify_clients=True, files=FILES)


def settings(network: Network | None = None, tls: Tls = SECURE) -> Settings:
    return Settings(
        source=Path("/etc/choria/broker.conf"),
        identity="broker1.example.net",
        tls=tls,
        network_enabled=True,
        network=network or Network(),
    )
