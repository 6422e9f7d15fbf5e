"""A test fails when code of the broker waits for a file, a socket, a lock or the clock in the event loop."""

from __future__ import annotations

import contextlib
import functools
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import blockbuster.blockbuster
import pytest
from blockbuster import BlockBuster, BlockingError

import choria_broker

_WATCHED = str(Path(choria_broker.__file__).parent)

_MAY_WAIT = (
    # Nothing is served yet: the programming interface reads its files where it is called, and so does a start.
    ("choria_broker/broker.py", {"from_file", "__init__"}),
    ("choria_broker/facade.py", {"__aenter__"}),
    ("choria_broker/config/load.py", {"load"}),
    ("choria_broker/demo/network.py", {"lay_out"}),
    # The program that is started is there at once.
    ("choria_broker/companions/process.py", {"start"}),
    ("choria_broker/engine/process.py", {"start"}),
    # Nothing is served any more, and files that the broker made itself go away.
    ("choria_broker/control/place.py", {"claim"}),
    ("choria_broker/engine/rundir.py", {"__exit__"}),
    ("choria_broker/streams/safekeeping.py", {"leave"}),
    # Commands are processes of their own.
    ("choria_broker/control/socket_path.py", {"candidates"}),
    ("choria_broker/cli/check.py", {"examine"}),
    ("choria_broker/engine/binary.py", {"locate"}),
    ("click/testing.py", {"invoke"}),
    # The NATS library takes the small file of credentials from a function that cannot wait.
    ("choria_broker/engine/bridge.py", {"part"}),
    # The kernel answers what is read in /proc at once.
    ("choria_broker/host/processes.py", {"used_by", "_told"}),
    # The handlers are those of pytest.
    ("logging/__init__.py", {"emit"}),
)


@functools.cache
def _kind(file: str, function: str) -> tuple[bool, bool]:
    """Say of a function whether it is the broker's, and whether it and what it calls may wait."""
    return file.startswith(_WATCHED), any(file.endswith(place) and function in names for place, names in _MAY_WAIT)


def _unless_the_broker_waits(may_block: Callable[..., bool]) -> Callable[..., bool]:
    """Let go, with one look at each function that is being called, what blockbuster would look at long and let go."""

    def harmless(*args: object, **named: object) -> bool:
        frame: FrameType | None = sys._getframe(1)
        watched = False
        while frame:
            ours, may_wait = _kind(frame.f_code.co_filename, frame.f_code.co_name)
            if may_wait:
                return True
            watched = watched or ours
            frame = frame.f_back
        return not watched or may_block(*args, **named)

    return harmless


@contextlib.contextmanager
def watching() -> Iterator[list[str]]:
    """Have whatever waits in a loop fail as long as the context lasts, and yield what did."""
    seen: list[str] = []

    class BlockedError(BlockingError):
        def __init__(self, function: str) -> None:
            super().__init__(function)
            seen.append("".join([*traceback.format_stack()[:-2], str(self)]))

    watch = BlockBuster("choria_broker")
    for function in watch.functions.values():
        function.can_block_predicate = _unless_the_broker_waits(function.can_block_predicate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockbuster.blockbuster, "BlockingError", BlockedError)
        watch.activate()
        try:
            yield seen
        finally:
            watch.deactivate()


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Watch one test; what the broker's own code caught and logged counts too."""
    with watching() as seen:
        yield
    assert not seen, "\n\n".join(seen)
