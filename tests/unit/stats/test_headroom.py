"""How much is used of what is limited, and what is said when little is left."""

from __future__ import annotations

import pytest

from choria_broker.host.facts import HostUse, ProcessUse
from choria_broker.settings.network import Network
from choria_broker.stats.headroom import Headroom, headroom, most_connections
from choria_broker.stats.readings import Readings, Server, Streams
from choria_broker.values import replace

NETWORK = Network(max_connections=1000)
BESIDE = NETWORK.needed_files - 1000
USE = HostUse(
    descriptors=10,
    descriptors_limit=100_000,
    memory_limit=70,
    broker=ProcessUse(memory=3),
    engine=ProcessUse(memory=4),
)
READ = Readings(Server(connections=5, subscriptions=9), streams=Streams(enabled=True, store_used=3, store_max=30))


def test_open_files_are_a_limit_of_connections_too() -> None:
    few = replace(USE, descriptors_limit=BESIDE + 300)
    assert most_connections(NETWORK, None) == most_connections(NETWORK, USE) == 1000
    assert most_connections(NETWORK, few) == 300
    assert most_connections(NETWORK, replace(USE, descriptors_limit=1)) == 0
    assert most_connections(NETWORK, replace(USE, descriptors_limit=None)) == 1000


def test_what_is_known_is_told() -> None:
    assert headroom(NETWORK, READ, USE) == (
        Headroom("connections", 5, 1000),
        Headroom("descriptors", 10, 100_000),
        Headroom("subscriptions", 9, None),
        Headroom("memory", 7, 70),
        Headroom("store", 3, 30),
    )
    assert [each.what for each in headroom(NETWORK, None, USE)] == ["descriptors", "memory"]
    assert headroom(NETWORK, None, None) == ()
    unknown = replace(USE, descriptors_limit=None)
    assert [each.what for each in headroom(NETWORK, Readings(Server()), unknown)] == [
        "connections",
        "subscriptions",
        "memory",
    ]


@pytest.mark.parametrize("what", ["connections", "descriptors", "memory", "store"])
def test_above_80_per_cent_there_is_a_warning_with_its_remedy(what: str) -> None:
    assert Headroom(what, 80, 100).warning == ""
    warning = Headroom(what, 81, 100).warning
    assert warning.startswith(f"more than 80 % of {what} is used, of 100: ")
    assert warning == Headroom(what, 99, 100).warning


def test_what_has_no_limit_is_never_short() -> None:
    assert Headroom("subscriptions", 10**9, None).warning == ""
