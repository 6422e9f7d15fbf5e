"""Reports of reloads, in words."""

from __future__ import annotations

import pytest

from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding
from choria_broker.status.reloads import RESULTS, ReloadReport, Trigger, reported


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (Trigger("signal", "SIGHUP"), "signal SIGHUP"),
        (Trigger("command", "bob (uid 7)"), "command of bob (uid 7)"),
        (Trigger("program"), "program"),
        (Trigger("file", files=("/a",)), "changed file /a"),
        (Trigger("file", files=("/a", "/b")), "changed files /a, /b"),
    ],
)
def test_what_asked(trigger: Trigger, words: str) -> None:
    assert str(trigger) == words


def test_all_that_asked_are_named() -> None:
    triggers = (Trigger("signal", "SIGHUP"), Trigger("program"))
    assert ReloadReport(time=0.0, triggers=triggers).asked_by == "signal SIGHUP, program"
    assert ReloadReport(time=0.0).asked_by == "nobody"


def test_every_result_has_its_words_and_a_dry_run_others() -> None:
    reports = [ReloadReport(time=0.0, result=result, dry_run=dry) for result in RESULTS for dry in (False, True)]
    assert len({report.sentence for report in reports}) == len(reports)


def finding(severity: Severity, problem: str) -> Finding:
    return Finding(severity=severity, code=Code.BAD_VALUE, problem=problem, effect="it is", remedy="mend it")


def test_why_nothing_changed_is_the_first_refusal_or_the_reason() -> None:
    findings = reported((finding(Severity.WARN, "odd"), finding(Severity.REFUSE, "bad"), finding(Severity.REFUSE, "x")))
    assert ReloadReport(time=0.0, result="refused", findings=findings).why == "default: bad; it is. Remedy: mend it"
    assert ReloadReport(time=0.0, result="refused", reason="the engine refuses").why == "the engine refuses"
    assert ReloadReport(time=0.0, result="applied", findings=findings).why == ""


def test_a_finding_is_told_whole() -> None:
    (report,) = reported((finding(Severity.WARN, "odd"),))
    assert (report.severity, report.code, report.place) == ("warn", "bad-value", "default")
    assert report.text == str(finding(Severity.WARN, "odd"))
