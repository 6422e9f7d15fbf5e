"""Findings as lines of the log."""

from __future__ import annotations

import logging

from choria_broker.log.structured import component
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding

_LEVELS = {
    Severity.REFUSE: logging.ERROR,
    Severity.SKIP: logging.ERROR,
    Severity.WARN: logging.WARNING,
    Severity.INFO: logging.INFO,
}


def log_findings(findings: tuple[Finding, ...]) -> None:
    """Log each finding; what only ``--lenient-config`` lets pass is an error too."""
    log = component("broker")
    for finding in findings:
        level = logging.ERROR if finding.lenient and finding.severity is Severity.WARN else _LEVELS[finding.severity]
        log.log(level, str(finding), code=finding.code)
