"""Measurements of the broker, each against a peer in the same run: ``python -m bench``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""Folder of the project."""

# What makes certificates, configurations and tokens for tests makes them for measurements too.
sys.path.insert(0, str(ROOT / "tests"))
