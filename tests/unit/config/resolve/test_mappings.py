"""Which subject mappings are used, and what is said about the others."""

from __future__ import annotations

import pytest

from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.links import SubjectMapping
from support.scenario import NET, Result, net


def mapped(*mappings: tuple[str, str, str]) -> Result:
    """Resolve mappings given as name, source and destination; an empty text is not set."""
    lines = [f"mapping.names = {', '.join(name for name, _, _ in mappings)}"]
    for name, source, destination in mappings:
        lines += [f"mapping.{name}.source = {source}"] if source else []
        lines += [f"mapping.{name}.destination = {destination}"] if destination else []
    return net(*lines)


def used(result: Result) -> list[str]:
    return [mapping.name for mapping in result.ok.network.mappings]


@pytest.mark.parametrize(
    ("bad", "key"),
    [
        (("bad", "", ""), "source"),
        (("bad", "", "x"), "source"),
        (("bad", "x", ""), "destination"),
        (("bad", "x.*", "y.$2"), "destination"),
    ],
)
def test_a_bad_mapping_is_left_out_by_name_and_the_others_stay(bad: tuple[str, str, str], key: str) -> None:
    result = mapped(("first", "a", "b"), bad, ("last", "c.*", "d.$1"))
    finding = result.one("bad-mapping")
    assert (finding.severity, finding.key) == (Severity.SKIP, f"{NET}mapping.bad.{key}")
    assert "mapping bad is ignored" in str(finding)
    assert used(result) == ["first", "last"]


def test_the_last_mapping_of_a_source_counts_in_the_place_of_the_first() -> None:
    result = mapped(("one", "a", "x"), ("two", "b", "y"), ("three", "a", "z"))
    finding = result.one("repeated-mapping")
    assert (finding.severity, finding.key) == (Severity.WARN, f"{NET}mapping.one.source")
    assert "mapping three replaces mapping one" in str(finding)
    assert result.ok.network.mappings == (
        SubjectMapping(name="three", source="a", destination="z"),
        SubjectMapping(name="two", source="b", destination="y"),
    )


def test_a_mapping_behind_one_that_takes_all_its_subjects_is_left_out() -> None:
    result = mapped(("all", "a.>", "x.>"), ("other", "b", "y"), ("some", "a.*", "z.$1"))
    finding = result.one("unreachable-mapping")
    assert (finding.severity, finding.key) == (Severity.WARN, f"{NET}mapping.some.source")
    assert "mapping all" in finding.problem
    assert "put some before all" in finding.remedy
    assert used(result) == ["all", "other"]


@pytest.mark.parametrize(("first", "second"), [("a.b", "a.*"), ("a.*.c", "a.b.*")])
def test_mappings_whose_order_decides_keep_it(first: str, second: str) -> None:
    result = mapped(("one", first, "x"), ("two", second, "y"))
    assert result.findings == ()
    assert used(result) == ["one", "two"]


def test_a_mapping_that_is_hardly_meant_is_used_with_a_warning() -> None:
    result = mapped(("odd", "a.*", "b.x{{wildcard(1)}}"))
    finding = result.one("odd-mapping")
    assert (finding.severity, finding.key) == (Severity.WARN, f"{NET}mapping.odd.destination")
    assert used(result) == ["odd"]
