from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from support.leaks import no_secret_is_logged  # noqa: F401 - a fixture for every test here


@pytest.fixture(scope="session")
def choria() -> Path:
    """The real choria program."""
    found = os.environ.get("CHORIA_BIN") or shutil.which("choria")
    if not found:
        pytest.skip("no choria program: set CHORIA_BIN or put choria on PATH")
    return Path(found)


@pytest.fixture(scope="session")
def nats_cli() -> Path:
    """The real nats command line."""
    found = os.environ.get("NATS_BIN") or shutil.which("nats")
    if not found:
        pytest.skip("no nats program: set NATS_BIN or put nats on PATH")
    return Path(found)


@pytest.fixture
def a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choria's client programs want to know who runs them."""
    monkeypatch.setenv("USER", "bob")
