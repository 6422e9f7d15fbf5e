"""Building the Go programs that measurements need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench import ROOT

_DEADLINE = 300.0


class MeasurementError(Exception):
    """A measurement could not be made; the message says why."""


def build(program: Path, source: Path | str, *, module: Path = ROOT) -> None:
    """Build a Go program the way the engine is built, but with the libraries as they are, without the engine's patches.

    Args:
        program: where to put it.
        source: a file or the name of a package.
        module: folder of the module whose pinned dependencies it uses.

    Raises:
        MeasurementError: there is no Go, or it failed.
    """
    go: list[str | Path] = [sys.executable, ROOT / "tools" / "go.py", "-C", module]
    command = [*go, "build", "-trimpath", "-ldflags=-s -w", "-o", program, source]
    bare = {**os.environ, "GOWORK": "off"}
    done = subprocess.run(command, env=bare, capture_output=True, text=True, check=False, timeout=_DEADLINE)
    if done.returncode:
        raise MeasurementError(f"{program.name} could not be built: {done.stderr.strip()}")
