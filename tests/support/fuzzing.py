"""How long property tests search: a bounded run in the suite, a long one with ``make fuzz``."""

from __future__ import annotations

import os


def examples(number: int) -> int:
    """Multiply the number of examples of the bounded run by what ``FUZZ_FACTOR`` says."""
    return number * int(os.environ.get("FUZZ_FACTOR", "1"))
