"""Makes pages fit for the site: a hook of mkdocs. What is shown on code hosts stays as it is."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

_FENCE = re.compile(r"^```([a-z]+) .+$", re.MULTILINE)
"""A fence with marks, which say how tests use what is in it."""

_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)[^)#]+)(#[^)]*)?\)")

_SHIM = re.compile(r'<script src="https://[^"]*/iframe-worker/[^"]*">')
_WORKER = "assets/javascripts/frame_worker.js"


_PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
"""Where the tests with a browser put what they saw."""

_WITH_PICTURES = "how-to/dashboard.md"


def on_page_markdown(markdown: str, *, page: Any, **_others: Any) -> str:
    """Take the marks off fences, and make links to the sources the names of these files."""
    folder = posixpath.dirname(page.file.src_uri)

    def named(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        return f"{link[1]} (`{target.removeprefix('../')}` in the sources)" if target.startswith("..") else link[0]

    text = _LINK.sub(named, _FENCE.sub(r"```\1", markdown))
    return text + _gallery() if page.file.src_uri == _WITH_PICTURES else text


def _pictures() -> list[Path]:
    return sorted(_PICTURES.glob("*-wide.png"))


def _gallery() -> str:
    shown = [f"![{each.stem.removesuffix('-wide')}](../screenshots/{each.name})" for each in _pictures()]
    return "\n\n".join(["\n\n## Pictures", *shown, ""]) if shown else ""


def on_files(files: Any, *, config: Any) -> Any:
    """Add the script with which the search works from files, and pictures of the dashboard where there are some."""
    content = Path(__file__).with_name("frame_worker.js").read_text(encoding="utf-8")
    files.append(File.generated(config, _WORKER, content=content))
    for picture in _pictures():
        files.append(File.generated(config, f"screenshots/{picture.name}", abs_src_path=str(picture)))
    return files


def on_post_page(output: str, *, page: Any, **_others: Any) -> str:
    """Use that script in place of one from elsewhere."""
    up = "../" * page.file.dest_uri.count("/")
    return _SHIM.sub(f'<script src="{up}{_WORKER}">', output)


def on_post_template(output_content: str, *, template_name: str, **_others: Any) -> str:
    """Do the same for pages that are no page of ours."""
    return (
        _SHIM.sub(f'<script src="/{_WORKER}">', output_content) if template_name.endswith(".html") else output_content
    )
