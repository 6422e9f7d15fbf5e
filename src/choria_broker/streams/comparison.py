"""An existing stream against the one the settings describe: which fields differ, and what to send to mend that."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from choria_broker.settings import durations
from choria_broker.settings.streams import BROKER_EVENTS

_DEFAULT_WINDOW = 120_000_000_000
"""Nanoseconds of the engine's duplicate window, unless messages live shorter."""

_ABSENT: Mapping[str, object] = {
    "description": "",
    "no_ack": False,
    "sealed": False,
    "deny_delete": False,
    "deny_purge": False,
    "discard_new_per_subject": False,
    "allow_rollup_hdrs": False,
    "allow_direct": False,
    "mirror_direct": False,
    "compression": "none",
    "placement": None,
    "mirror": None,
    "sources": None,
    "republish": None,
    "subject_transform": None,
    "metadata": None,
}
"""Fields that documents may leave out, and what that means."""

_EMPTY_IS_ABSENT = ("placement", "mirror", "sources", "republish", "subject_transform")

_KEPT = ("storage", "persist_mode", "allow_msg_counter")
"""What the engine never changes in an existing stream."""

_KEPT_ONCE_ON = ("deny_delete", "deny_purge", "allow_msg_ttl", "allow_msg_schedules")
"""What the engine lets nobody turn off again."""

_KEPT_SUBJECTS = (BROKER_EVENTS,)
"""Subjects that another member of the cluster may have been told to have kept."""

_ENGINES_OWN = "_nats."
"""How the names of metadata begin that the engine adds."""


_DURATIONS = ("max_age", "duplicate_window")
"""Fields in nanoseconds."""


class Change(msgspec.Struct, frozen=True):
    """One field of a stream that is not as the settings say."""

    field: str
    existing: object
    desired: object

    def __str__(self) -> str:
        """Write ``FIELD from OLD to NEW``."""
        words = _lasting if self.field in _DURATIONS else _shown
        return f"{self.field} from {words(self.existing)} to {words(self.desired)}"


def changes(desired: Mapping[str, object], existing: Mapping[str, object]) -> tuple[Change, ...]:
    """List what an update would change, by the names of the fields.

    Args:
        desired: the configuration to have, complete but for the duplicate window.
        existing: the configuration as the engine tells it.
    """
    target = _normal(update(desired, existing) | {"duplicate_window": _window(desired["max_age"])})
    present = _normal(existing)
    found = (Change(field, present.get(field), value) for field, value in sorted(target.items()))
    return tuple(change for change in found if change.existing != change.desired)


def update(desired: Mapping[str, object], existing: Mapping[str, object]) -> dict[str, object]:
    """Return the configuration to send: the desired one, but for what the engine refuses to change."""
    kept = {field: existing[field] for field in _KEPT if field in existing}
    kept |= {field: True for field in _KEPT_ONCE_ON if existing.get(field) is True}
    wanted, found = desired.get("subjects"), existing.get("subjects")
    if isinstance(wanted, list) and isinstance(found, list):
        kept["subjects"] = [*wanted, *(each for each in found if each in _KEPT_SUBJECTS and each not in wanted)]
    return {**desired, **kept}


def _normal(document: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {**_ABSENT, **document}
    metadata = found["metadata"]
    if isinstance(metadata, Mapping):
        own = {name: value for name, value in metadata.items() if not str(name).startswith(_ENGINES_OWN)}
        found["metadata"] = own or None
    for field in _EMPTY_IS_ABSENT:
        found[field] = found[field] or None
    return found


def _window(max_age: object) -> object:
    """Return the duplicate window that the engine chooses when none is sent."""
    return min(max_age, _DEFAULT_WINDOW) if isinstance(max_age, int) and max_age else _DEFAULT_WINDOW


def _lasting(value: object) -> str:
    return durations.in_go(value / 1_000_000_000) if isinstance(value, int) else _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value in (None, "") else str(value)
