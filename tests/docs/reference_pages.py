"""Writes the reference pages that have a table in the code: ``python tests/docs/reference_pages.py``."""

from __future__ import annotations

from pathlib import Path

from choria_broker.access.rules import RULES
from choria_broker.config import manual

REFERENCE = Path(__file__).parents[2] / "docs/reference"

_RULES = """# Rules

Each connection is decided by one rule. Its name is in the log (`rule`), in the metric `choria_broker_decisions_total`,
and in what `choria-broker explain` prints. They stand here in the order a decision meets them.
[How a connection is decided](../explanation/decisions.md) has the way through;
[a connection is refused](../how-to/refused.md) says what to look at first.

This page is generated from the table of rules in `choria_broker.access.rules`.
"""


def rules() -> str:
    """Write the page of all rules."""
    accepting = [f"| `{rule.name}` | {rule.sentence} |" for rule in RULES.values() if rule.accepts]
    refusing = [f"| `{rule.name}` | {rule.sentence} | {rule.remedy} |" for rule in RULES.values() if not rule.accepts]
    return "\n".join(
        (
            _RULES,
            "## Rules that let a connection in\n",
            "| Rule | What it says |",
            "|---|---|",
            *accepting,
            "\n## Rules that refuse\n",
            "| Rule | What it says | Remedy |",
            "|---|---|---|",
            *refusing,
            "",
        )
    )


PAGES = {"rules.md": rules, "settings.md": manual.render}
"""How each generated page is written."""


def main() -> None:
    """Write all of them."""
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
