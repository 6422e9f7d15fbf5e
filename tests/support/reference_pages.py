"""Writes the reference pages that have a table in the code: ``python tests/support/reference_pages.py``."""

from __future__ import annotations

import sys
from pathlib import Path

from choria_broker.access.rules import RULES
from choria_broker.config.table import manual
from choria_broker.security.tokens import CLOCK_LEEWAY
from choria_broker.settings.finding_codes import ALWAYS, SECTIONS, Code, Severity
from choria_broker.status.reasons import Reason

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import log_lines

REFERENCE = Path(__file__).parents[2] / "docs/reference"

_RULES = """# Rules

One rule decides about each connection. Its name is in the log (`rule`), in the metric `choria_broker_decisions_total`,
and in the output of `choria-broker explain`. The rules are listed in the order in which they are checked.
[How a connection is decided](../explanation/decisions.md) explains them;
[a connection is refused](../how-to/refused.md) says what to check first.

This page is generated from the table of rules in `choria_broker.access.rules`.
"""

_CLOCKS = f"""
## Clocks

`iat` and `nbf` of a token, even of one made by a chain issuer, may be up to {CLOCK_LEEWAY} s ahead of the broker's
clock, so that a token just made on a machine whose clock is a little fast is accepted; time synchronisation keeps
machines well within a minute of each other. `exp` and `issexp` have no such leeway.
"""


def rules() -> str:
    """Write the page of all rules."""
    accepting = [f"| `{rule.name}` | {rule.sentence} |" for rule in RULES.values() if rule.accepts]
    refusing = [f"| `{rule.name}` | {rule.sentence} | {rule.remedy} |" for rule in RULES.values() if not rule.accepts]
    return "\n".join(
        (
            _RULES,
            "## Rules that accept a connection\n",
            "| Rule | Meaning |",
            "|---|---|",
            *accepting,
            "\n## Rules that refuse\n",
            "| Rule | Meaning | Remedy |",
            "|---|---|---|",
            *refusing,
            _CLOCKS,
        )
    )


_FINDINGS = """# Findings

The broker always reads the whole configuration. Every problem is a finding, and all are shown together: by
`choria-broker check`, and by `run` in its log:

```text
FILE:LINE: KEY = VALUE: problem; effect. Remedy: what to do
```

| Severity | Effect | In the log |
|---|---|---|
| `refuse` | the broker does not start, no port is opened | error |
| `skip` | one feature is not used, the rest runs; counted in `choria_broker_config_errors` | error |
| `warn` | it runs as configured, but you should look at it | warning |
| `info` | for your information | info |

`FILE` is `environment NAME` for values from the environment, `default` for values that are not set. A value is shown if
it cannot contain a secret: numbers, words and names, files, and hosts without logins, paths and queries, shortened, and
on one line. Passwords and user names, anything that looks like a token or a key, and values of other programs' keys are
masked, `*****`; values of unknown keys are not shown at all.
Of many findings with one code, the first 5 about one setting and the first 50 in total are shown. One more finding says
how many others there are; metrics count them all.
Each finding has a code that never changes: `code` in the log and in `check --json`.
**L** marks refusals that `--lenient-config` turns into warnings, with the effect that they have in go-choria.

This page is generated from the table of codes in `choria_broker.settings.finding_codes`."""

_NOTES = {
    "TLS": """
Without TLS, problems with TLS files are warnings. Certificates are checked by the rules of the engine and of other
programs in Go: a certificate is refused if nobody could connect with it. If some programs still can, it is a warning.
""",
    "Streams, mappings, adapters, federation": """
Beside a network broker an error in the settings of an adapter or of the federation broker leaves that one out; where
none runs it refuses the start.
""",
}
"""What is said below the codes of a section."""


def findings() -> str:
    """Write the page of all codes of findings."""
    starts = {code: title for title, code in SECTIONS.items()}
    lines, note = [_FINDINGS], ""
    for code in Code:
        if title := starts.get(code):
            lines += [note, f"## {title}\n", "| Code | Severity | Meaning |", "|---|---|---|"]
            note = _NOTES.get(title, "")
        lines.append(f"| `{code}` | {_severities(code)} | {code.meaning} |")
    return "\n".join((*lines, note))


def _severities(code: Code) -> str:
    named = ", ".join(code.severities)
    if code.lenient == ALWAYS:
        return named.replace(Severity.REFUSE, f"{Severity.REFUSE} L")
    return f"{named}, {code.lenient} L" if code.lenient else named


_TROUBLESHOOTING = """# Troubleshooting by symptom

Each finding, rule, reason of health and line of the log from level `warning` on has its own place on this page.
Commands name it: the line `More:` of `check`, `explain` and `status`, and the field `docs` in their JSON documents.

This page is generated from the tables in the code, and of log lines from the source itself.

| What you see | Look at |
|---|---|
| the broker does not start | `choria-broker check`: each problem is a [finding](#findings) |
| a program is refused | the log names the [rule](#rules); [step by step](../how-to/refused.md) |
| it is connected, and nobody answers | [connected, but not answered](../how-to/refused.md#connected-but-not-answered) |
| health is not `ok` | `choria-broker status` has the [reasons](#health) |
| a line in the log that you do not know | [lines of the log](#lines-of-the-log) |
| something fails around the broker: disks, names, clocks, other brokers | [trouble](../explanation/trouble.md) |
| streams cannot be written | `choria-broker streams`, and [streams](../how-to/streams.md) |
| an upgrade or a reload is refused | [upgrade](../how-to/upgrade.md), [reload](../how-to/reload.md) |
"""


def troubleshooting() -> str:
    """Write the page that has a place for everything that an operator may be told."""
    lines = [_TROUBLESHOOTING, "## Health\n"]
    for reason in Reason:
        lines += [f"### Health {reason}\n", f"{reason.meaning} {reason.remedy} [More](../{reason.page}).\n"]
    lines.append("## Rules\n")
    for rule in RULES.values():
        ending = f" {rule.remedy}" if rule.remedy else ""
        lines += [f"### Rule {rule.name}\n", f"{'Accepts' if rule.accepts else 'Refuses'}. {rule.sentence}{ending}\n"]
    lines.append("## Findings\n")
    for code in Code:
        said = f"{code.meaning[0].upper()}{code.meaning[1:]}".rstrip(".")
        remedy = f" Remedy: {code.remedy}." if code.remedy else " The finding itself says what to do."
        lines += [f"### Finding {code}\n", f"{said}.{remedy} Severity: {_severities(code)}.\n"]
    lines.append("## Lines of the log\n")
    for entry, (meaning, remedy) in sorted(log_lines.LINES.items(), key=lambda each: each[0].lower()):
        lines += [f"### Log {log_lines.anchor(entry)}\n", f"`{entry}`: {meaning}. Do: {remedy}.\n"]
    return "\n".join(lines).rstrip() + "\n"


PAGES = {
    "findings.md": findings,
    "rules.md": rules,
    "settings.md": manual.render,
    "troubleshooting.md": troubleshooting,
}
"""How each generated page is written."""


def main() -> None:
    """Write all of them."""
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
