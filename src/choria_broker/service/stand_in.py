"""The life of a stand-in: the installed program tries itself, and answers the engine until it is relieved."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import signal
import socket
import time
import traceback
from collections.abc import Iterable

import uvloop

from choria_broker import __version__
from choria_broker.access.request import ConnectRequest
from choria_broker.access.session import Again
from choria_broker.access.verdict import Verdict
from choria_broker.audit.decided import Decision, decision_of
from choria_broker.broker import NetworkBroker
from choria_broker.engine.binary import EngineConfigError, EngineMissingError
from choria_broker.engine.events import Refusal, Told
from choria_broker.engine.held import ENGINE, HeldGate, LeftEngine
from choria_broker.engine.standing_in import answering, misunderstanding
from choria_broker.errors import BrokerError, ConfigurationError
from choria_broker.host.succession import Succession, SuccessionError, read_unnamed, unnamed
from choria_broker.log.outlet import LogFile
from choria_broker.service.again import broker_after
from choria_broker.settings.findings import blocking
from choria_broker.upgrade.channel import ChannelError, Relieve, Serve, Served, Serving, Trial, Tried, receive, send
from choria_broker.upgrade.relief import Work, packed
from choria_broker.upgrade.trial import HELD

_MOST_DECISIONS = 20_000
"""Decisions that are kept for the log; of those before, only the counts are."""


def serve(descriptor: int) -> int:
    """Be a stand-in.

    Args:
        descriptor: of the channel to the broker.

    Returns:
        The exit status.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # They are for the broker, whose end is the end of the channel.
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    with channel, contextlib.suppress(ChannelError):
        _, (memory,) = receive(channel, Trial)
        tried, broker = _tried(read_unnamed(memory))
        send(channel, tried)
        if broker is None:
            return 1
        _, (memory, gate) = receive(channel, Serve)
        held = Succession.unpacked(read_unnamed(memory)).told(HELD, HeldGate)
        if held is None:
            return 1
        work = uvloop.run(_stand_in(broker, held, socket.socket(fileno=gate), channel))
        if work:
            send(channel, Served(), (unnamed(packed(work)),))
    return 0


def _tried(copy: bytes) -> tuple[Tried, NetworkBroker | None]:
    """Do as much as possible of what this program would do in the broker's process."""
    try:
        succession = Succession.unpacked(copy, descriptors=False)
        engine = succession.told(ENGINE, LeftEngine)
        if problem := misunderstanding(engine.protocol if engine else 0):
            return Tried(problem, __version__), None
        broker = broker_after(succession)
        if broker.settings.log_file:
            LogFile(broker.settings.log_file).close()
        broker.hand_over.check_engine()
    except ConfigurationError as error:
        refused = tuple(map(str, blocking(error.findings)))
        problem = f"the installed program refuses the configuration: {refused[0] if refused else error}"
        return Tried(problem, __version__, refused), None
    except (BrokerError, SuccessionError, EngineMissingError, EngineConfigError, OSError) as error:
        return Tried(f"the installed program cannot take over: {error}", __version__), None
    except Exception as error:  # noqa: BLE001 - whatever it is, it would be worse in the broker's process
        lines = tuple(traceback.format_exc().splitlines()[-10:])
        problem = f"the installed program cannot take over: {type(error).__name__}: {error}"
        return Tried(problem, __version__, lines), None
    return Tried(version=__version__), broker


async def _stand_in(broker: NetworkBroker, held: HeldGate, gate: socket.socket, channel: socket.socket) -> Work | None:
    """Answer the engine until the broker's process relieves this one; None when it has ended."""
    decisions: collections.deque[Decision] = collections.deque()
    counted: collections.Counter[tuple[bool, str]] = collections.Counter()
    refusals: list[Refusal] = []
    # By verdicts of the program before, which this one has not seen.
    admitted: list[int] = []
    again: list[Again] = []
    policy = broker.policy

    def decided(request: ConnectRequest) -> Verdict:
        begun, now = time.perf_counter(), time.time()
        verdict = policy.decide(request, now)
        decisions.append(decision_of(request, verdict, time.perf_counter() - begun, now))
        if len(decisions) > _MOST_DECISIONS:
            oldest = decisions.popleft()
            counted[oldest.allowed, oldest.rule] += 1
        return verdict

    def refused(refusal: Refusal) -> None:
        if len(refusals) < _MOST_DECISIONS:
            refusals.append(refusal)

    async def relief() -> None:
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(channel, readable.set)
        send(channel, Serving())
        await readable.wait()
        loop.remove_reader(channel)

    def let_in(connections: Iterable[int], others: Iterable[Again]) -> None:
        admitted.extend(connections)
        again.extend(others)

    told = Told(refused, let_in, lambda _versions: None)
    held = await answering(gate, held, broker.hand_over.rendered, decided, told, relief)
    receive(channel, Relieve)
    return Work(held, list(decisions), counted, refusals, admitted, again)
