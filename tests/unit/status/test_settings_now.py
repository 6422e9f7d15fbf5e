"""In what members of a cluster differ."""

from __future__ import annotations

import pytest

from choria_broker.status.settings_now import Difference, MemberReport, differences

OWN = MemberReport("a", "1.0", "2.14.1", {"x": "1", "y": "2"})


def other(name: str, version: str = "1.0", nats: str = "2.14.1", **settings: str) -> MemberReport:
    return MemberReport(name, version, nats, settings)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), ()),
        ((OWN,), ()),
        ((other("b", x="1", y="2"),), ()),
        ((other("b", "0.9", x="1", y="2"),), (Difference("version", "1.0", {"b": "0.9"}),)),
        ((other("b", nats="2.10", x="1", y="2"),), (Difference("nats-server", "2.14.1", {"b": "2.10"}),)),
        (
            (other("b", x="1", y="3"), other("c", x="1")),
            (Difference("y", "2", {"b": "3", "c": ""}),),
        ),
        ((other("b", x="1", y="2", z="4"),), (Difference("z", "", {"b": "4"}),)),
    ],
)
def test_differences(others: tuple[MemberReport, ...], expected: tuple[Difference, ...]) -> None:
    assert differences(OWN, others) == expected
