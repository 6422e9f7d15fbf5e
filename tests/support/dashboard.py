"""What tests of the dashboard's pages share."""

from __future__ import annotations

from typing import Any

import msgspec

from choria_broker.status.document import Status
from support.statuses import STATUS

NOW = 1_790_000_000.0
HOSTILE = "<img src=x onerror=alert(1)>\"'&"
"""What somebody may call himself."""


def status_of(**fields: Any) -> Status:
    """Make the status of a broker that is well, but for some fields."""
    return msgspec.structs.replace(STATUS, **fields)
