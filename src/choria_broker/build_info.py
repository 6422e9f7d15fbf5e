"""What this program was built from, as the build wrote it beside the engine."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import NamedTuple

UNKNOWN = "unknown"
"""What stands where the build did not know, as in a checkout that is used as it is."""

_FILE = Path(__file__).parent / "_engine" / "build.json"


class Build(NamedTuple):
    """One build.

    Attributes:
        sha: revision of the sources; ends in ``-dirty`` when they had changed since.
        date: when the revision was made, ISO 8601.
        documentation: where the documentation is, a directory or the address of a site.
    """

    sha: str = UNKNOWN
    date: str = UNKNOWN
    documentation: str = "docs"


@functools.cache
def build() -> Build:
    """Return what this program was built from."""
    try:
        told = json.loads(_FILE.read_text(encoding="utf-8"))
        return Build(str(told["sha"]), str(told["date"]), str(told.get("documentation") or "docs"))
    except (OSError, ValueError, KeyError, TypeError):
        return Build()
