from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest

import choria_broker
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.operator import OperatorAccount
from choria_broker.values import replace

HIDDEN = {
    "Basis": "all",
    "Block": "all",
    "ConnectRequest": "all",  # It writes itself, with masks.
    "Crl": {"serials"},
    "Description": "all",
    "Desired": {"basis"},
    "Entry": "all",
    "Envelope": "all",
    "Facts": {"authorities"},
    "FileFact": "all",
    "Judge": {"authorities"},
    "LaunchSpec": {"text"},
    "LeftEngine": {"bridge_secret", "text", "begun"},
    "Loaded": {"wanted", "basis"},
    "Masks": "all",
    "NewFile": "all",
    "Operator": {"token"},
    "OperatorAccount": {"token"},
    "Pair": "all",
    "ProvisioningGrant": "all",
    "Rendered": {"text"},
    "Revocation": {"crls", "entries", "authorities"},
    "Secret": "all",
    "Served": {"raw", "origins", "signer_files"},
    "Settings": {"origins", "raw", "signer_files"},
    "Spec": {"detail"},
    "Value": "all",
}
"""Values that hide fields from their text form, and which: secrets, and what is long."""


def classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(choria_broker.__path__, "choria_broker."):
        if module.name.split(".")[-1] == "__main__" or ".examples" in module.name:
            continue
        for _, made in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if made.__module__ == module.name:
                yield made


def hidden(made: type) -> set[str] | str:
    if not vars(made)["__dataclass_params__"].repr:
        return "all"
    return {field.name for field in dataclasses.fields(made) if not field.repr}


def test_secrets_stay_hidden() -> None:
    """Structs write all their fields, so these are dataclasses, and whoever changes that sees to it by himself."""
    found = {made.__name__: hidden(made) for made in classes() if "__dataclass_params__" in vars(made)}
    assert found == HIDDEN


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        pytest.param(Endpoint("nats", "broker1.example.net", 4222), {"port": 4223}, id="struct"),
        pytest.param(OperatorAccount(name="A", key="AKEY", token="token"), {"name": "B"}, id="dataclass"),
    ],
)
def test_a_value_is_made_from_another(value: Endpoint | OperatorAccount, changes: dict[str, object]) -> None:
    changed: object = replace(value, **changes)  # type: ignore[arg-type]
    assert type(changed) is type(value)
    assert changed != value
    assert {name: getattr(changed, name) for name in changes} == changes
    with pytest.raises(TypeError):
        replace(value, no_such_field=1)  # type: ignore[call-arg]


def test_values_do_not_change() -> None:
    value = Endpoint("nats", "broker1.example.net", 4222)
    assert isinstance(value, msgspec.Struct)
    with pytest.raises(AttributeError):
        value.port = 4223  # type: ignore[misc]
