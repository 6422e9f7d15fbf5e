"""What every part of the resolution works with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

from choria_broker.config.collector import Collector
from choria_broker.config.facts import Facts, Overrides
from choria_broker.config.reading import Values
from choria_broker.config.table import NETWORK
from choria_broker.config.values import BadValueError

_Parsed = TypeVar("_Parsed")


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """Inputs of the resolution, and where its findings go.

    Attributes:
        values: typed values of the configuration.
        facts: what the edges found out.
        overrides: choices of the command line.
        collector: receives findings.
        identity: name of this broker.
    """

    values: Values
    facts: Facts
    overrides: Overrides
    collector: Collector
    identity: str

    def parse(self, key: str, convert: Callable[[str], _Parsed], fallback: _Parsed) -> _Parsed:
        """Convert a text setting, refusing a bad one and going on with the fallback; unset gives the fallback too."""
        text = self.values.text(key)
        if not text:
            return fallback
        try:
            return convert(text)
        except BadValueError as error:
            self.collector.refuse("bad-value", error.problem, error.remedy, self.values.subject(key))
            return fallback

    def distinct(self, key: str) -> tuple[str, ...]:
        """Return a list of names without repeats, with a warning about those."""
        names = self.values.items(key)
        once = tuple(dict.fromkeys(names))
        if len(once) != len(names):
            self.collector.warn(
                "repeated-item",
                "a name is in the list twice",
                "it counts once",
                "remove the repeat",
                self.values.subject(key),
            )
        return once


def network_key(name: str) -> str:
    """Return the full key of a setting of the network broker."""
    return NETWORK + name
