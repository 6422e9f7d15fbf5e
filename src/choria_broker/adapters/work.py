"""An adapter at work: messages come in, wait in a bounded queue, and go out as documents."""

from __future__ import annotations

import asyncio
import collections
import secrets
import time
from collections.abc import Callable

import msgspec

from choria_broker.adapters.document import Target, document
from choria_broker.adapters.flight import End, Flight, Parcel
from choria_broker.adapters.unwrap import UnwrapError, Unwrapped, unwrap
from choria_broker.background import happened
from choria_broker.companions import metrics
from choria_broker.companions.complaints import Complaints
from choria_broker.companions.links import Link, LinkDownError, Links, TooLargeError
from choria_broker.companions.spec import Share, Spec
from choria_broker.companions.tally import Count, Tally, Timed
from choria_broker.companions.wire import Message
from choria_broker.log.structured import component
from choria_broker.settings.companions import Adapter

_BATCH = 128
"""Documents that are published before others have their turn."""

_MOST_BYTES = 64 * 1024 * 1024
"""Bytes of the messages that may wait, and at least so many for each of them:"""

_BYTES_EACH = 4096


class _Worker(msgspec.Struct, frozen=True):
    """What one worker counts."""

    received: Count
    published: Count
    errors: Count
    bytes: Count
    time: Timed

    @classmethod
    def of(cls, tally: Tally, name: str, role: str) -> _Worker:
        labels = (name, role)
        return cls(
            received=tally.count(metrics.RECEIVED, labels),
            published=tally.count(metrics.PUBLISHED, labels),
            errors=tally.count(metrics.ERRORS, labels),
            bytes=tally.count(metrics.BYTES, labels),
            time=tally.timed(metrics.TIME, labels),
        )


class AdapterWork:
    """One adapter in one process."""

    def __init__(self, spec: Spec, share: Share, tally: Tally) -> None:
        """Nothing is connected yet; all its numbers are at 0."""
        self._settings = settings = spec.settings(Adapter)
        self._target = Target(settings.target)
        self._queue: collections.deque[tuple[Unwrapped, int]] = collections.deque()
        self._bytes = 0
        self._most = share.part(settings.queue)
        self._most_bytes = max(_MOST_BYTES, self._most * _BYTES_EACH)
        self._inputs = {
            number: _Worker.of(tally, f"{settings.name}.{number}", "input")
            for number in share.workers(settings.ingest_workers)
        }
        self._outputs = [
            _Worker.of(tally, f"{settings.name}.{number}", "output")
            for number in share.workers(settings.output_workers)
        ]
        self._length = tally.count(metrics.QUEUE_LENGTH, (settings.name,))
        tally.count(metrics.QUEUE_CAPACITY, (settings.name,)).value = self._most
        self._flight = Flight()
        self._news = asyncio.Event()
        self._log = component("adapter").bind(adapter=settings.name)
        self._complaints = Complaints(self._log)
        self._answers = f"{settings.output.inbox}.{secrets.token_hex(11)}"
        self._turn = 0
        self._lost = 0
        self._unheard = False
        self._in: Link | None = None
        self._out: Link | None = None

    async def open(self, links: Links) -> None:
        """Make one connection for the output, then one for the input, on which each worker has its subscription."""
        name = self._settings.name
        self._out = links.link("output", f"{name}_0-{secrets.token_hex(16)}")
        self._out.subscribe(f"{self._answers}.*", "", self._answered)
        self._out.on_denied = self._denied
        self._in = links.link("ingest", f"choria adapter {name}.0")
        for worker in self._inputs.values():
            self._in.subscribe(self._settings.topic, f"nats_ingest_{name}", self._hearing(worker))

    def close_ingest(self) -> None:
        """Take nothing more in."""
        if self._in is not None:
            self._in.close_ingest()

    def pending(self) -> int:
        """Return how many messages wait, or are on their way."""
        return len(self._queue) + len(self._flight)

    async def run(self) -> None:
        """Publish what waits, until cancelled."""
        out = self._out
        if out is None:
            raise RuntimeError("an adapter is opened before it runs")
        while True:
            self._news.clear()
            self._look(out)
            if self._has_work():
                await out.room()
                self._look(out)
                self._publish(out)
                await asyncio.sleep(0)
                continue
            await happened(self._news, self._flight.next_look(time.monotonic()))

    def _has_work(self) -> bool:
        return self._flight.is_due(time.monotonic()) or (bool(self._queue) and not self._flight.full)

    def _look(self, out: Link) -> None:
        """See what has come of documents without an answer."""
        if out.lost != self._lost:
            self._lost = out.lost
            self._flight.disconnected()
        for parcel, end in self._flight.overdue(time.monotonic()):
            self._ended(parcel, end)

    def _publish(self, out: Link) -> None:
        """Publish some of what waits."""
        began, now = time.perf_counter(), time.monotonic()
        handled: list[_Worker] = []
        for parcel in self._flight.again(now):
            self._send(out, parcel, now)
        for _ in range(min(len(self._queue), _BATCH)):
            if self._flight.full or not out.up:
                break
            number, worker = self._next_worker()
            handled.append(worker)
            found, size = self._queue.popleft()
            self._bytes -= size
            made = self._parcel(found, number, worker)
            if made is not None:
                self._send(out, made, now)
        self._length.value = len(self._queue)
        took = time.perf_counter() - began
        for worker in handled:
            worker.time.add(took / len(handled))

    def _next_worker(self) -> tuple[int, _Worker]:
        self._turn = (self._turn + 1) % len(self._outputs)
        return self._turn, self._outputs[self._turn]

    def _parcel(self, found: Unwrapped, number: int, worker: _Worker) -> Parcel | None:
        """Make the document of a message; None when there is no subject for it."""
        subject = self._target.subject(found.sender)
        if subject is None:
            worker.errors.value += 1
            self._complaints.say(
                "A document is dropped: its sender's name cannot be part of a subject",
                found.sender.encode(errors="replace"),
            )
            return None
        data = document(found)
        worker.bytes.value += len(data)
        return Parcel(subject, data, number)

    def _send(self, out: Link, parcel: Parcel, now: float) -> None:
        number = self._flight.sent(parcel, now) if self._flight.asks(now) else 0
        reply = f"{self._answers}.{number}".encode() if number else b""
        try:
            out.publish(parcel.subject, parcel.data, reply)
        except LinkDownError:
            self._flight.unsent(number, parcel)
        except TooLargeError as error:
            self._flight.forget(number)
            parcel.refused = str(error)
            self._ended(parcel, End.LOST)
        else:
            if not number:
                self._ended(parcel, End.SENT)

    def _answered(self, batch: list[Message]) -> None:
        """Take answers of streams, and of the broker when nobody listens."""
        now = time.monotonic()
        for subject, _, headers, data in batch:
            number = subject.rpartition(b".")[2]
            if number.isdigit() and (done := self._flight.heard(int(number), headers, data, now)):
                self._ended(*done)
        self._news.set()

    def _denied(self, subject: bytes, words: str) -> None:
        """Take the word that a document may not be published where it was."""
        if parcel := self._flight.denied(subject, words):
            self._ended(parcel, End.LOST)
            self._news.set()

    def _ended(self, parcel: Parcel, end: End) -> None:
        """Count what came of a document."""
        worker = self._outputs[parcel.worker]
        if end is End.LOST:
            worker.errors.value += 1
            where = parcel.subject.decode(errors="replace")
            self._complaints.say(
                "A document is lost: it was refused or not acknowledged", why=parcel.refused, subject=where
            )
            return
        if end is End.STORED:
            self._unheard = False
        elif parcel.refused and not self._unheard:
            self._unheard = True
            where = parcel.subject.decode(errors="replace")
            self._log.warning(
                "Nobody subscribes to the subject of an adapter; its documents are published anyway", subject=where
            )
        worker.received.value += 1
        worker.published.value += 1

    def _hearing(self, worker: _Worker) -> Callable[[list[Message]], None]:
        def heard(batch: list[Message]) -> None:
            self._heard(worker, batch)

        return heard

    def _heard(self, worker: _Worker, batch: list[Message]) -> None:
        """Take messages in."""
        began = time.perf_counter()
        request, queue = self._settings.request, self._queue
        for subject, _, _, data in batch:
            worker.bytes.value += len(data)
            try:
                found = unwrap(data, request=request)
            except UnwrapError as error:
                worker.errors.value += 1
                where = subject.decode(errors="replace")
                self._complaints.say("A message is dropped: it cannot be read", data, why=str(error), subject=where)
                continue
            if len(queue) >= self._most or self._bytes + len(data) > self._most_bytes:
                worker.errors.value += 1
                self._complaints.say("A message is dropped: the queue is full", sender=found.sender[:200])
                continue
            queue.append((found, len(data)))
            self._bytes += len(data)
            worker.received.value += 1
        worker.time.add(time.perf_counter() - began, len(batch))
        self._length.value = len(queue)
        self._news.set()
