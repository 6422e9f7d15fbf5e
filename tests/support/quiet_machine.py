"""A machine and a network that know nothing."""

from __future__ import annotations

from pathlib import Path

from choria_broker.config.surroundings.discovery import (
    Discovery,
)
from choria_broker.config.surroundings.facts import SrvAnswer

QUIET = Discovery(
    hostname=lambda: "host",
    full_name=lambda _: "",
    addresses=lambda _: (),
    is_local=lambda _: False,
    srv=lambda record, _: SrvAnswer(record, problem="none"),
    run=lambda *_: "",
    tools=(),
    puppet_directory=Path("/nonexistent/puppet"),
    root=True,
)
