"""The way to a decision, rule by rule, with the settings that stand behind each."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from choria_broker.access.behind import BEHIND
from choria_broker.access.verdict import Step
from choria_broker.explaining.explanation import SENTENCES
from choria_broker.settings.broker import Settings


class Behind(msgspec.Struct, frozen=True):
    """A setting behind a rule.

    Attributes:
        key: its full key.
        place: file and line where it is set, empty where it is not.
    """

    key: str
    place: str


class Stop(msgspec.Struct, frozen=True):
    """One rule on the way.

    Attributes:
        rule: its name.
        says: its sentence.
        outcome: what it came to.
        state: ``passed``, ``accepted`` or ``refused``.
        settings: those behind it.
    """

    rule: str
    says: str
    outcome: str
    state: str
    settings: tuple[Behind, ...]


def behind(rule: str, settings: Settings) -> tuple[Behind, ...]:
    """Tell which settings stand behind a rule: those that are set, or else all."""
    found = tuple(Behind(key, str(settings.origin(key)) if key in settings.raw else "") for key in BEHIND.get(rule, ()))
    return tuple(each for each in found if each.place) or found


def path(trail: Iterable[Step], settings: Settings, *, allowed: bool, rule: str) -> tuple[Stop, ...]:
    """Make the way to a decision.

    Args:
        trail: the rules that were checked, in order.
        settings: of the broker.
        allowed: the connection was let in.
        rule: the one that decided.
    """
    steps = tuple(trail)
    stops = []
    for number, step in enumerate(steps, 1):
        last = number == len(steps) and step.rule == rule
        stops.append(
            Stop(
                rule=step.rule,
                says=SENTENCES.get(step.rule, ""),
                outcome=step.outcome.removeprefix("refused: ") if step.outcome != "accepted" else "",
                state=("accepted" if allowed else "refused") if last else "passed",
                settings=behind(step.rule, settings),
            )
        )
    return tuple(stops)
