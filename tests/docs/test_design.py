"""What DESIGN.md and CONTRIBUTING.md say of the source: files that they name, the list of packages."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "choria_broker"
DESIGN = (ROOT / "DESIGN.md").read_text(encoding="utf-8")
PLACES = (SOURCE, ROOT / "engine", ROOT)
"""Where a path in these pages may begin; below the source the ending may be missing."""


MADE = "engine/go.work"
"""It is made when the engine is built, which a fresh checkout need not have done."""


def named(text: str) -> Iterator[str]:
    """Return what is written as code in a text and looks like the path of a file or folder."""
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.fullmatch(r"[\w./-]+", span) and ("/" in span or span.endswith((".py", ".go"))) and span != MADE:
            yield span.rstrip("/")


def is_there(path: str, places: tuple[Path, ...]) -> bool:
    return any((place / path).exists() or (place / f"{path}.py").exists() for place in places)


def test_every_function_and_class_that_the_design_names_is_there() -> None:
    spans = re.findall(r"`([A-Za-z_.]+)(?:\(.*?\))?`", DESIGN)
    names = {span.rpartition(".")[2] for span in spans if "_" in span.strip("_") or re.search("[a-z][A-Z]", span)}
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (*SOURCE.rglob("*.py"), *(ROOT / "engine").glob("*.go"))
    )
    modules = {path.stem for path in SOURCE.rglob("*")} | {SOURCE.name}
    assert {name for name in names - modules if not re.search(rf"\b(class|def|func|type) {name}\b", source)} == set()


def rows() -> list[tuple[str, str]]:
    """Return both cells of each row of the table of packages."""
    table = DESIGN.partition("| Package |")[2].partition("\n\n")[0]
    return [(left, right) for left, right in re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)]


def packages(cell: str) -> list[str]:
    return [span.removesuffix("/").removesuffix(".py") for span in re.findall(r"`([^`]+)`", cell)]


def test_every_file_that_the_design_names_is_there() -> None:
    text = DESIGN.replace(DESIGN.partition("| Package |")[2].partition("\n\n")[0], "")
    missing = {path for path in named(text) if not is_there(path, PLACES)}
    assert missing == set()


def test_every_module_that_a_row_names_is_in_its_package() -> None:
    for left, right in rows():
        places = tuple(SOURCE / package for package in packages(left))
        words = [span.rstrip("/") for span in re.findall(r"`([^`]+)`", right)]
        missing = {word for word in words if not is_there(word, (*places, SOURCE, SOURCE / "cli"))}
        assert missing == set(), left


def test_the_list_of_packages_is_whole() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (each for each in contracts if each.get("containers") == ["choria_broker"])
    wanted = {name.strip() for layer in layers["layers"] for name in layer.split("|")}
    listed = [package for left, _ in rows() for package in packages(left)]
    assert sorted(listed) == sorted(wanted)


def imported(package: str) -> set[str]:
    """Return the other packages that one imports."""
    place = SOURCE / package
    files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("choria_broker"):
                names = [f"{node.module}.{each.name}" for each in node.names]
                found |= {name.split(".")[1] for name in names}
    return found - {package}


def test_packages_import_only_what_stands_above_them_in_the_list() -> None:
    listed = [packages(left) for left, _ in rows()]
    known = {package for row in listed for package in row}
    above: set[str] = set()
    for row in listed:
        above |= set(row)
        for package in row:
            assert imported(package) & known <= above, package


@pytest.mark.parametrize(
    "recipe",
    re.findall(r"^\| [^|`]+ \| ([^|]*`[^|]*) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE),
)
def test_every_file_that_a_recipe_names_is_there(recipe: str) -> None:
    missing = {path for path in named(recipe) if "NAME" not in path and not is_there(path, PLACES)}
    assert missing == set()
