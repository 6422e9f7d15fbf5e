"""The table of settings says what the defaults are; settings made by hand have the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from choria_broker.config.table.rows import SETTINGS
from choria_broker.settings.security import Security
from support.scenario import base

WRITTEN = {"network_enabled", "security.provider", "statistics.addresses", "network.revocation.authorities"}
"""What the smallest configuration sets, what a name or address stands for on this host, and what its CA file has."""


def defaults(made: object, resolved: object, prefix: str = "") -> Iterator[tuple[str, object, object]]:
    """Name each field with a default, at any depth, with that and with what the table makes of nothing."""
    assert dataclasses.is_dataclass(resolved)
    for field in dataclasses.fields(resolved):
        name, value = prefix + field.name, getattr(resolved, field.name)
        default = getattr(made, field.name, field.default)
        if dataclasses.is_dataclass(value):
            yield from defaults(default, value, f"{name}.")
        elif default is not dataclasses.MISSING and name not in WRITTEN:
            yield name, default, value


@pytest.mark.parametrize(
    ("made", "resolved"), [pytest.param(one, other, id=name) for name, one, other in defaults(None, base().ok)]
)
def test_defaults_are_those_of_the_table(made: object, resolved: object) -> None:
    assert made == resolved


def test_the_default_provider_is_that_of_the_table() -> None:
    row = SETTINGS.find("plugin.security.provider")
    assert row is not None
    assert Security().provider == row.setting.default
