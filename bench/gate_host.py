"""The broker's side of the gate in a process of its own: ``python -m bench.gate_host FD ISSUERS``.

It does what a broker does: decides, records, and writes a line for each connection that is in. When the engine closes
the gate, it writes the seconds of CPU used since the engine's hello, and the bytes resident early and at last.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import uvloop

from bench import policy_load
from choria_broker.access import ways
from choria_broker.access.decision import decide_for_engine
from choria_broker.access.request import ConnectRequest
from choria_broker.access.session import Again
from choria_broker.access.verdict import Verdict
from choria_broker.audit.trail import Audit
from choria_broker.engine.events import Told
from choria_broker.engine.gate import frames
from choria_broker.engine.gate.gate import Gate
from choria_broker.log.structured import configure
from choria_broker.security.signature_memory import SignatureMemory
from choria_broker.settings.broker import LogLevel

SETTLED = 20_000
"""Connections after which whatever is bounded by a number is full."""


async def host(sock: socket.socket, *, issuers: bool) -> tuple[float, int, int]:
    """Answer until the gate is closed.

    Returns:
        Seconds of CPU used since the engine's hello, and resident bytes after ``SETTLED`` connections and at the end.
    """
    policy = policy_load.policy(SignatureMemory(time.monotonic).signed_by, issuers=issuers)
    greeted: list[float] = []
    settled: list[int] = []
    audit = Audit()
    process = psutil.Process()

    def decided(request: ConnectRequest) -> Verdict:
        begun = time.perf_counter()
        verdict = decide_for_engine(request, policy, policy_load.MOMENT, ways.STANDARD)
        audit.record(request, verdict, time.perf_counter() - begun)
        if request.connection_id == SETTLED:
            settled.append(process.memory_info().rss)
        return verdict

    def admitted(connections: Iterable[int], again: Iterable[Again]) -> None:
        audit.admitted(connections, again)

    hello = frames.Hello(
        generation=1,
        optional_client_certificates=True,
        bridge_secret="x" * 32,
        answer_within_ms=1500,
        max_questions=4096,
        max_unauthenticated=1000,
    )
    gate = Gate(
        sock,
        hello,
        decided,
        Told(
            refused=lambda _refusal: None,
            admitted=admitted,
            greeted=lambda _hello: greeted.append(time.process_time()),
        ),
    )
    await gate.run()
    used, resident = time.process_time() - greeted[0], process.memory_info().rss
    return used, settled[0] if settled else resident, resident


def main() -> None:
    """Host a gate on an inherited socket."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
    with tempfile.TemporaryDirectory() as folder:
        configure(str(Path(folder) / "log"), LogLevel.INFO)
        print(*uvloop.run(host(sock, issuers=sys.argv[2] == "issuers")))


if __name__ == "__main__":
    main()
