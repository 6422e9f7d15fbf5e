from __future__ import annotations

from pathlib import Path

import pytest

from docs.surroundings import Machine, build
from testbed import Authority


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine as the pages suppose it."""
    return build(tmp_path / "machine")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA of the network under test."""
    return Authority(tmp_path)
