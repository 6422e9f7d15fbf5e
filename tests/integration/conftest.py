from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaks import leaks
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


@pytest.fixture(autouse=True)
def no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Have every test fail whose broker logged a token, a signature, a seed or a password, at any level."""
    caplog.set_level(logging.DEBUG, logger="choria_broker")
    yield
    for phase in ("setup", "call"):
        for record in caplog.get_records(phase):
            assert not leaks(f"{record.getMessage()} {record.__dict__}")
