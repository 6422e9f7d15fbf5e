from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from leaks import no_secret_is_logged  # noqa: F401 - a fixture for every test here
from testbed import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA that the broker under test knows."""
    return Authority(tmp_path)


@pytest.fixture(autouse=True, scope="session")
def runtime_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the control sockets of brokers out of the machine's runtime directories, also those of killed brokers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        yield
