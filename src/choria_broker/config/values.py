"""Conversion of texts to typed values: what is accepted, exactly, and what is wrong with the rest."""

from __future__ import annotations

import enum
import re
from fractions import Fraction

from choria_broker.config.syntax import BLANKS


class BadValueError(ValueError):
    """A text that is not a value of its type.

    Attributes:
        problem: what is wrong, without the text itself, which may be a secret.
        remedy: what to write instead.
        malformed: False when the text has the right form and only its amount is out of range.
    """

    def __init__(self, problem: str, remedy: str, *, malformed: bool = True) -> None:
        """Keep the parts; the message is the problem."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.malformed = malformed


class Kind(enum.StrEnum):
    """Types of settings, named as the reference manual shows them."""

    STRING = "string"
    PATH = "path"
    TITLE = "title string"
    INTEGER = "integer"
    PORT = "port"
    BOOLEAN = "boolean"
    DURATION = "duration"
    LIST = "comma separated list"
    STRINGS = "string, repeatable"
    PATHS = "list of paths"
    SWITCH = "yes or no"
    CHOICE = "one of"


_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")
_LARGEST = 2**63 - 1
_TRUE = frozenset({"1", "yes", "true", "y", "t"})
_FALSE = frozenset({"0", "no", "false", "n", "f"})
_SWITCH_FALSE = frozenset({"false", "no", "off", "0"})


def integer(text: str) -> int:
    """Read a whole decimal number with optional sign, within 64 bits.

    Raises:
        BadValueError: anything else, blanks, underscores and hexadecimal included.
    """
    found = _INTEGER.fullmatch(text)
    if not found:
        raise BadValueError("not a whole number", "write decimal digits only, for example 10")
    number = int(found[2])
    if number > _LARGEST:
        raise BadValueError("too large for a whole number", "write a smaller number")
    return -number if found[1] == "-" else number


def port(text: str) -> int:
    """Read a port, 0 to 65535.

    Raises:
        BadValueError: not a whole number, or out of range.
    """
    remedy = "write a port between 0 and 65535"
    try:
        number = integer(text)
    except BadValueError as error:
        raise BadValueError(error.problem, remedy) from None
    if not 0 <= number <= 65535:  # noqa: PLR2004 - the range of ports
        raise BadValueError("not a port", remedy, malformed=False)
    return number


def boolean(text: str) -> bool:
    """Read a truth word in any case: ``1 yes true y t`` or ``0 no false n f``.

    Raises:
        BadValueError: another word; ``on`` and ``off`` are none.
    """
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise BadValueError("not a truth value", "write true or false")


def switch(text: str) -> bool:
    """Read the word of a ``tls.verify`` or ``tls.disable`` key: the truth words, and ``on`` and ``off``, in any case.

    Raises:
        BadValueError: another word.
    """
    word = text.lower()
    if word in {"on", "off"}:
        return word == "on"
    try:
        return boolean(text)
    except BadValueError:
        raise BadValueError("not yes or no", "write yes or no") from None


def switch_in_go_choria(text: str) -> bool:
    """Tell how go-choria reads such a word: only ``false no off 0`` in lower case are false."""
    return text not in _SWITCH_FALSE


def path(text: str, home: str) -> str:
    """Expand a leading ``~`` to the home directory; without a home the text stays as it is.

    ``~name`` is not understood as the home of another user: the tilde is replaced there just the same.
    """
    return home + text[1:] if home and text.startswith("~") else text


def title(text: str) -> str:
    """Turn the first character to upper case."""
    return text[:1].upper() + text[1:]


def items(text: str) -> tuple[tuple[str, ...], int]:
    """Split at commas.

    Returns:
        The items without blanks around them, and how many empty items were left out.
    """
    parts = [part.strip(BLANKS) for part in text.split(",")] if text else []
    kept = tuple(part for part in parts if part)
    return kept, len(parts) - len(kept)


_HOUR = 3_600_000_000_000
"""Nanoseconds."""
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "S": 1_000_000_000,
    "m": 60_000_000_000,
    "h": _HOUR,
    "H": _HOUR,
}
_HOURS = {"d": 24, "D": 24, "w": 168, "W": 168, "M": 720, "y": 8760, "Y": 8760}
_PART = re.compile(r"([0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(ns|us|\u00b5s|\u03bcs|ms|[sSmhHdDwWMyY])")
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+)")
_DURATION_REMEDY = "write a number with a unit such as 300ms, 5s, 10m, 24h, 7d or 4w"


def duration(text: str) -> float:
    """Read a length of time.

    Digits alone are seconds. Otherwise numbers with units: ``ns us ms s m h`` as Go writes them, and ``d w M y`` for
    days, weeks, months of 30 days and years of 365 days, each cut to whole hours. ``m`` is minutes and ``M`` months.

    Returns:
        Seconds; negative with a leading minus sign.

    Raises:
        BadValueError: anything else, or more than 292 years.
    """
    if re.fullmatch("[0-9]{1,40}", text):
        nanoseconds = int(text) * _NANOSECONDS["s"]
    else:
        found = _DURATION.fullmatch(text)
        if not found:
            raise BadValueError("not a length of time", _DURATION_REMEDY)
        nanoseconds = sum(_part(number, unit) for number, unit in _PART.findall(found[2]))
        if found[1] == "-":
            nanoseconds = -nanoseconds
    if abs(nanoseconds) > _LARGEST:
        raise BadValueError("longer than 292 years", "write a shorter time")
    return nanoseconds / _NANOSECONDS["s"]


def _part(number: str, unit: str) -> int:
    amount = Fraction(number.rstrip(".")) if number.endswith(".") else Fraction(number)
    if unit in _HOURS:
        return int(amount * _HOURS[unit]) * _HOUR
    return int(amount * _NANOSECONDS[unit])


def format_duration(seconds: float) -> str:
    """Write a length of time so that reading it gives the same nanoseconds, in the largest units that fit."""
    # Exact arithmetic: a float product of large times is off by several nanoseconds.
    rest = round(abs(Fraction(seconds)) * _NANOSECONDS["s"])
    if not rest:
        return "0s"
    parts = []
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        amount, rest = divmod(rest, _NANOSECONDS[unit])
        if amount:
            parts.append(f"{amount}{unit}")
    return ("-" if seconds < 0 else "") + "".join(parts)


def choice(text: str, choices: tuple[str, ...]) -> str:
    """Accept one of the given words, in exactly their spelling.

    Raises:
        BadValueError: another word.
    """
    if text not in choices:
        raise BadValueError("not one of the accepted words", f"write one of {', '.join(choices)}")
    return text
