from __future__ import annotations

from pathlib import Path

import pytest

from support.surroundings import Machine, build


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine as the pages suppose it."""
    return build(tmp_path / "machine")
