from __future__ import annotations

import ast
from pathlib import Path

import choria_broker
from choria_broker.settings import finding_codes
from choria_broker.settings.finding_codes import ALWAYS, SECTIONS, Code, Severity
from choria_broker.settings.findings import Finding

SOURCE = Path(choria_broker.__file__).parent


def test_rows_are_whole() -> None:
    for name, code in Code.__members__.items():
        assert code == name.lower().replace("_", "-"), "each row has a code of its own, which is its name"
        assert code.severities
        assert code.meaning
        assert not code.meaning.endswith(".")
        assert not code.lenient or Severity.REFUSE in code.severities
    assert {code.lenient for code in Code} == {"", ALWAYS, "for the system user"}
    assert next(iter(SECTIONS.values())) is next(iter(Code))


def test_no_row_is_left_over() -> None:
    """The type checker sees to it that every code that is used has a row; this is the other way round."""
    used = {
        node.attr
        for path in SOURCE.rglob("*.py")
        if path != Path(finding_codes.__file__)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code"
    }
    assert used == set(Code.__members__)


def test_a_refusal_says_what_it_does() -> None:
    refusal = Finding(severity=Severity.REFUSE, code=Code.PORT_CLASH, problem="x", remedy="y")
    assert refusal.effect == "the broker does not start"
