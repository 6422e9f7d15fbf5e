"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

import copy
import gc
import importlib
import pkgutil
import re

import pytest

import choria_broker
from choria_broker.patterns import Later, expression


def test_it_is_used_as_a_compiled_one() -> None:
    found = expression(r"(?P<name>[a-z]+)=(\d+)", re.IGNORECASE)
    match = found.fullmatch("Port=1")
    assert match is not None
    assert match["name"] == "Port"
    assert found.sub("x", "a=1 b=2") == "x x"
    assert [found.pattern, found.groups] == [r"(?P<name>[a-z]+)=(\d+)", 2]
    assert expression(rb"\d").search(b"a1") is not None


def test_it_is_compiled_when_it_is_first_used_and_once() -> None:
    found = Later("[a-z]+", 0)
    assert not found.__dict__.keys() & {"compiled", "match"}
    assert found.pattern == "[a-z]+"
    assert "compiled" not in found.__dict__
    assert found.match("a")
    assert found.__dict__["match"] == found.compiled.match


def test_a_wrong_one_raises_when_it_is_used() -> None:
    with pytest.raises(re.error):
        expression("(").match("")


def test_it_has_nothing_but_what_a_compiled_one_has() -> None:
    assert not hasattr(Later("a", 0), "compile")
    assert copy.copy(Later("a", 0)).match("a")


def test_every_expression_of_the_program_compiles() -> None:
    for module in pkgutil.walk_packages(choria_broker.__path__, "choria_broker."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    expressions = [each for each in gc.get_objects() if type(each) is Later and each.pattern != "("]
    assert len(expressions) > 100
    for each in expressions:
        assert each.compiled.pattern == each.pattern
