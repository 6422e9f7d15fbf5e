"""Looking at single metrics of what was measured."""

from __future__ import annotations

from choria_broker.stats.families import Family
from choria_broker.stats.measured import Measured
from choria_broker.stats.metrics import families


def family(measured: Measured, name: str) -> Family:
    """Return the family of that name."""
    (found,) = [each for each in families(measured) if each.name == name]
    return found


def value(measured: Measured, name: str, **labels: str) -> float | None:
    """Return the value of the sample with these labels besides the identity, None when there is none."""
    wanted = {"identity": measured.identity, **labels}
    return next((each.value for each in family(measured, name).samples if each.labels == wanted), None)
