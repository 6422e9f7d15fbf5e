"""The page that tells who is refused."""

from __future__ import annotations

import pytest

from choria_broker.audit.throttle import Refused
from choria_broker.ui.page import BadInputError
from choria_broker.ui.pages.refusals import Facts, Refusals, view
from support.dashboard import NOW, asked, decision, settings_of, status_of

FACTS = Facts(
    status_of(
        refused={"certificate-required": 3, "token-expired": 5, "rule-of-another-version": 1},
        engine_refused={"timeout": 2, "new-cause": 1},
        refused_addresses=(Refused("192.0.2.9", 3, NOW, {"mtls": 1, "token-expired": 2}),),
    ),
    (
        decision(1),
        decision(2, allowed=True, rule="mtls"),
        decision(3, rule="token-expired"),
        decision(4, address="2001:db8::1"),
    ),
    settings_of(plugin__security__file__ca=3),
)


def shown(**values: str) -> Refusals:
    return view(FACTS, asked(**values))


def latest(**values: str) -> list[int]:
    return [each.connection_id for each in shown(**values).latest]


def test_the_most_come_first_each_with_its_remedy() -> None:
    found = shown()
    assert [(each.rule, each.count) for each in found.rules] == [
        ("token-expired", 5),
        ("certificate-required", 3),
        ("rule-of-another-version", 1),
    ]
    assert "new token" in found.rules[0].remedy
    assert [each.place for each in found.rules[1].settings] == ["/etc/choria/broker.conf:3"]
    assert [(cause, count) for cause, count, _ in found.engine] == [("timeout", 2), ("new-cause", 1)]
    assert all(remedy for _, _, remedy in found.engine)
    assert found.addresses[0].rules == (("token-expired", 2), ("mtls", 1))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [4, 3, 1]),
        ({"rule": "token-expired"}, [3]),
        ({"address": "192.0.2.9"}, [3, 1]),
        ({"address": "2001:db8::/64"}, [4]),
        ({"address": "2001:db8::1"}, [4]),
        ({"address": "192.0.2.9", "rule": "certificate-required"}, [1]),
        ({"address": "nobody"}, []),
    ],
)
def test_the_latest_are_chosen_by_rule_and_address(values: dict[str, str], expected: list[int]) -> None:
    assert latest(**values) == expected


def test_a_rule_that_there_is_not_is_told_of() -> None:
    with pytest.raises(BadInputError, match="no rule <b>"):
        shown(rule="<b>")
