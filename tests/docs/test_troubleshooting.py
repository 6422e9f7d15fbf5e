"""Everything that an operator may be told has its place on the page about trouble."""

from __future__ import annotations

import pytest

from choria_broker.access.rules import RULES
from choria_broker.documentation import HelpKind, help_for
from choria_broker.settings.finding_codes import Code
from choria_broker.status.reasons import Reason
from support import log_lines
from support.pages import ROOT, anchors

PAGE = ROOT / "docs/reference/troubleshooting.md"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (HelpKind.FINDING, tuple(map(str, Code))),
        (HelpKind.RULE, tuple(RULES)),
        (HelpKind.HEALTH, tuple(map(str, Reason))),
        (HelpKind.LOG, tuple(map(log_lines.anchor, log_lines.LINES))),
    ],
)
def test_every_one_has_its_place(kind: HelpKind, names: tuple[str, ...]) -> None:
    wanted = {help_for(kind, name).partition("#")[2] for name in names}
    assert len(wanted) == len(names)
    assert wanted <= anchors(PAGE)


def test_every_line_of_the_log_has_an_entry() -> None:
    assert {text: places for text, places in log_lines.found().items() if not log_lines.meant(text)} == {}


def test_every_entry_is_of_a_line_that_is_there() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in log_lines.SOURCE.rglob("*.py"))
    assert [entry for entry in log_lines.LINES if entry not in source] == []


@pytest.mark.parametrize("reason", list(Reason))
def test_reasons_lead_to_pages_that_are_there(reason: Reason) -> None:
    assert (ROOT / "docs" / reason.page).exists()
