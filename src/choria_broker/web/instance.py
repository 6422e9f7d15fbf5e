"""The instance document: which broker this is, and how much CPU and memory it takes."""

from __future__ import annotations

import os
import platform

from choria_broker import __version__
from choria_broker.build_info import build
from choria_broker.engine.life import EngineLife
from choria_broker.settings.broker import Settings


def document(settings: Settings, engine: EngineLife, connections: int) -> dict[str, object]:
    """Write the instance document; keys and their order are what readers of the original program's page expect.

    Args:
        settings: what the broker was told.
        engine: the engine.
        connections: how many clients can connect.
    """
    built = build()
    return {
        "build": {
            "version": __version__,
            "sha": built.sha,
            "build_date": built.date,
            "license": "Apache-2.0",
            "tls": True,
            "secure": True,
            "go": f"python{platform.python_version()}",
            "max_broker_clients": connections,
            "nats": engine.nats,
        },
        "system": {
            "rss": engine.processes.resident(),
            "cpu_percent": engine.processes.cpu_percent(),
            "cpu_cores": os.cpu_count() or 1,
        },
        "config_file": str(settings.source),
        "identity": settings.identity,
    }
