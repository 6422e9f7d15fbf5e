"""What is found again and again is told a few times, and then summed up."""

from __future__ import annotations

import pytest

from choria_broker.config.text.collector import TOLD_APART, TOLD_OF_A_CLASS, Collector, SettingRef
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import DOES_NOT_START, Origin
from choria_broker.wording import MORE


def at(key: str, line: int = 1, shown: str = "x") -> SettingRef:
    return SettingRef(key, shown, Origin("broker.conf", line))


def hosts(collector: Collector, count: int, line: int = 1) -> None:
    for number in range(count):
        collector.refuse(Code.BAD_CLIENT_HOST, problem=f"bad {number}", remedy="r", at=at("k", line, f"m{number}"))


@pytest.mark.parametrize("count", [0, 1, TOLD_APART, TOLD_APART + 1])
def test_a_few_are_told_one_by_one(count: int) -> None:
    collector = Collector()
    hosts(collector, count)
    assert [(each.problem, each.value, each.times) for each in collector.findings()] == [
        (f"bad {number}", f"m{number}", 1) for number in range(count)
    ]


def test_many_with_one_key_are_summed_up_behind_the_first() -> None:
    collector = Collector()
    hosts(collector, 7, line=3)
    collector.info(Code.SRV_PEERS, problem="p", effect="e", at=at("other"))
    hosts(collector, 20_000 - 7, line=3)
    *told, rest, other = collector.findings()
    assert [each.value for each in told] == [f"m{number}" for number in range(TOLD_APART)]
    assert str(rest) == (
        f"broker.conf:3: k: 19995 more findings of this kind (bad-client-host); {DOES_NOT_START}. Remedy: r"
    )
    assert (rest.times, rest.severity, other.code) == (19_995, Severity.REFUSE, Code.SRV_PEERS)


def test_many_keys_of_one_class_are_summed_up() -> None:
    collector = Collector()
    for number in range(200):
        collector.warn(
            Code.UNKNOWN_KEY, problem="p", effect=f"e{number}", remedy="r", at=at(f"key{number}", number + 1)
        )
    *told, rest = collector.findings()
    assert [each.key for each in told] == [f"key{number}" for number in range(TOLD_OF_A_CLASS)]
    assert (rest.key, rest.value, rest.times) == ("", "", 150)
    assert rest.origin == Origin("broker.conf", 51)
    assert rest.problem == "150 more findings of this kind (unknown-key), up to broker.conf:200"
    assert (rest.effect, rest.remedy) == ("the same as for the findings before", "correct them as well")


def test_findings_about_no_key_are_of_one_class_only() -> None:
    collector = Collector()
    for number in range(200):
        collector.warn(Code.DROPPED_LINE, problem="p", effect="e", at=at("", number + 1))
    *told, rest = collector.findings()
    assert len(told) == TOLD_OF_A_CLASS
    assert (rest.times, rest.effect, rest.remedy) == (150, "e", Code.DROPPED_LINE.remedy)


def test_classes_severities_and_keys_are_told_apart() -> None:
    collector = Collector()
    for number in range(TOLD_APART):
        for key in "ab":
            collector.warn(Code.BAD_ADDRESS, problem=f"p{number}", effect="e", at=at(key))
            collector.refuse(Code.BAD_ADDRESS, problem=f"p{number}", at=at(key))
            collector.skip(Code.BAD_PEER, problem=f"p{number}", effect="e", at=at(key))
    assert len(collector.findings()) == 6 * TOLD_APART
    assert {each.times for each in collector.findings()} == {1}


def test_what_is_softened_is_softened_in_the_sum() -> None:
    collector = Collector()
    hosts(collector, 100)
    collector.soften(lambda finding: finding.key == "k", Severity.WARN, "left out")
    *_, rest = found = collector.findings()
    assert {(each.severity, each.effect) for each in found} == {(Severity.WARN, "left out")}
    assert (len(found), rest.times) == (TOLD_APART + 1, 95)


def test_no_place_and_no_value_gets_into_a_sum_unmasked() -> None:
    collector = Collector()
    for number in range(10):
        origin = Origin(f"\x1b{number}" + "f" * 3000, number)
        collector.warn(Code.UNKNOWN_KEY, problem="p", effect="e", at=SettingRef("k", "secret", origin))
    *_, rest = collector.findings()
    assert "secret" not in str(rest)
    assert str(rest).isprintable()
    assert rest.problem.endswith(MORE)
