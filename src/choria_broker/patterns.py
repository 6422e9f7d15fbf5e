"""Regular expressions, each compiled when it is first used.

To compile one takes a quarter of a millisecond, and most of them are for what may never come: bad values, lines of the
log about damage. So a start compiles none that it does not use.
"""

from __future__ import annotations

import functools
import re
from typing import Any, AnyStr, cast


def expression(text: AnyStr, flags: int | re.RegexFlag = 0) -> re.Pattern[AnyStr]:
    """Return what is used as the compiled expression; for constants of modules.

    Args:
        text: the expression. One that is wrong raises when it is first used; a test compiles all that there are.
        flags: as of ``re.compile``.
    """
    return cast("re.Pattern[AnyStr]", Later(text, flags))


class Later:
    """An expression that is compiled when somebody asks for one of its methods."""

    def __init__(self, text: str | bytes, flags: int | re.RegexFlag) -> None:
        """Keep it; see ``expression``."""
        self.pattern, self._flags = text, flags

    @functools.cached_property
    def compiled(self) -> re.Pattern[Any]:
        """The expression, compiled."""
        return re.compile(self.pattern, self._flags)

    def __getattr__(self, name: str) -> Any:
        """Find what the compiled expression has, and keep it, so that it is found without this the next time."""
        if name.startswith("_"):
            raise AttributeError(name)
        found = self.__dict__[name] = getattr(self.compiled, name)
        return found
