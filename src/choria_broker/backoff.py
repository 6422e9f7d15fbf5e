"""How long to wait between attempts: longer each time, up to twenty seconds, and never quite in step with others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_FIRST = (0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)


def _later(start: float) -> tuple[float, ...]:
    """Return the steps of five seconds: half a second each, and one quarter step after the first."""
    return (start, start + 0.25, *(start + 0.5 * step for step in range(1, 10)))


STEPS = (*_FIRST, *_later(5.5), *_later(10.5), *_later(15.5))
"""Seconds of the policy ``twenty seconds``, before chance has its say."""

FIVE_SECONDS = STEPS[1:11]
"""Seconds of the policy ``five seconds``."""


def pause(attempt: int, random: Callable[[], float], steps: Sequence[float] = STEPS) -> float:
    """Return the seconds to wait after a failed attempt.

    Args:
        attempt: how many attempts have failed, 1 or more; after the last step it stays there.
        random: gives numbers from 0 up to, and without, 1.
        steps: of another policy than the one of twenty seconds; the first is not used.

    Returns:
        The step, times something from 0.5 up to 1.5.
    """
    return steps[min(attempt, len(steps) - 1)] * (0.5 + random())
