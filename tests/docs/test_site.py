"""The documentation as a site: every page is in it, nothing comes from elsewhere, the search works without a server."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from choria_broker.documentation import HelpKind, help_for
from support.pages import ROOT

MKDOCS = ROOT / ".tools/site/bin/mkdocs"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Configuration(yaml.SafeLoader):  # type: ignore[misc] # of a library without types
    """Reads mkdocs.yml, whose functions are nothing to us."""


Configuration.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def listed(entries: Any) -> Iterator[str]:
    """Go through the pages of a navigation."""
    for each in entries:
        if isinstance(each, str):
            yield each
        else:
            for below in each.values():
                yield from listed([below] if isinstance(below, str) else below)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not MKDOCS.exists():
        pytest.skip("there is no mkdocs: make site installs it")
    folder = tmp_path_factory.mktemp("site")
    words = [str(MKDOCS), "build", "--strict", "-q", "-d", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - our own words
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_navigation_once() -> None:
    with (ROOT / "mkdocs.yml").open(encoding="utf-8") as file:
        pages = list(listed(yaml.load(file, Configuration)["nav"]))  # noqa: S506 - a safe loader
    there = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(pages) == sorted(there)


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"((?:https?:)?//[^\"]*)", text)
        assert loaded == [], page


def test_what_commands_name_is_there(site: Path) -> None:
    address, _, anchor = help_for(HelpKind.RULE, "certificate-required", base=site.as_uri()).partition("#")
    page = Path(address.removeprefix("file://"))
    assert f'id="{anchor}"' in page.read_text(encoding="utf-8")


def test_fences_with_marks_are_still_fences(site: Path) -> None:
    text = (site / "tutorial.html").read_text(encoding="utf-8")
    assert "```" not in text
    assert "lab=" not in text


@pytest.mark.skipif(not CHROMIUM, reason="there is no chromium")
def test_the_search_works_from_files(site: Path, tmp_path: Path) -> None:
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=15000",
        f"--user-data-dir={tmp_path}",
    ]
    done = subprocess.run(  # noqa: S603 - our own words
        [str(CHROMIUM), *words, "--dump-dom", f"{site.as_uri()}/index.html?q=revoke"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "how-to/revoke.html" in "".join(re.findall(r'<a href="([^"]*)" class="md-search-result__link"', done.stdout))
