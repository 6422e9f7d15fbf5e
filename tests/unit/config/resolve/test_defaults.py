"""The table of settings says what the defaults are; settings made by hand have the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from choria_broker.config.table.rows import SETTINGS
from choria_broker.settings.security import Security
from support.scenario import base
from support.value_fields import NONE, field_defaults, is_value

WRITTEN = {"network_enabled", "security.provider", "statistics.addresses", "network.revocation.authorities"}
"""What the smallest configuration sets, what a name or address stands for on this host, and what its CA file has."""


def defaults(made: object, resolved: object, prefix: str = "") -> Iterator[tuple[str, object, object]]:
    """Name each field with a default, at any depth, with that and with what the table makes of nothing."""
    for field, usual in field_defaults(type(resolved)).items():
        name, value = prefix + field, getattr(resolved, field)
        default = getattr(made, field, usual)
        if is_value(type(value)):
            yield from defaults(default, value, f"{name}.")
        elif default is not NONE and name not in WRITTEN:
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
