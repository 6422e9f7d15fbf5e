"""A test fails when code of the broker waits for a file, a socket, a lock or the clock in the event loop."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import blockbuster.blockbuster
import pytest
from blockbuster import BlockingError, blockbuster_ctx

_MAY_WAIT = (
    # Nothing is served yet: the programming interface reads its files where it is called, and so does a start.
    ("choria_broker/broker.py", {"from_file", "__init__", "__aenter__"}),
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


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Watch one test; what the broker's own code caught and logged counts too."""
    seen: list[str] = []

    class BlockedError(BlockingError):
        def __init__(self, function: str) -> None:
            super().__init__(function)
            seen.append("".join([*traceback.format_stack()[:-2], str(self)]))

    monkeypatch.setattr(blockbuster.blockbuster, "BlockingError", BlockedError)
    with blockbuster_ctx("choria_broker") as watch:
        for function in watch.functions.values():
            for place, names in _MAY_WAIT:
                function.can_block_in(place, names)
        yield
    assert not seen, "\n\n".join(seen)
