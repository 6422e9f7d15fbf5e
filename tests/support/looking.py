"""What is looked at on every page: that it fits every screen, in pictures for people, and with axe-core."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from support.chromium import Tab

PICTURES = Path(os.environ.get("SCREENSHOTS", "build/screenshots"))
WIDE, PHONE, SMALL = (1280, 800), (390, 844), (320, 640)
LOOKS = {"wide": (*WIDE, False), "dark": (*WIDE, True), "phone": (*PHONE, False)}

ALL = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}"
BY_LOOKS = "{runOnly: {type: 'rule', values: ['color-contrast', 'target-size', 'scrollable-region-focusable']}}"
VIOLATIONS = """axe.run(document, %s).then((found) => found.violations.map((each) =>
    `${each.id}: ${each.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`)}`))"""

NO_AXE = "no axe-core: run `make browser` where npm is, or set AXE to axe.min.js"


@functools.cache
def axe() -> str:
    """Return axe-core; empty where it is not installed."""
    program = Path(os.environ.get("AXE", ".tools/axe/node_modules/axe-core/axe.min.js"))
    return f"{program.read_text(encoding='utf-8')}; 0" if program.is_file() else ""


async def told(tab: Tab, url: str) -> None:
    """Open a page that is there."""
    await tab.open(url)
    assert await tab.run("document.querySelector('h1') !== null"), url


async def looked_over(tab: Tab, url: str, name: str, there: str = "true") -> list[str]:
    """Look at a page in every look, and return what is wrong with it.

    Args:
        tab: the browser.
        url: of the page.
        name: of its pictures.
        there: expression that is true once all of it is there.
    """
    wrong = []
    for look, (width, height, dark) in LOOKS.items():
        await tab.look_like(width, height, dark=dark)
        await told(tab, url)
        await tab.until(there)
        await tab.picture(PICTURES / f"{name}-{look}.png")
        if axe():
            await tab.run(axe())
            found = await tab.run(VIOLATIONS % (ALL if look == "wide" else BY_LOOKS))
            wrong += [f"{name} {look}: {each}" for each in found]
    await tab.look_like(*SMALL)
    if not await tab.run("document.documentElement.scrollWidth <= innerWidth"):
        wrong.append(f"{name} is too wide")
    return wrong
