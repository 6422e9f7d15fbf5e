from __future__ import annotations

from pathlib import Path

import pytest

from support.stores import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with accounts SYS, ACME and GLOBEX."""
    return Store(tmp_path, "OPS", "ACME", "GLOBEX")
