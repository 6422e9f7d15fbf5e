from __future__ import annotations

import runpy
import sys

import pytest

from choria_broker import __version__


def test_the_package_is_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["choria-broker", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("choria_broker", run_name="__main__")
    assert not ended.value.code
    assert __version__ in capsys.readouterr().out
