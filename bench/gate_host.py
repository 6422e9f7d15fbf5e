"""The broker's side of the gate in a process of its own: ``python -m bench.gate_host FD ISSUERS``.

When the engine closes the gate, it writes the seconds of CPU it used since the engine's hello.
"""

from __future__ import annotations

import socket
import sys
import time

import uvloop

from bench import policy_load
from choria_broker.access.decision import decide
from choria_broker.engine.events import Told
from choria_broker.engine.gate import frames
from choria_broker.engine.gate.gate import Gate
from choria_broker.security.signature_memory import SignatureMemory


async def host(sock: socket.socket, *, issuers: bool) -> float:
    """Answer until the gate is closed and return the seconds of CPU used since the engine's hello."""
    policy = policy_load.policy(SignatureMemory(time.monotonic).signed_by, issuers=issuers)
    greeted: list[float] = []
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
        lambda request: decide(request, policy, policy_load.MOMENT),
        Told(
            refused=lambda _refusal: None,
            admitted=lambda _connections, _again: None,
            greeted=lambda _hello: greeted.append(time.process_time()),
        ),
    )
    await gate.run()
    return time.process_time() - greeted[0]


def main() -> None:
    """Host a gate on an inherited socket."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
    print(uvloop.run(host(sock, issuers=sys.argv[2] == "issuers")))


if __name__ == "__main__":
    main()
