"""Refusals by address: who is refused how often, and how many of the refusals are worth a log line of their own."""

from __future__ import annotations

import collections
import ipaddress
from collections.abc import Callable, Mapping

import msgspec

from choria_broker.settings import hostnames

OTHERS = "others"
"""Stands for all addresses beyond the most that are told apart."""

_SITE_BITS = 64


class Bounds(msgspec.Struct, frozen=True):
    """How much is kept and logged.

    Attributes:
        window: seconds that are summed up in one go.
        in_full: refusals of one address in a window that are logged each on its own; beyond them, the first for
            each further rule, of which there are no more than ``rules``.
        in_full_together: the same for all addresses together.
        addresses: most addresses told apart.
        summaries: most addresses that get a summary of their own for a window.
    """

    window: float = 60.0
    in_full: int = 5
    in_full_together: int = 300
    rules: int = 10
    addresses: int = 1024
    summaries: int = 20


class Summary(msgspec.Struct, frozen=True):
    """The refusals of a window that were not logged on their own.

    Attributes:
        address: whose; ``others`` for several addresses together.
        refusals: how many were left out of the log.
        rules: how many of all its refusals in the window each rule made.
        addresses: how many addresses these are.
    """

    address: str
    refusals: int
    rules: Mapping[str, int]
    addresses: int = 1


class Refused(msgspec.Struct, frozen=True):
    """An address that was refused.

    Attributes:
        address: the address, for IPv6 its /64 network.
        refusals: how many times.
        last: when the last time, Unix seconds.
        rules: how many of them each rule made.
    """

    address: str
    refusals: int
    last: float
    rules: Mapping[str, int]


class Tally(msgspec.Struct):
    """Refusals of one address, either in a window or since it is known.

    Attributes:
        rules: how many of them each rule made.
        left_out: how many were not worth a log line.
        last: when the last one was, Unix seconds.
    """

    rules: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)
    left_out: int = 0
    last: float = 0.0

    @property
    def refusals(self) -> int:
        """How many."""
        return self.rules.total()


class Counted(msgspec.Struct):
    """Everything that a throttle has counted.

    Attributes:
        known: what is known of addresses, those refused latest last.
        window: what the present window has.
        begun: when it began, Unix seconds.
        in_full: lines that it had.
        ended: what of earlier windows is to be told.
    """

    known: dict[str, Tally] = msgspec.field(default_factory=dict)
    window: dict[str, Tally] = msgspec.field(default_factory=dict)
    begun: float = 0.0
    in_full: int = 0
    ended: list[Summary] = msgspec.field(default_factory=list)


class RefusalThrottle:
    """Counts refusals by address, in bounded memory, and bounds the log lines that are written about them.

    Time is an argument everywhere and is given in Unix seconds.
    """

    def __init__(self, bounds: Bounds | None = None, place: Callable[[str], str] | None = None) -> None:
        """Start with nothing counted.

        Args:
            bounds: other limits than the usual ones.
            place: names what is counted together, ``site`` when left out.
        """
        self.bounds = bounds or Bounds()
        self._place = place or site
        self._known: collections.OrderedDict[str, Tally] = collections.OrderedDict()
        self._window: dict[str, Tally] = {}
        self._begun = 0.0
        self._in_full = 0
        self._ended: list[Summary] = []

    @property
    def counted(self) -> Counted:
        """What was counted so far, for a program that goes on with it."""
        return Counted(dict(self._known), self._window, self._begun, self._in_full, self._ended)

    def go_on(self, counted: Counted) -> None:
        """Go on with what another program has counted."""
        self._known = collections.OrderedDict(counted.known)
        self._window, self._begun, self._in_full = counted.window, counted.begun, counted.in_full
        self._ended = counted.ended

    def note(self, address: str, rule: str, now: float) -> bool:
        """Count one refusal.

        Args:
            address: of the peer, empty when unknown.
            rule: what refused it.
            now: when.

        Returns:
            True when this refusal should be logged on its own.
        """
        self._turn(now)
        place = self._place(address)
        self._remember(place, rule, now)
        if place not in self._window and len(self._window) >= self.bounds.addresses:
            place = OTHERS
        tally = self._window.setdefault(place, Tally())
        tally.rules[rule] += 1
        new = tally.rules[rule] == 1 and len(tally.rules) <= self.bounds.rules
        if (tally.refusals <= self.bounds.in_full or new) and self._in_full < self.bounds.in_full_together:
            self._in_full += 1
            return True
        tally.left_out += 1
        return False

    def summaries(self, now: float, *, final: bool = False) -> tuple[Summary, ...]:
        """Return what the windows that ended left out of the log, the most first; each window is told once.

        Args:
            now: the present.
            final: end the present window too.
        """
        self._turn(now)
        if final:
            self._end_window()
        ended, self._ended = tuple(self._ended), []
        return ended

    def most_refused(self, count: int) -> tuple[Refused, ...]:
        """Return the addresses refused most recently, the latest first."""
        latest = list(reversed(self._known.items()))[:count]
        return tuple(Refused(place, tally.refusals, tally.last, dict(tally.rules)) for place, tally in latest)

    def _remember(self, place: str, rule: str, now: float) -> None:
        tally = self._known.setdefault(place, Tally())
        tally.rules[rule] += 1
        tally.last = now
        self._known.move_to_end(place)
        if len(self._known) > self.bounds.addresses:
            self._known.popitem(last=False)

    def _turn(self, now: float) -> None:
        """Begin a new window when the present one is over, or when the clock was set back."""
        if self._begun <= now < self._begun + self.bounds.window:
            return
        self._end_window()
        self._begun = now

    def _end_window(self) -> None:
        tallies = [(place, tally) for place, tally in self._window.items() if tally.left_out]
        tallies.sort(key=lambda item: item[1].left_out, reverse=True)
        named = [item for item in tallies if item[0] != OTHERS][: self.bounds.summaries]
        rest = [item for item in tallies if item not in named]
        # Bounded even when nobody ever asks for them.
        self._ended = [
            *self._ended[-self.bounds.summaries :],
            *(Summary(place, tally.left_out, dict(tally.rules)) for place, tally in named),
            *_together(rest),
        ]
        self._window = {}
        self._in_full = 0


def site(address: str) -> str:
    """Name the place an address stands for: itself, for IPv6 its /64 network, where one peer has all addresses."""
    parsed = hostnames.address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and not parsed.is_loopback:
        return str(ipaddress.IPv6Network((parsed, _SITE_BITS), strict=False))
    return str(parsed) if parsed else "unknown"


def _together(tallies: list[tuple[str, Tally]]) -> list[Summary]:
    if not tallies:
        return []
    rules: collections.Counter[str] = collections.Counter()
    for _, tally in tallies:
        rules.update(tally.rules)
    return [Summary(OTHERS, sum(tally.left_out for _, tally in tallies), dict(rules), len(tallies))]
