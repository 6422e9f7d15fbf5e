"""Answering the engine's questions for a while, in place of the broker, whose program is being replaced."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine

from choria_broker.engine.conf.render import Rendered
from choria_broker.engine.events import Told
from choria_broker.engine.gate.frames import PROTOCOL
from choria_broker.engine.gate.gate import Decide, Gate
from choria_broker.engine.held import HeldGate
from choria_broker.engine.running import Limits, hello_for
from choria_broker.errors import NotReadyError
from choria_broker.settings.broker import Settings

_TAKES = 5.0
"""Seconds the engine has to take the last answers."""


def misunderstanding(protocol: int) -> str:
    """Say why this program cannot go on with an engine, by its version of the gate's protocol; empty if it can."""
    if protocol == PROTOCOL:
        return ""
    return (
        f"the installed program needs another engine: it speaks version {PROTOCOL} of the gate's protocol, "
        f"the running engine version {protocol}"
    )


async def answering(
    sock: socket.socket,
    held: HeldGate,
    spec: tuple[Settings, Rendered],
    decide: Decide,
    told: Told,
    until: Callable[[], Coroutine[None, None, object]],
) -> HeldGate:
    """Answer the questions of an engine that is ready.

    Args:
        sock: the broker's end of its gate.
        held: where the gate was stopped.
        spec: the settings, and the engine's configuration.
        decide: the policy.
        told: who is told of what else it says; an engine that is ready greets nobody.
        until: waited for; then the gate is stopped.

    Returns:
        Where it was stopped.

    Raises:
        NotReadyError: the engine has ended, or does not take its answers.
        GateError: it broke the protocol.
    """
    sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
    hello = hello_for(*spec, "", Limits(), "")
    gate = Gate(sock, hello, decide, told, held=held)
    async with asyncio.TaskGroup() as tasks:
        answers = tasks.create_task(gate.run(), name="gate")
        waiting = tasks.create_task(until(), name="relief")
        await asyncio.wait({answers, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if answers.done():
            waiting.cancel()
            raise NotReadyError("the engine has ended")
        stopped = await gate.hold(_TAKES)
        answers.cancel()
    return stopped
