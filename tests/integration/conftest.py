from __future__ import annotations

from pathlib import Path

import pytest

from testbed import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA that the broker under test knows."""
    return Authority(tmp_path)
