"""How a broker is, in one word, one sentence and the reasons."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Sequence

_DAY = 86400.0
_EXPIRES_SOON = 14.0


class Condition(enum.StrEnum):
    """The one word."""

    OK = "ok"
    """Everything the settings ask for is there."""
    DEGRADED = "degraded"
    """The broker serves its clients, and something an operator wants to know about is amiss."""
    FAILING = "failing"
    """The broker cannot do its work."""


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """What was found.

    Attributes:
        condition: the one word.
        reasons: what is amiss, the worst first, each a sentence without its full stop.
    """

    condition: Condition
    reasons: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The one sentence."""
        if not self.reasons:
            return "All is well."
        begin = "The broker cannot do its work:" if self.condition is Condition.FAILING else "The broker serves, but"
        more = len(self.reasons) - 1
        return f"{begin} {self.reasons[0]}{f', and {more} more' if more else ''}."


@dataclasses.dataclass(frozen=True, slots=True)
class Validity:
    """How long a certificate is good.

    Attributes:
        file: where it is.
        end: when it expires, Unix seconds.
        vital: nobody can connect without it.
    """

    file: str
    end: float
    vital: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Signs:
    """What health is told by.

    Attributes:
        engine: the engine runs and, where it is asked, answers.
        streams_problem: why there are no Choria Streams although there should be, empty otherwise.
        peers_configured: other members of the cluster.
        peers_connected: members that are connected.
        remotes_down: gateways and leafnode remotes without a connection, as ``kind name``.
        streams_amiss: standard streams that are not as they should be, each a sentence without its full stop.
        certificates: those the broker works with.
        features_left_out: how many features their configuration keeps out.
    """

    engine: bool
    streams_problem: str = ""
    peers_configured: int = 0
    peers_connected: int = 0
    remotes_down: Sequence[str] = ()
    streams_amiss: Sequence[str] = ()
    certificates: Sequence[Validity] = ()
    features_left_out: int = 0


def assess(signs: Signs, now: float) -> Health:
    """Weigh the signs.

    Only what keeps the broker from serving anybody makes it ``failing``: a broker that lost its cluster or a remote is
    of use to its own clients, and taking it out of service would not bring the others back.

    Args:
        signs: what was observed.
        now: Unix seconds.
    """
    if not signs.engine:
        return Health(Condition.FAILING, ("the engine does not answer",))
    failing = tuple(_failing(signs, now))
    reasons = tuple(dict.fromkeys((*failing, *_degraded(signs, now))))
    if failing:
        return Health(Condition.FAILING, reasons)
    return Health(Condition.DEGRADED if reasons else Condition.OK, reasons)


def days_left(end: float, now: float) -> float:
    """Return the days until a moment, rounded to tenths; negative when it has passed."""
    return round((end - now) / _DAY, 1)


def _failing(signs: Signs, now: float) -> Iterable[str]:
    if signs.streams_problem:
        yield f"Choria Streams are not available: {signs.streams_problem}"
    for each in signs.certificates:
        if each.vital and each.end <= now:
            yield _expired(each)


def _degraded(signs: Signs, now: float) -> Iterable[str]:
    yield from _peers(signs)
    for remote in signs.remotes_down:
        yield f"{remote} is not connected"
    yield from signs.streams_amiss
    if signs.features_left_out:
        features = "1 feature is" if signs.features_left_out == 1 else f"{signs.features_left_out} features are"
        yield f"{features} left out because of the configuration"
    for each in signs.certificates:
        left = (each.end - now) / _DAY
        if left <= 0 and not each.vital:
            yield _expired(each)
        elif 0 < left <= _EXPIRES_SOON:
            yield f"the certificate in {each.file} expires {_within(left)}"


def _peers(signs: Signs) -> Iterable[str]:
    wanted, there = signs.peers_configured, signs.peers_connected
    if there >= wanted:
        return
    if wanted == 1:
        yield "the other member of the cluster is not connected"
    elif there:
        yield f"only {there} of the {wanted} other members of the cluster {'is' if there == 1 else 'are'} connected"
    else:
        yield f"none of the {wanted} other members of the cluster is connected"


def _expired(certificate: Validity) -> str:
    return f"the certificate in {certificate.file} has expired"


def _within(days: float) -> str:
    whole = int(days)
    if not whole:
        return "in less than a day"
    return "in 1 day" if whole == 1 else f"in {whole} days"
