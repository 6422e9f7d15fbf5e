"""Conversion of texts to typed values: what is accepted, exactly, and what is wrong with the rest."""

from __future__ import annotations

from choria_broker.config.text.syntax import BLANKS
from choria_broker.patterns import expression
from choria_broker.settings import durations


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


_INTEGER = expression(r"([+-]?)0*([0-9]{1,19})")
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
    raise BadValueError("not a boolean", "write true or false")


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


def duration(text: str) -> float:
    """Read a length of time, see ``settings.durations``.

    Returns:
        Seconds; negative with a leading minus sign.

    Raises:
        BadValueError: anything else, or more than 292 years.
    """
    try:
        return durations.read(text)
    except durations.DurationError as error:
        raise BadValueError(error.problem, error.remedy) from None


def choice(text: str, choices: tuple[str, ...]) -> str:
    """Accept one of the given words, in exactly their spelling.

    Raises:
        BadValueError: another word.
    """
    if text not in choices:
        raise BadValueError("not one of the accepted words", f"write one of {', '.join(choices)}")
    return text
