"""Taking over from the stand-in: what it decided, and where it stopped."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import socket

import msgspec

from choria_broker.access.session import Again
from choria_broker.audit.decided import Decision
from choria_broker.engine.events import Refusal
from choria_broker.engine.held import HeldGate
from choria_broker.host.succession import Succession, read_unnamed
from choria_broker.log.structured import component
from choria_broker.upgrade.channel import ChannelError, Relieve, Served, receive, send

PATIENCE = 10.0
"""Seconds a stand-in has to stop."""

CHANNEL = "stand-in"
"""Name of the channel, and of the process id at its other end, where they are left to the next program."""

_WORK = "work"
_log = component("broker")


class Work(msgspec.Struct):
    """What a stand-in did.

    Attributes:
        held: where it stopped using the gate.
        decisions: what it decided, in order.
        counted: decisions that it had no room to keep, by whether they let in and the rule.
        refusals: of the engine.
        admitted, again: connections that were let in by verdicts of the program before.
    """

    held: HeldGate
    decisions: list[Decision] = msgspec.field(default_factory=list)
    counted: collections.Counter[tuple[bool, str]] = msgspec.field(default_factory=collections.Counter)
    refusals: list[Refusal] = msgspec.field(default_factory=list)
    admitted: list[int] = msgspec.field(default_factory=list)
    again: list[Again] = msgspec.field(default_factory=list)


def packed(work: Work) -> bytes:
    """Return the work of a stand-in as bytes."""
    succession = Succession()
    succession.tell(_WORK, work)
    return succession.packed()


def relieved(succession: Succession) -> Work | None:
    """Have the stand-in that the program before has left stop, and return what it did.

    It takes a moment, and blocks: nothing else goes on in that.

    One that does not stop in time is killed: the engine has one who answers it.

    Returns:
        None where there is no stand-in, or no more; what was decided is unknown then.
    """
    channel = succession.inherited_socket(CHANNEL)
    if channel is None:
        return None
    pid = succession.told(CHANNEL, int)
    with channel:
        try:
            return relieve(channel)
        except (ChannelError, OSError, msgspec.DecodeError) as error:
            _log.error(
                "The process that answered the engine during the upgrade has ended; its decisions are not counted",
                why=str(error),
            )
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # Nobody has waited for it: the number is still its own.
            return None
        finally:
            if pid:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def relieve(channel: socket.socket) -> Work:
    """Have a stand-in stop, and return what it did.

    Raises:
        ChannelError: it has ended, or what it says cannot be understood.
        TimeoutError: it did not stop in time.
    """
    channel.settimeout(PATIENCE)
    send(channel, Relieve())
    _, (descriptor,) = receive(channel, Served)
    work = Succession.unpacked(read_unnamed(descriptor)).told(_WORK, Work)
    if work is None:
        raise ChannelError("what the stand-in did cannot be read")
    return work
