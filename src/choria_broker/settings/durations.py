"""Lengths of time as texts: as operators write them, as Go does, and as people read them."""

from __future__ import annotations

import re

from choria_broker.patterns import expression

DAY = 86400.0
"""Seconds."""

_HOUR = 3_600_000_000_000
"""Nanoseconds."""
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # The micro sign.
    "\u03bcs": 1_000,  # The Greek letter, which is another character.
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "S": 1_000_000_000,
    "m": 60_000_000_000,
    "h": _HOUR,
    "H": _HOUR,
}
_HOURS = {"d": 24, "D": 24, "w": 168, "W": 168, "M": 720, "y": 8760, "Y": 8760}
_LARGEST = 2**63 - 1
_SHORT = r"([0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(ns|us|\u00b5s|\u03bcs|ms|"
_PART = expression(_SHORT + "[sSmhHdDwWMyY])")
_WHOLE = expression(rf"([+-]?)((?:{_PART.pattern})+)")
_WHOLE_IN_GO = expression(rf"([+-]?)((?:{_SHORT}[smh]))+)")
_LONGEST_IN_GO = 200
_REMEDY = "write a number with a unit such as 300ms, 5s, 10m, 24h, 7d or 4w"
_IN_WORDS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_FOR_PEOPLE = ((365 * 86400, "y"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class DurationError(ValueError):
    """A text is no length of time.

    Attributes:
        problem: what is wrong, without the text itself.
        remedy: what to write instead.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        """Keep the parts; the message is the problem."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def read(text: str) -> float:
    """Read a length of time that an operator wrote.

    Digits alone are seconds. Otherwise numbers with units: ``ns us ms s m h`` as Go writes them, and ``d w M y`` for
    days, weeks, months of 30 days and years of 365 days, each cut to whole hours. ``m`` is minutes and ``M`` months.

    Returns:
        Seconds; negative with a leading minus sign.

    Raises:
        DurationError: anything else, or more than 292 years.
    """
    if re.fullmatch("[0-9]{1,40}", text):
        nanoseconds = int(text) * _NANOSECONDS["s"]
    else:
        found = _WHOLE.fullmatch(text)
        if not found:
            raise DurationError("not a duration", _REMEDY)
        nanoseconds = _nanoseconds(found)
    if abs(nanoseconds) > _LARGEST:
        raise DurationError("longer than 292 years", "write a shorter time")
    return nanoseconds / _NANOSECONDS["s"]


def milliseconds(text: str) -> float | None:
    """Read a duration in Go's notation.

    Args:
        text: one number or several with a unit each, with or without a sign; ``0`` needs no unit.

    Returns:
        Milliseconds, or None for a text that is no duration.
    """
    if text in {"0", "+0", "-0"}:
        return 0.0
    found = _WHOLE_IN_GO.fullmatch(text) if len(text) <= _LONGEST_IN_GO else None
    return None if found is None else _nanoseconds(found) / _NANOSECONDS["ms"]


def _nanoseconds(whole: re.Match[str]) -> int:
    total = sum(_part(number, unit) for number, unit in _PART.findall(whole[2]))
    return -total if whole[1] == "-" else total


def _part(number: str, unit: str) -> int:
    whole, _, behind = number.partition(".")
    amount, one = int(whole + behind), int(f"1{'0' * len(behind)}")
    if unit in _HOURS:
        return amount * _HOURS[unit] // one * _HOUR
    return amount * _NANOSECONDS[unit] // one


def in_go(seconds: float) -> str:
    """Write a duration as Go does, in whole milliseconds: ``1m0s``, ``1.5s``, ``300ms``."""
    rest = round(seconds * 1000)
    if 0 < rest < 1000:  # noqa: PLR2004 - a second
        return f"{rest}ms"
    minutes, rest = divmod(rest, 60_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown


def in_short(seconds: float) -> str:
    """Write a duration as Go does, without the units of which there are none: ``24h``, ``1m``, ``1m30s``."""
    return re.sub("(?<=[hm])0[ms]", "", in_go(seconds))


def in_one_unit(seconds: float) -> str:
    """Write a duration as whole seconds, ``300s``, or else as milliseconds, ``2500ms``."""
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{round(seconds * 1000)}ms"


def for_people(seconds: float) -> str:
    """Write a length of time for people: ``58.28s``, ``59m59s``, ``9d23h59m58s``, ``2y69d0h3m0s``."""
    if seconds < _FOR_PEOPLE[-2][0]:
        return f"{seconds:.2f}s"
    rest = int(seconds)
    text = ""
    for size, unit in _FOR_PEOPLE:
        amount, rest = divmod(rest, size)
        if amount or text:
            text += f"{amount}{unit}"
    return text


def in_words(seconds: float) -> str:
    """Write a length of time in the largest unit of which it is a multiple: ``2 days``, ``36 hours``, ``1 minute``."""
    size, unit = next((each for each in _IN_WORDS if seconds >= each[0] and seconds % each[0] == 0), _IN_WORDS[-1])
    count = f"{seconds / size:g}"
    return f"{count} {unit}{'' if count == '1' else 's'}"
