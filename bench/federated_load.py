"""Federated messages, sent by a program that costs so little that the federation broker is what is measured.

It speaks the client protocol itself, without TLS, and only counts what arrives.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import select
import socket
import time
from collections.abc import Iterator

from bench.building import MeasurementError

CLUSTER = "bench"

_DEADLINE = 20.0
_SILENCE = 2.0
_READ = 1 << 20
_WRITE = 1 << 18
_BURST = 50
_MARK = b"\nMSG "


@dataclasses.dataclass(frozen=True, slots=True)
class MessageKind:
    """What is sent.

    Attributes:
        words: for the table.
        request: requests of a client, False: replies of servers.
        targets: of each message.
        payload: bytes that were signed, before base64.
        in_flight: messages on their way at a time; more would be dropped by go-choria, whose buffers are short.
    """

    words: str
    request: bool
    targets: int
    payload: int
    in_flight: int


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """What became of messages.

    Attributes:
        seconds: from first to last, without the silence in which lost ones were waited for.
        arrived: publications that arrived.
        lost: those that did not.
    """

    seconds: float
    arrived: int
    lost: int


class Ends:
    """A client on the federation's network, and one where the servers are.

    Args:
        federation: port of the federation's network.
        collective: port of the servers' network.
    """

    def __init__(self, federation: int, collective: int) -> None:
        """Connect both."""
        self._federation = _connected(federation)
        self._collective = _connected(collective)

    def close(self) -> None:
        """Close both."""
        self._federation.close()
        self._collective.close()

    def sent(self, kind: MessageKind, messages: int) -> Sent:
        """Send messages and wait until they have arrived at all their targets, or are lost."""
        with self._listening(kind) as (source, sink):
            return _pumped(source, sink, _command(kind), kind, messages)

    def round_trips(self, kind: MessageKind, messages: int, *, direct: bool) -> list[float]:
        """Send messages one after the other, and return the seconds that each took.

        Args:
            kind: of messages; with one target.
            messages: how many.
            direct: to the subscriber by the servers' network alone, for comparison.

        Raises:
            MeasurementError: one got lost.
        """
        with self._listening(kind) as (source, sink):
            command = _published(_target(0), _message(kind)) if direct else _command(kind)
            way = sink if direct else source
            return [_round_trip(way, sink, command) for _ in range(messages)]

    @contextlib.contextmanager
    def _listening(self, kind: MessageKind) -> Iterator[tuple[socket.socket, socket.socket]]:
        ends = (self._federation, self._collective)
        source, sink = ends if kind.request else ends[::-1]
        subject = b"mcollective.node.>" if kind.request else b"mcollective.reply.>"
        sink.setblocking(True)  # noqa: FBT003 - the socket's own interface
        _answered(sink, b"SUB %b 1\r\n" % subject)
        try:
            yield source, sink
        finally:
            sink.setblocking(True)  # noqa: FBT003 - the same
            source.setblocking(True)  # noqa: FBT003 - the same
            _answered(sink, b"UNSUB 1\r\n")

    def wait_ready(self) -> None:
        """Wait until the federation broker passes messages on in both directions.

        Raises:
            MeasurementError: it does not.
        """
        until = time.monotonic() + _DEADLINE
        for request in (True, False):
            kind = MessageKind("", request, 1, 10, 1)
            with self._listening(kind) as (source, sink):
                sink.settimeout(0.2)
                while time.monotonic() < until:
                    source.sendall(_command(kind))
                    with contextlib.suppress(TimeoutError):
                        if b"MSG " in sink.recv(_READ):
                            break
                else:
                    raise MeasurementError("the federation broker passes nothing on")
                with contextlib.suppress(TimeoutError):  # what was sent meanwhile
                    while sink.recv(_READ):
                        pass


def _pumped(source: socket.socket, sink: socket.socket, command: bytes, kind: MessageKind, messages: int) -> Sent:
    source.setblocking(False)  # noqa: FBT003 - the socket's own interface
    sink.setblocking(False)  # noqa: FBT003 - the same
    sent = arrived = lost = 0
    waiting, tail = b"", b"\n"
    began, silent = time.perf_counter(), 0.0
    while arrived + lost < messages * kind.targets:
        room = min(kind.in_flight - (sent - (arrived + lost) // kind.targets), messages - sent, _BURST)
        if room > 0 and len(waiting) < _READ:
            waiting += command * room
            sent += room
        readable, writable, _ = select.select([sink], [source] if waiting else [], [], _SILENCE)
        if not readable and not writable:
            silent += _SILENCE
            lost = sent * kind.targets - arrived
        if writable:
            waiting = waiting[source.send(waiting[:_WRITE]) :]
        if readable:
            read = tail + sink.recv(_READ)
            arrived += read.count(_MARK)
            tail = read[-len(_MARK) + 1 :]
    return Sent(time.perf_counter() - began - silent, arrived, lost)


def _round_trip(way: socket.socket, sink: socket.socket, command: bytes) -> float:
    sink.settimeout(_DEADLINE)
    begun = time.perf_counter()
    way.sendall(command)
    try:
        read = sink.recv(_READ)
        while not (read.startswith(b"MSG ") and read.count(b"\r\n") > 1 and read.endswith(b"\r\n")):
            read += sink.recv(_READ)
    except TimeoutError:
        raise MeasurementError("a message got lost") from None
    return time.perf_counter() - begun


def _target(number: int) -> str:
    return f"mcollective.node.web{number}.example.net"


def _message(kind: MessageKind) -> bytes:
    hop = ["nats://choria1.example.net:4222", "client.example.net", "nats://choria1.example.net:4222"]
    federation: dict[str, object] = {"req": "a" * 32}
    headers: dict[str, object] = {"mc_sender": "client.example.net", "federation": federation}
    if kind.request:
        headers |= {"seen-by": [hop], "reply-to": "mcollective.reply.e33bf0376d4accbb4a8fd24b2f840b2e.1"}
        federation["target"] = [_target(number) for number in range(kind.targets)]
    else:
        passed = [hop[0], f"broker1.example.net ({', '.join(f'choria_nats_ingest:{n}' for n in range(3))})", hop[0]]
        headers["seen-by"] = [hop, passed, hop]
        federation["reply-to"] = "mcollective.reply.e33bf0376d4accbb4a8fd24b2f840b2e.1"
    data = base64.b64encode(os.urandom(kind.payload)).decode()
    return json.dumps({"protocol": "choria:transport:1", "data": data, "headers": headers}).encode()


def _command(kind: MessageKind) -> bytes:
    side = "federation" if kind.request else "collective"
    return _published(f"choria.federation.{CLUSTER}.{side}", _message(kind))


def _published(subject: str, message: bytes) -> bytes:
    return b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(message), message)


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=_DEADLINE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.recv(_READ)
    _answered(sock, b'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1","protocol":1}\r\n')
    return sock


def _answered(sock: socket.socket, commands: bytes) -> None:
    sock.sendall(commands + b"PING\r\n")
    read = b""
    while b"PONG\r\n" not in read:
        read = read[-len(b"PONG\r\n") :] + sock.recv(_READ)
