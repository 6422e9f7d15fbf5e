from __future__ import annotations

import logging

import pytest

from choria_broker.log.findings import log_findings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding


@pytest.mark.parametrize(
    ("severity", "lenient", "level"),
    [
        (Severity.REFUSE, False, logging.ERROR),
        (Severity.SKIP, False, logging.ERROR),
        (Severity.WARN, False, logging.WARNING),
        (Severity.WARN, True, logging.ERROR),
        (Severity.INFO, False, logging.INFO),
    ],
)
def test_a_finding_is_one_line(
    severity: Severity, level: int, caplog: pytest.LogCaptureFixture, *, lenient: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    finding = Finding(severity=severity, code=Code.CONFIG_UNREADABLE, problem="a problem", lenient=lenient)

    log_findings((finding,))

    (record,) = caplog.records
    assert record.levelno == level
    assert str(finding) in record.getMessage()
