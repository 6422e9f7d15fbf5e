"""Looks at the built site: nothing is loaded from elsewhere. ``python tools/site/looked_at.py FOLDER``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=\"((?:https?:)?//[^\"]*)\"")
_STYLED = re.compile(r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^\"')]*)")


def main(folder: Path) -> int:
    """Print what pages and styles would load from elsewhere; return 1 when there is something."""
    outside = [
        f"{path.relative_to(folder)}: {address}"
        for pattern, kind in ((_LOADED, "*.html"), (_STYLED, "*.css"))
        for path in sorted(folder.rglob(kind))
        for address in pattern.findall(path.read_text(encoding="utf-8"))
    ]
    print("\n".join(outside), end="")
    return bool(outside)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
