"""A text that must not be shown."""

from __future__ import annotations

from choria_broker.values import Discreet
from choria_broker.wording import HIDDEN

MASK = HIDDEN
"""What stands in every output where a secret would."""


class Secret(Discreet, frozen=True):
    """A password or token whose text is only given to code that asks for it by name.

    Attributes:
        shown: what people see in its place; a URL with a login shows all but the password.
    """

    _text: str
    shown: str = MASK

    def reveal(self) -> str:
        """Return the text itself; the caller keeps it out of logs, errors and pages."""
        return self._text

    def __bool__(self) -> bool:
        """Tell whether there is a text at all."""
        return bool(self._text)

    def __repr__(self) -> str:
        """Write what people may see."""
        return self.shown

    __str__ = __repr__
