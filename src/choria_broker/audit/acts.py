"""What operators did to a running broker: one line of the log for each act, and the latest of them kept."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping

import msgspec

from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.wording import sentence

MOST = 200
"""Acts that are kept."""

_log = component("audit")
_LEFT = "acts"


class ActReport(msgspec.Struct, frozen=True):
    """Something that an operator did.

    Attributes:
        time: when it was over, Unix seconds.
        act: in a word what was done, such as ``reload``.
        by: the user that did it, in words, or what did it.
        outcome: what came of it, in words.
        facts: what else is worth knowing.
    """

    time: float
    act: str
    by: str
    outcome: str
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)


class ActBook:
    """Keeps the latest acts.

    Args:
        clock: Unix time in seconds.

    Attributes:
        heard: told of each.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin with nothing written down."""
        self._clock = clock
        self._latest: collections.deque[ActReport] = collections.deque(maxlen=MOST)
        self.heard: Callable[[ActReport], None] = lambda _: None

    @property
    def latest(self) -> tuple[ActReport, ...]:
        """The latest acts, the latest first."""
        return tuple(reversed(self._latest))

    def record(self, act: str, who: str, outcome: str, **facts: object) -> None:
        """Write down an act.

        Args:
            act: one word for what was done, such as ``reload``.
            who: the user that did it, in words, or what did it.
            outcome: what came of it, in words.
            facts: what else is worth knowing; nothing in it may be a secret.
        """
        _log.info("An operator acted", act=act, by=who, outcome=outcome, **facts)
        told = {name: sentence(str(value)) for name, value in facts.items()}
        report = ActReport(self._clock(), act, sentence(who), sentence(outcome), told)
        self._latest.append(report)
        self.heard(report)

    def remember(self, succession: Succession) -> None:
        """Leave the acts to the next program."""
        succession.tell(_LEFT, list(self._latest))

    def recall(self, succession: Succession) -> None:
        """Go on with those of the program before."""
        self._latest.extendleft(reversed(succession.told(_LEFT, list[ActReport]) or []))
