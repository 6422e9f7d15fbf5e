from __future__ import annotations

import pytest

from choria_broker.config.secret import MASK, Secret
from choria_broker.engine.syntax import Value, write


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (4222, "4222"),
        (-1, "-1"),
        ("::", '"::"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("a\tb\nc\rd", '"a\\tb\\nc\\rd"'),
        ("größe", '"größe"'),
        ({}, "{ }"),
        ([], "[ ]"),
        (["a", 1], '[\n  "a"\n  1\n]'),
        ({"a": {"b": True}}, "{\n  a: {\n    b: true\n  }\n}"),
        ({"with space": 1}, '{\n  "with space": 1\n}'),
        ({"choria.>": "x"}, '{\n  "choria.>": "x"\n}'),
    ],
)
def test_each_kind_of_value_has_its_form(value: Value, text: str) -> None:
    assert write({"key": value}) == f"key: {text}\n"


def test_secrets_are_written_in_full_for_the_engine_and_masked_for_people() -> None:
    block: dict[str, Value] = {"password": Secret('p"w')}
    assert write(block) == 'password: "p\\"w"\n'
    assert write(block, masked=True) == f'password: "{MASK}"\n'
