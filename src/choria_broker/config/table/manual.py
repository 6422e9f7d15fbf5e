"""Writes the reference manual of settings out of the table."""

from __future__ import annotations

import itertools

from choria_broker.config.table.rows import BROKER_SETTINGS, others
from choria_broker.config.table.schema import Owner, Setting, Status, ValueKind

_INTRODUCTION = """# Settings

This page is generated from the table of settings in `choria_broker.config.table.rows`.

A setting is one line, `key = value`. `#` starts a comment only at the beginning of a line. If a key is there several
times, the last one is used. In the files `plugin.d/NAME.cfg` beside the configuration, which are read after it, keys
are written without `plugin.NAME.`. `NAME` in a key stands for one item of the list that has the names.

*Change* says what a changed value needs to take effect: **live** a reload, which touches no connection; **engine** a
reload, in which the engine reads its file again; **restart** a restart of the broker.

Durations are digits alone for seconds, or numbers with units: `ms`, `s`, `m` for minutes, `h`, `d`, `w`, `M` for months
of 30 days, and `y`. Booleans are `1 yes true y t` and `0 no false n f` in any case.
"""

_OTHERS = """## Keys that are accepted and not used

Configuration files are often shared with other Choria programs, so keys of those programs are not an error.
"""


def render() -> str:
    """Return the manual as Markdown."""
    sections = [_INTRODUCTION]
    ordered = sorted(BROKER_SETTINGS, key=lambda row: _order()[row.group])
    for group, rows in itertools.groupby(ordered, key=lambda row: row.group):
        sections.append(f"## {group}\n")
        sections += [_entry(row) for row in rows]
    sections.append(_OTHERS)
    for owner in (Owner.SERVER, Owner.CLIENT, Owner.OTHER, Owner.BROKER):
        sections += [_line(row) for row in others(owner)]
    return "\n".join(sections) + "\n"


def _order() -> dict[str, int]:
    """Map each heading to its first place in the table."""
    groups = dict.fromkeys(row.group for row in BROKER_SETTINGS)
    return {group: place for place, group in enumerate(groups)}


def _entry(row: Setting) -> str:
    kind = (
        f"{row.kind}: {', '.join(f'`{word}`' for word in row.choices)}"
        if row.kind is ValueKind.CHOICE
        else str(row.kind)
    )
    facts = [f"Type: {kind}", f"default: {f'`{row.default}`' if row.default else 'unset'}", f"change: {row.apply}"]
    if row.since == "new":
        facts.append("new in this broker")
    elif row.since != "-":
        facts.append(f"since go-choria {row.since}")
    if row.environment:
        facts.append(f"environment: `{row.environment}`")
    if row.secret:
        facts.append("secret")
    lines = [f"### `{row.key}`", "", row.doc, "", "; ".join(facts) + "."]
    if row.note:
        lines += ["", f"Preferred: {row.note}."]
    return "\n".join(lines) + "\n"


def _line(row: Setting) -> str:
    note = f" {row.note[0].upper()}{row.note[1:]}." if row.note and row.status is not Status.IGNORED else ""
    return f"- `{row.key}`: {row.doc}{note}"
