"""The bill of materials of a package, as CycloneDX: libraries of Python, the engine's modules, scripts of pages."""

from __future__ import annotations

import email.parser
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Component = dict[str, Any]

_SPDX = re.compile(r"[A-Za-z0-9.+-]+")
"""A licence's identifier. What is no identifier or expression is told as a name."""


def bill(version: str, components: list[Component]) -> dict[str, Any]:
    """Return the document for a version of the program and what is packed with it."""
    own = {"type": "application", "name": "choria-broker", "version": version, "licenses": _licence("Apache-2.0")}
    ordered = sorted(components, key=lambda each: str(each["purl"]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own},
        "components": ordered,
    }


def python_libraries(packages: Path) -> Iterator[Component]:
    """Tell of each library that is installed in a directory, but for the program itself."""
    for path in packages.glob("*.dist-info/METADATA"):
        told = email.parser.HeaderParser().parsestr(path.read_text(encoding="utf-8"))
        name, version = str(told["Name"]).lower().replace("_", "-"), str(told["Version"])
        if name != "choria-broker":
            found = _component(name, version, f"pkg:pypi/{name}@{version}")
            expression, licence = told["License-Expression"], told["License"]
            if expression or licence:
                found["licenses"] = (
                    [{"expression": expression}] if expression else _licence(str(licence).splitlines()[0])
                )
            yield found


def go_modules(listed: str) -> Iterator[Component]:
    """Tell of each module in what ``go version -m`` says of a program, and of Go, whose library is linked too."""
    for line in listed.splitlines():
        word, *fields = line.split() or [""]
        if word == "dep":
            yield _component(fields[0], fields[1], f"pkg:golang/{fields[0]}@{fields[1]}")
        elif fields and fields[0].startswith("go1"):
            version = fields[0].removeprefix("go")
            yield {
                **_component("stdlib", version, f"pkg:golang/stdlib@{version}"),
                "licenses": _licence("BSD-3-Clause"),
            }


def scripts_of_pages(folder: Path) -> Iterator[Component]:
    """Tell of each library that pages of the dashboard load, as its lock file does.

    Args:
        folder: with the files and their lock.
    """
    for each in json.loads((folder / "vendor.lock.json").read_text(encoding="utf-8"))["libraries"]:
        name, version = each["name"], each["version"]
        yield {
            **_component(name, version, f"pkg:npm/{name}@{version}"),
            "licenses": [{"license": {"id": each["license"]}}],
        }


def _component(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _licence(text: str) -> list[dict[str, Any]]:
    return [{"license": {"id" if _SPDX.fullmatch(text) and "-" in text else "name": text}}]


def licence_texts(listed: str, cache: Path) -> dict[str, str]:
    """Return the texts that licences want to be passed on, of each module that is linked, by a file name.

    Args:
        listed: what ``go version -m`` says of the program.
        cache: where Go keeps modules.

    Raises:
        FileNotFoundError: a module has none.
    """
    found = {}
    for module in go_modules(listed):
        name, version = str(module["name"]), str(module["version"])
        if name == "stdlib":
            continue
        # In file names of the cache a capital letter is "!" and the small one.
        folder = cache / re.sub("[A-Z]", lambda capital: f"!{capital[0].lower()}", f"{name}@{version}")
        texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*")) if _is_licence(path.name)]
        if not texts:
            raise FileNotFoundError(f"{folder} has no licence")
        found[f"{name.replace('/', '_')}.txt"] = "\n".join(texts)
    return found


def _is_licence(name: str) -> bool:
    return name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"))
