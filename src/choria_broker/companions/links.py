"""The connections of a companion process: each is kept, with one back-off for all that lead to the same network."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from choria_broker.backoff import FIVE_SECONDS, STEPS, pause
from choria_broker.client_end import let_go
from choria_broker.companions.client import Heard, LeanClient
from choria_broker.companions.dialling import DialError
from choria_broker.companions.reports import SideReport
from choria_broker.companions.wire import published, published_to, subscribed, unsubscribed
from choria_broker.log.restraint import Restraint
from choria_broker.log.structured import component
from choria_broker.patterns import expression

MOST_WAITING = 8 * 1024 * 1024
"""Bytes that may wait to be sent on a connection; what is beyond that is an error of who publishes it."""

_ENOUGH = 1024 * 1024
"""Bytes that may wait before who asks for room has to wait."""

_FLUSH = 2
_SUBSCRIPTION = "for subscription"
_DENIED_PUBLICATION = expression(r'for publish to "([^"]+)"', re.IGNORECASE)
_ASK_AGAIN = 30.0
"""Seconds after which a subscription that was not permitted is tried again."""

_TELL_EVERY = 60.0

_log = component("companion")


class PublishError(Exception):
    """Nothing was sent; the message says why."""


class LinkDownError(PublishError):
    """There is no connection, or too much waits for it."""


class TooLargeError(PublishError):
    """The broker does not take a message of that size, and would end the connection."""


class Dials(Protocol):
    """Connects; as ``dialling.Dial``."""

    async def __call__(self, name: str, closed: Callable[[], Awaitable[None]]) -> tuple[LeanClient, str]:
        """Connect, or raise ``DialError``."""
        ...


class _Subscription(msgspec.Struct):
    subject: str
    queue: str
    heard: Heard


class _Network:
    """What the connections to one network share: attempts are made one after the other, with pauses between."""

    def __init__(self, name: str, dial: Dials) -> None:
        self.name = name
        self.dial = dial
        self.turn = asyncio.Lock()
        self.links: list[Link] = []
        self.problem = ""
        self.failures = 0
        self._was_up = False
        self._told = -_TELL_EVERY
        self._restraint = Restraint(of_kind=2, of_all=10)

    async def connected(self, name: str, closed: Callable[[], Awaitable[None]]) -> tuple[LeanClient, str]:
        """Connect, however long that takes."""
        async with self.turn:
            while True:
                if self.failures:
                    steps = STEPS if self._was_up else FIVE_SECONDS
                    await asyncio.sleep(pause(self.failures, random.random, steps))
                try:
                    found = await self.dial(name, closed)
                except DialError as error:
                    self.failures += 1
                    self._tell(str(error))
                else:
                    if self.failures:
                        _log.info("Connected", side=self.name, broker=found[1], attempts=self.failures + 1)
                    self.failures, self.problem, self._was_up = 0, "", True
                    return found

    def _tell(self, problem: str) -> None:
        now = time.monotonic()
        if problem != self.problem or now - self._told >= _TELL_EVERY:
            self._told = now
            _log.warning("Could not connect, trying again", side=self.name, attempt=self.failures, why=problem)
        self.problem = problem

    @property
    def report(self) -> SideReport:
        up = [each for each in self.links if each.up]
        denied = [each.denied for each in up if each.denied]
        brokers = tuple(dict.fromkeys(each.url for each in up))
        return SideReport(len(self.links), len(up) - len(denied), brokers, next(iter(denied), self.problem))

    def tell_denied(self, connection: str, words: str) -> None:
        """Log what a broker does not permit."""
        if self._restraint.admit(words, time.monotonic()).admitted:
            _log.error("Not permitted by the broker", side=self.name, connection=connection, why=words)


class Link:
    """A connection that comes back by itself, with its subscriptions.

    Attributes:
        name: as the broker sees it.
        url: ``nats://host:port`` of the broker it is connected to, without a login; empty while it is not.
        lost: how often it has ended by itself.
        denied: what the broker said of a subscription that it does not permit; empty when it permits all.
        on_denied: told of a subject to which the broker permits no publication, and its words.
    """

    def __init__(self, name: str, network: _Network) -> None:
        """Nothing is connected yet; use ``Links.link``."""
        self.name = name
        self.url = ""
        self.lost = 0
        self.denied = ""
        self.on_denied: Callable[[bytes, str], None] = _unheard
        self._network = network
        self._client: LeanClient | None = None
        self._subscriptions: dict[int, _Subscription] = {}
        self._out: list[bytes] = []
        self._size = 0
        self._scheduled = False
        self._up = asyncio.Event()

    @property
    def up(self) -> bool:
        """It is connected."""
        return self._client is not None

    async def wait_up(self) -> None:
        """Wait until it is connected."""
        await self._up.wait()

    def subscribe(self, subject: str, queue: str, heard: Heard) -> int:
        """Subscribe to a subject, from now on and after each time it comes back.

        Args:
            subject: with wildcards or without.
            queue: name of the queue group, empty for none.
            heard: takes the messages of one read, in their order; it must not wait, nor raise.

        Returns:
            The number of the subscription.
        """
        number = len(self._subscriptions) + 1
        self._subscriptions[number] = _Subscription(subject, queue, heard)
        if self._client is not None:
            self._send_subscription(self._client, number)
        return number

    def close_ingest(self) -> None:
        """End all subscriptions, for good; what the broker had sent by then still arrives, see ``flushed``."""
        if self._client is not None:
            self._client.send(b"".join(map(unsubscribed, self._subscriptions)))
        self._subscriptions.clear()

    def publish(self, subject: bytes, data: bytes, reply: bytes = b"") -> None:
        """Publish; what is published in one turn of the loop is sent together.

        Args:
            subject: where to; the caller has checked it.
            data: what.
            reply: where answers go.

        Raises:
            LinkDownError: there is no connection, or too much waits to be sent.
            TooLargeError: the broker takes no message of that size.
        """
        self._check_size(data)
        self._send(published(subject, data, reply))

    def publish_to(self, subjects: Sequence[bytes], data: bytes) -> None:
        """Publish the same to many subjects; raises before anything is sent.

        Raises:
            LinkDownError: there is no connection, or too much waits to be sent.
            TooLargeError: the broker takes no message of that size.
        """
        self._check_size(data)
        self._send(published_to(subjects, data))

    async def room(self) -> None:
        """Wait until it is connected and little waits to be sent."""
        while True:
            await self._up.wait()
            client = self._client
            if client is not None:
                if self._size + client.waiting <= _ENOUGH:
                    return
                self._flush()
                with contextlib.suppress(OSError):
                    await client.sent()
            await asyncio.sleep(0)

    async def kept(self) -> None:
        """Connect, and again whenever the connection has ended."""
        ended = asyncio.Event()

        async def closed() -> None:
            ended.set()

        while True:
            ended.clear()
            client, url = await self._network.connected(self.name, closed)
            try:
                client.denied = self._hear_denied
                self._client, self.url = client, url
                self._send_subscriptions()
                self._up.set()
                await ended.wait()
                self.lost += 1
                self._network.failures = max(1, self._network.failures)
                self._network.problem = "the connection ended"
                _log.warning("Disconnected", side=self._network.name, connection=self.name, broker=url)
            finally:
                self._up.clear()
                self._client, self.url, self.denied = None, "", ""
                self._out.clear()
                self._size = 0
                await let_go(client)

    async def flushed(self, seconds: int = _FLUSH) -> None:
        """Wait until the broker has taken everything that was published, so many seconds at most."""
        client = self._client
        if client is None:
            return
        self._flush()
        with contextlib.suppress(Exception):  # It ends; what it cannot take is lost.
            await client.flush(seconds)

    def _hear_denied(self, words: str) -> None:
        self._network.tell_denied(self.name, words)
        if _SUBSCRIPTION in words.lower():
            if not self.denied:
                asyncio.get_running_loop().call_later(_ASK_AGAIN, self._send_subscriptions)
            self.denied = words
        elif subject := _DENIED_PUBLICATION.search(words):
            self.on_denied(subject[1].encode(), words)

    def _send_subscriptions(self) -> None:
        """Ask for all subscriptions; a broker passes over those that it knows."""
        self.denied = ""
        if self._client is not None:
            for number in self._subscriptions:
                self._send_subscription(self._client, number)

    def _send_subscription(self, client: LeanClient, number: int) -> None:
        subscription = self._subscriptions[number]
        client.heard[number] = subscription.heard
        client.send(subscribed(subscription.subject, subscription.queue, number))

    def _check_size(self, data: bytes) -> None:
        client = self._client
        if client is not None and len(data) > client.max_payload:
            raise TooLargeError(f"{len(data)} bytes are more than the {client.max_payload} that the broker accepts")

    def _send(self, commands: bytes) -> None:
        client = self._client
        if client is None:
            raise LinkDownError("not connected")
        if self._size > _ENOUGH:
            self._flush()
        if self._size + client.waiting > MOST_WAITING:
            raise LinkDownError("too much data waits to be sent")
        self._out.append(commands)
        self._size += len(commands)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._client is not None and self._out:
            self._client.send(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()
        self._size = 0


class Links:
    """All connections of a companion process.

    Args:
        dials: connects to the networks, by name of the side.
    """

    def __init__(self, dials: Mapping[str, Dials]) -> None:
        """There are none yet."""
        self._networks = {name: _Network(name, dial) for name, dial in dials.items()}
        self._links: list[Link] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._kept: list[asyncio.Task[None]] = []

    def link(self, side: str, name: str) -> Link:
        """Make one more connection; it comes about by itself, and returns when it has ended.

        Args:
            side: which network.
            name: of the connection, as brokers show it.
        """
        network = self._networks[side]
        link = Link(name, network)
        network.links.append(link)
        self._links.append(link)
        if self._tasks is None:
            raise RuntimeError("links are made while they are kept")
        self._kept.append(self._tasks.create_task(link.kept(), name=f"link {name}"))
        return link

    @property
    def reports(self) -> dict[str, SideReport]:
        """How they are, by side."""
        return {name: network.report for name, network in self._networks.items()}

    async def flushed(self, seconds: int = _FLUSH) -> None:
        """Wait until all brokers have taken everything, and all that they had sent before has arrived."""
        await asyncio.gather(*(link.flushed(seconds) for link in self._links))

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep all connections as long as the context lasts; then what was published is sent, and they are closed."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                yield
                await self.flushed()
            finally:
                for task in self._kept:
                    task.cancel()


def _unheard(_subject: bytes, _words: str) -> None:
    """Take what nobody wants to know."""
