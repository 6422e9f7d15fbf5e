from __future__ import annotations

from pathlib import Path

import pytest

from support.surroundings import Machine, build
from support.testbed import Authority


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine as the pages suppose it."""
    return build(tmp_path / "machine")


@pytest.fixture
def local(machine: Machine) -> Authority:
    """The CA of the machine, made anew with certificates that are good for ``localhost`` too."""
    authority = Authority(machine.config.parent / "ssl")
    for name in ("broker.example.net", "broker1.example.net"):
        authority.issue(name, "localhost")
    return authority
