"""The life of a companion process, from what it is told to be to its last report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import socket
from collections.abc import Callable, Mapping

import uvloop

from choria_broker import __version__
from choria_broker.background import beside
from choria_broker.companions.channel import LONGEST_REPORT, Begin, Channel, ChannelError, Line, Report, Stop
from choria_broker.companions.dialling import Dial, LookUp
from choria_broker.companions.links import Links
from choria_broker.companions.spec import Key, Share, Spec
from choria_broker.companions.tally import Tally, parts
from choria_broker.companions.work import Work
from choria_broker.log.libraries import adopt
from choria_broker.log.structured import ROOT, own_fields
from choria_broker.settings.companions import Side

CompanionKind = tuple[Callable[[Spec, Share, Tally], Work], Callable[[Spec], tuple[Side, ...]]]
"""What makes the work of a kind of companions, and tells which networks it connects to."""

REPORT_EVERY = 1.0
"""Seconds between two reports."""

_LOOK = 0.02
"""Seconds between two looks whether everything in hand is done."""

_BEGIN = 30.0
_FIELDS_LONGEST = 2000


def serve(descriptor: int, kinds: Mapping[str, CompanionKind], look_up: LookUp) -> int:
    """Be the process of a companion.

    Args:
        descriptor: of the channel to the broker.
        kinds: what there is to be.
        look_up: asks for SRV records.

    Returns:
        The exit status.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # They are for the broker, which tells its companions.
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    channel = Channel(sock)
    with contextlib.closing(channel):
        return uvloop.run(_serve(channel, kinds, look_up))


async def _serve(channel: Channel, kinds: Mapping[str, CompanionKind], look_up: LookUp) -> int:
    async with asyncio.timeout(_BEGIN):
        begin = await channel.receive()
    if not isinstance(begin, Begin):
        return 1
    lines = _lines_to(channel, debug=begin.debug)
    if begin.version != __version__:
        lines.said(
            "the installed program has another version than the running broker; upgrade or restart the broker",
            begin.version,
        )
    spec = Spec(Key(begin.kind, begin.name), begin.identity, begin.detail)
    share, tally = Share(begin.number, begin.of), Tally()
    make, sides = kinds[begin.kind]
    work = make(spec, share, tally)
    links = Links({side.name: Dial(side, begin.way_in, look_up) for side in sides(spec)})

    def report(lost: int = -1) -> None:
        for part in parts(tally.told(), LONGEST_REPORT):
            counts = {family: tuple(found) for family, found in part.items()}
            channel.send(Report(links.reports, counts, lines.dropped, lost))

    async def reporting() -> None:
        while True:
            report()
            await asyncio.sleep(REPORT_EVERY)

    async with links.kept():
        await work.open(links)
        async with beside(reporting(), "reports"), beside(work.run(), "work"):
            patience = await _until_stopped(channel)
            work.close_ingest()
            await _finished(work, links, patience)
    report(work.pending())
    return 0


async def _until_stopped(channel: Channel) -> float:
    """Wait until the broker has the process stop, or has gone; return the seconds for what is in hand."""
    with contextlib.suppress(ChannelError):
        message = await channel.receive()
        if isinstance(message, Stop):
            return message.patience
    return 1.0


async def _finished(work: Work, links: Links, patience: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            # What brokers had sent before they heard that nothing more is wanted.
            await links.flushed(math.ceil(patience))
            while work.pending():  # noqa: ASYNC110 - what it has in hand ends in many places
                await asyncio.sleep(_LOOK)


class _Lines(logging.Handler):
    """Sends the log to the broker.

    Attributes:
        dropped: lines for which there was no room.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        fields = {name: _short(value) for name, value in own_fields(record).items() if name != "component"}
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = _short(repr(record.exc_info[1]))
        text = record.getMessage()[:_FIELDS_LONGEST]
        line = Line(record.levelno, record.name.removeprefix(f"{ROOT}."), text, fields)
        self.dropped += not self._channel.send(line)

    def said(self, text: str, other: str) -> None:
        """Say that this program is another one than the broker's."""
        self._channel.send(Line(logging.WARNING, "companion", text, {"broker": other, "installed": __version__}))


def _short(value: object) -> object:
    return value if isinstance(value, int | float | bool) else str(value)[:_FIELDS_LONGEST]


def _lines_to(channel: Channel, *, debug: bool) -> _Lines:
    root = logging.getLogger(ROOT)
    lines = _Lines(channel)
    root.handlers[:] = [lines]
    root.propagate = False
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    adopt(lines, root.level)
    # At the end of each connection with TLS the loop remarks on how the library's streams are made.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    return lines
