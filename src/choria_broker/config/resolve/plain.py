"""Plain settings: what somebody wrote is what their field holds, and the table knows the field and the bounds."""

from __future__ import annotations

from typing import Any, cast

from choria_broker.config.resolve.context import Context
from choria_broker.config.table.rows import BROKER_SETTINGS
from choria_broker.config.table.schema import Setting, ValueKind
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.secret import Secret


def plain(context: Context, made: type) -> dict[str, Any]:
    """Return the plain fields of a settings class, for its constructor; a test holds their types against it."""
    rows = (row for row in BROKER_SETTINGS if row.field.startswith(f"{made.__name__}."))
    return {row.field.partition(".")[2]: _value(context, row) for row in rows}


def _value(context: Context, row: Setting) -> object:
    value = context.values.value(row.key)
    if row.secret:
        return Secret(cast("str", value)) if value else None
    if row.kind is ValueKind.PATH:
        return context.values.path(row.key)
    # The word itself out of the enumeration, of which what was read is only the text.
    return row.choices[row.choices.index(cast("str", value))] if row.kind is ValueKind.CHOICE else value


def check_bounds(context: Context, prefix: str, name: str = "") -> None:
    """Refuse values beyond the bounds in their rows.

    Args:
        context: inputs.
        prefix: of the keys to look at.
        name: member of the keyed family with that prefix, empty for the keys that are in none.
    """
    for row in BROKER_SETTINGS:
        if not row.above_zero or row.keyed != bool(name) or not row.key.startswith(prefix):
            continue
        key, time = row.of(name) if row.keyed else row.key, row.kind is ValueKind.DURATION
        value = cast("float", context.values.value(key))
        if value <= 0:
            problem, remedy = "not above zero", "write a time above 0s" if time else "write 1 or more"
        elif row.most and value > row.most:
            problem = f"longer than {row.most} seconds" if time else f"above {row.most}"
            remedy = f"write {row.most}{'s' * time} or less"
        else:
            continue
        context.collector.refuse(Code.BAD_VALUE, problem=problem, remedy=remedy, at=context.values.ref(key))
