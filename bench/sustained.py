"""Two thousand decisions a second for a minute: the memory of the Python process stays what it was."""

from __future__ import annotations

from bench import policy_load
from bench.gate import hosted, question
from bench.gate_host import SETTLED
from bench.results import LeftOut, Line, Pairs
from bench.workbench import Workbench

_PER_SECOND = 2000
_MEGABYTE = 1_000_000


def measure(bench: Workbench) -> list[Line]:
    """Have tokens decided that were never seen, each of them recorded, and look at the memory early and at the end."""
    count = int(_PER_SECOND * bench.scale.sustained_seconds)
    load = f"{_PER_SECOND} decisions a second for {bench.scale.sustained_seconds:.0f} s, tokens never seen"
    if count <= SETTLED:
        return [LeftOut(f"Resident memory of the Python process, {load}", "too short to say anything")]
    wire = [question(number, request) for number, request in enumerate(policy_load.with_tokens(count), 1)]
    _, settled, resident = hosted(wire, per_second=_PER_SECOND)
    return [
        Pairs([resident], [settled]).row(
            f"Resident memory of the Python process after {load}", f"after {SETTLED:,} of them", _written, aim="flat"
        )
    ]


def _written(size: float) -> str:
    return f"{size / _MEGABYTE:.0f} MB"
