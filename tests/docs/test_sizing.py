"""The numbers of the sizing page are those that were measured."""

from __future__ import annotations

import pytest

from support.pages import ROOT, rows

MEASURED = {cell for row in rows(ROOT / "docs/performance.md") for cell in row}


@pytest.mark.parametrize("row", rows(ROOT / "docs/reference/sizing.md")[:15])
def test_every_number_was_measured(row: tuple[str, ...]) -> None:
    assert row[1] in MEASURED or row[1].removesuffix(" MB") in MEASURED, (
        f"{row[0]}: docs/performance.md has no {row[1]}"
    )
