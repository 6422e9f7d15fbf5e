"""What others wrote and pages load: it is what the lock file says, letter by letter."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

import msgspec

FOLDER = resources.files("choria_broker.ui").joinpath("assets", "vendor")
LOCK = "vendor.lock.json"


def locked() -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(FOLDER.joinpath(LOCK).read_bytes())
    return {name: told for library in found["libraries"] for name, told in library["files"].items()}


def test_every_file_is_what_the_lock_file_says() -> None:
    assert {file.name for file in FOLDER.iterdir()} - {LOCK} == set(locked())
    for name, told in locked().items():
        content = FOLDER.joinpath(name).read_bytes()
        digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (told["bytes"], told["sha256"])
        assert f"sha384-{digest}" == told["integrity"]


def test_the_lock_file_says_where_it_is_from_and_under_which_licence() -> None:
    (library,) = msgspec.json.decode(FOLDER.joinpath(LOCK).read_bytes())["libraries"]
    assert (library["name"], library["version"], library["license"]) == ("uplot", "1.6.32", "MIT")
    assert "uplot@1.6.32" in library["origin"]
    assert library["archive"].startswith("sha512-")
    assert "The MIT License" in FOLDER.joinpath("uPlot.LICENSE").read_text()
    assert "uPlot (v1.6.32)" in FOLDER.joinpath("uPlot.iife.min.js").read_text()


def test_nothing_vendored_needs_more_than_the_strict_policy_gives() -> None:
    text = FOLDER.joinpath("uPlot.iife.min.js").read_text()
    for forbidden in ("eval(", "new Function", "innerHTML", 'setAttribute("style', "document.write", "http://"):
        assert forbidden not in text, forbidden
    assert "url(" not in FOLDER.joinpath("uPlot.min.css").read_text()
