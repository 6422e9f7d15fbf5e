from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from choria_broker.engine import binary
from choria_broker.engine.gate import frames


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_installed_engine_is_found_and_tells_its_versions() -> None:
    told = json.loads(subprocess.check_output([binary.locate(), "--version"], timeout=10))  # noqa: S603 - our own engine
    assert told["protocol"] == frames.PROTOCOL
    assert told["nats"].startswith("2.")


def test_the_note_of_a_failed_build_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(binary.OVERRIDE, raising=False)
    monkeypatch.setattr(binary, "_FOLDER", tmp_path)
    monkeypatch.setattr(binary, "_REASON", tmp_path / "not-built.txt")
    with pytest.raises(binary.EngineMissingError, match="is missing; install a wheel"):
        binary.locate()
    (tmp_path / "not-built.txt").write_text("No Go was found.\n", encoding="utf-8")
    with pytest.raises(binary.EngineMissingError, match=r"^No Go was found\.$"):
        binary.locate()


def test_a_rejected_file_is_told_in_the_engines_words(tmp_path: Path) -> None:
    config = tmp_path / "engine.conf"
    config.write_text("port: nowhere\n", encoding="utf-8")
    with pytest.raises(binary.EngineConfigError, match=r"engine\.conf:1"):
        binary.check(binary.locate(), config)
    with pytest.raises(binary.EngineConfigError, match="exit status 3"):
        binary.check(program(tmp_path / "engine", "exit 3"), config)


def test_a_rejected_text_is_told_in_the_engines_words() -> None:
    with pytest.raises(binary.EngineConfigError, match=r":1:0: "):
        binary.check_text(binary.locate(), "port: nowhere\n")
