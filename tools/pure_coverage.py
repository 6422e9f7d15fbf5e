"""Hold the coverage of the pure ring, as the unit tests left it, against its floors.

Pure is every module that the contract ``pure`` in pyproject.toml does not list as an edge: there is no second list.
Run it after the unit tests under ``coverage run``; exit status 1 means that a floor is not reached.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"

WHOLE = 99.0
"""Percent of the lines and branches of the whole ring."""

EACH = 95.0
"""Percent of the lines and branches of each module."""


@dataclass(frozen=True)
class Covered:
    """What of a module was run: lines and branches together.

    Attributes:
        reached: lines and branches that a test reached.
        there: lines and branches that there are.
        missing: what no test reached, as ``12, 14->16``.
    """

    reached: int
    there: int
    missing: str = ""

    @property
    def percent(self) -> float:
        """How much was reached; of nothing it is all."""
        return 100 * self.reached / self.there if self.there else 100.0


def edges(pyproject: Mapping[str, Any]) -> list[str]:
    """Return the patterns of the modules that the contract lists as edges, in import-linter's writing."""
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    (pure,) = (each for each in contracts if each["name"].startswith("pure:"))
    return [exception.partition(" -> ")[0] for exception in pure["ignore_imports"]]


def is_edge(module: str, patterns: list[str]) -> bool:
    """Return whether one of import-linter's patterns stands for a module: ``*`` is one part, ``**`` one or more."""
    wildcards = {"*": r"[^.]+", "**": r".+"}
    return any(
        re.fullmatch(r"\.".join(wildcards.get(part, re.escape(part)) for part in pattern.split(".")), module)
        for pattern in patterns
    )


def module_of(path: Path) -> str:
    """Return the dotted name of a source file below ``src``."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def pure_modules() -> dict[str, Path]:
    """Return the file of each module of the pure ring, relative to ``src``."""
    patterns = edges(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    paths = (path.relative_to(SOURCE) for path in sorted(SOURCE.rglob("*.py")))
    return {module_of(path): path for path in paths if not is_edge(module_of(path), patterns)}


def measured() -> dict[str, Covered]:
    """Put together what the processes of the run wrote, and return what they reached of each pure module."""
    data = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    data.combine(keep=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        data.json_report(outfile=str(report))
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    by_path = {Path(name).resolve(): each for name, each in files.items()}
    return {module: _covered(by_path[(SOURCE / path).resolve()]) for module, path in pure_modules().items()}


def _covered(file: Mapping[str, Any]) -> Covered:
    summary = file["summary"]
    lines = [str(line) for line in file["missing_lines"]]
    branches = [f"{start}->{end if end > 0 else 'exit'}" for start, end in file["missing_branches"]]
    return Covered(
        summary["covered_lines"] + summary["covered_branches"],
        summary["num_statements"] + summary["num_branches"],
        ", ".join([*lines, *branches]),
    )


def complaints(ring: Mapping[str, Covered]) -> list[str]:
    """Return a line for each floor that is not reached."""
    whole = Covered(sum(each.reached for each in ring.values()), sum(each.there for each in ring.values()))
    low = [
        f"{name}: {each.percent:.1f} %, not {EACH:g}: {each.missing}"
        for name, each in ring.items()
        if each.percent < EACH
    ]
    if whole.percent < WHOLE:
        worst = sorted(ring.items(), key=lambda item: item[1].reached - item[1].there)[:10]
        low.append(f"the whole ring: {whole.percent:.2f} %, not {WHOLE:g}; most is missing in:")
        low += [f"  {name}: {each.missing}" for name, each in worst if each.missing]
    return low


def main() -> int:
    """Say how much is covered, and what is not."""
    ring = measured()
    whole = Covered(sum(each.reached for each in ring.values()), sum(each.there for each in ring.values()))
    print(f"covered of the pure ring: {whole.percent:.2f} % of {whole.there} lines and branches, {len(ring)} modules")
    low = complaints(ring)
    if low:
        print("\n".join(low), file=sys.stderr)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
