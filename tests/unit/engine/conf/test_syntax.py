from __future__ import annotations

import pytest

from choria_broker.engine.conf.syntax import Value, write
from choria_broker.settings.secret import MASK, Secret


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


@pytest.mark.parametrize("key", ['x":y', "back\\slash", "line\nbreak", "\x1b"])
def test_a_key_that_would_end_early_is_not_written(key: str) -> None:
    with pytest.raises(ValueError, match="cannot have the key"):
        write({key: 1})
