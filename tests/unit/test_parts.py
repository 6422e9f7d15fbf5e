"""The parts of a broker, put together."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.host.succession import Succession
from choria_broker.parts import BrokerParts, Pace
from choria_broker.stats.measured import Measured
from choria_broker.stats.metrics import families
from choria_broker.stats.parts import Counting
from support.ready_settings import settings


class Asked(collections.UserDict[str, None]):
    """Figures of which nothing is known, and the names of those that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names = set[str]()

    def get(self, key: str, default: object = None) -> None:
        del default
        self.names.add(key)


def counting() -> Iterator[Counting]:
    parts = BrokerParts(settings(), (), Overrides(), None, Pace(), Succession())
    return (each for each in vars(parts).values() if isinstance(each, Counting))


def test_each_figure_of_a_part_is_a_metric_and_each_metric_has_its_figure() -> None:
    told = [name for each in counting() for name in each.figures]
    asked = Asked()
    families(Measured(identity="b", figures=asked))
    assert sorted(told) == sorted(asked.names)
