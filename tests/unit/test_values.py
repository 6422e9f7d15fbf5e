from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import choria_broker
from choria_broker.config.text.reading import Value
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.findings import DEFAULT
from choria_broker.settings.operator import Operator, OperatorAccount
from choria_broker.values import Discreet, replace

HIDDEN = {
    "Basis": "all",
    "Before": {"raw", "origins", "signer_files"},
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
    if "__dataclass_params__" in vars(made):
        assert not vars(made)["__dataclass_params__"].repr
        return "all"
    assert issubclass(made, Discreet)
    if made.hidden is None:
        return "all"
    assert made.hidden.issubset(made.__struct_fields__)
    return set(made.hidden)


def test_secrets_stay_hidden() -> None:
    """Structs write all their fields, so these are no plain ones, and whoever changes that sees to it by himself."""
    kinds = {made for made in classes() if "__dataclass_params__" in vars(made)} | set(descendants(Discreet))
    found = {made.__name__: hidden(made) for made in kinds if made.__module__.startswith("choria_broker.")}
    assert found == HIDDEN


def descendants(kind: type[object]) -> Iterator[type[object]]:
    below: list[type[object]] = type.__subclasses__(kind)
    for each in below:
        yield each
        yield from descendants(each)


def test_what_is_hidden_is_not_written() -> None:
    account = OperatorAccount(name="A", key="AKEY", token="eyJ0")
    assert repr(account) == str(account) == "OperatorAccount(name='A', key='AKEY', credentials=None)"
    assert repr((account,)) == f"({account!r},)"
    assert repr(Operator(name="O", directory=Path("/o"), token="eyJ0", accounts=(account,))) == (
        f"Operator(name='O', directory={Path('/o')!r}, accounts=({account!r},), system=None, choria=None)"
    )
    assert repr(Value("text", "value", DEFAULT)) == f"{Value('text', 'value', DEFAULT)}" == "<Value>"


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        pytest.param(Endpoint("nats", "broker1.example.net", 4222), {"port": 4223}, id="struct"),
        pytest.param(OperatorAccount(name="A", key="AKEY", token="token"), {"name": "B"}, id="discreet"),
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
