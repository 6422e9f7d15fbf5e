from __future__ import annotations

from pathlib import Path

import pytest

from support.jwt_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A folder with keys, and the jwt commands run in it."""
    return Bench.at(tmp_path)
