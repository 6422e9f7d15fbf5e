"""What operators did to a running broker: one line of the log for each act."""

from __future__ import annotations

from choria_broker.log.structured import component

_log = component("audit")


def record(act: str, who: str, outcome: str, **facts: object) -> None:
    """Write down an act.

    Args:
        act: one word for what was done, such as ``reload``.
        who: the user that did it, in words, or what did it.
        outcome: what came of it, in words.
        facts: what else is worth knowing; nothing in it may be a secret.
    """
    _log.info("An operator acted", act=act, by=who, outcome=outcome, **facts)
