"""Keeps the standard streams of each account as the settings say: makes what is missing, updates what differs.

How it works. A keeper works once, for one plan. Another plan is another keeper: the service cancels the one and starts
the other, which is safe at any moment, since every attempt begins with a look at what there is. Accounts are worked on
side by side, the streams of an account one after the other over one connection. ``report.State`` has the states:

    pending    nothing was tried
    ok         made, updated, or found as it is to be
    retrying   no connection, no answer in time, or a refusal that passes (``ApiError.passing``): tried again
    failed     a refusal that does not pass, or a fault of this program: left alone until the next plan
    not-managed  never touched

The keeper moves a stream from pending and from retrying, never from the others: it does not look at an ``ok`` again.
The ledger moves any of them to failed when the engine says that the stream takes no more messages.

Nobody is elected. All members of a cluster keep the same streams, so each waits a while by chance before it begins, and
takes "name in use" as the answer that another has made the stream: then it compares and updates as if it had found it.

A late or lost answer means nothing: the request may have been done. The stream is ``retrying``, and the next attempt
looks first. A lost connection ends the round over it; what is left goes over a new one. The client never reconnects by
itself, which would hide that answers are lost. Pauses grow with the attempts of an account, whatever they were about.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from choria_broker.backoff import pause
from choria_broker.client_end import client_errors, let_go
from choria_broker.errors import NotReadyError
from choria_broker.log.structured import component
from choria_broker.settings import durations
from choria_broker.settings.streams import StandardStream
from choria_broker.streams.api import NAME_IN_USE, NO_PEERS, ApiError, Stream, StreamsApi, UnansweredError
from choria_broker.streams.comparison import changes, update
from choria_broker.streams.ledger import Ledger
from choria_broker.streams.replicas import first_wait
from choria_broker.streams.report import Report, State
from choria_broker.streams.standard import Plan, document

if TYPE_CHECKING:
    from nats.aio.client import Client

Connect = Callable[..., Awaitable["Client"]]
"""Connects to an account, by its name and with options of the NATS client."""


class Timers(msgspec.Struct, frozen=True):
    """Deadlines and chance; tests inject others.

    Attributes:
        answer: seconds the engine has for each answer.
        connect: seconds for a connection.
        first: seconds before the first attempt, from the settings of how many copies there are, and the peers.
        pause: seconds after so many failed attempts.
    """

    answer: float = 5.0
    connect: float = 5.0
    first: Callable[[tuple[int, ...], int], float] = lambda wanted, peers: first_wait(wanted, peers, random.random)
    pause: Callable[[int], float] = lambda attempt: pause(attempt, random.random)


class Keeper:
    """Makes and updates the standard streams of some accounts, once.

    Args:
        plan: what they are to be.
        accounts: names of the accounts.
        connect: connects to one of them.
        ledger: where results are entered.
        timers: deadlines and chance.
    """

    def __init__(
        self, plan: Plan, accounts: tuple[str, ...], connect: Connect, ledger: Ledger, timers: Timers | None = None
    ) -> None:
        """Keep the arguments, and enter the streams in the ledger."""
        self._plan = plan
        self._accounts = accounts
        self._connect = connect
        self._ledger = ledger
        self._timers = timers or Timers()
        self._log = component("streams")
        for account in accounts:
            ledger.open(account, plan)

    async def run(self) -> None:
        """Work until every stream of every account is as it is to be, or has failed for good."""
        if not self._plan.managed or not self._accounts:
            return
        wait = self._timers.first(self._plan.wanted, self._plan.peers)
        if wait > 0:
            self._log.info(f"Configuring system streams after {durations.in_go(wait)}")
            await asyncio.sleep(wait)
        async with asyncio.TaskGroup() as tasks:
            for account in self._accounts:
                works = _Account(account, self._plan.cluster, self._ledger, self._timers)
                tasks.create_task(works.keep(self._plan.managed, self._connect))


class _Account:
    """The streams of one account."""

    def __init__(self, name: str, cluster: str, ledger: Ledger, timers: Timers) -> None:
        self._name = name
        self._cluster = cluster
        self._ledger = ledger
        self._timers = timers
        self._log = component("streams").bind(account=name)
        self._attempts = 0
        self._failed: list[str] = []

    async def keep(self, streams: tuple[StandardStream, ...], connect: Connect) -> None:
        left = streams
        while left:
            async with self._connected(connect, left) as client:
                api = StreamsApi(client, self._timers.answer)
                while left and client.is_connected:
                    left = await self._attempt(api, left)
                    if left:
                        await self._pause()
        if self._failed:
            self._log.error(f"could not setup system streams: {'; '.join(self._failed)}", remedy=_REMEDY)

    @contextlib.asynccontextmanager
    async def _connected(self, connect: Connect, left: tuple[StandardStream, ...]) -> AsyncIterator[Client]:
        client = None
        while client is None:
            try:
                async with asyncio.timeout(self._timers.connect):
                    client = await connect(self._name, allow_reconnect=False, error_cb=self._hear_client)
            except Exception as error:  # noqa: BLE001 - whatever it is, the broker serves without the streams
                known = isinstance(error, client_errors(OSError, NotReadyError))
                reason = f"could not connect: {(known and str(error)) or type(error).__name__}"
                self._log.error(f"could not setup system streams: {reason}", again=True)
                for stream in left:
                    self._enter(stream, State.RETRYING, reason=reason)
                await self._pause()
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):  # What its end fails with is of no interest.
                await let_go(client)

    async def _hear_client(self, error: Exception) -> None:
        self._log.debug("The connection used to configure the standard streams failed", why=str(error))

    async def _pause(self) -> None:
        self._attempts += 1
        await asyncio.sleep(self._timers.pause(self._attempts))

    async def _attempt(self, api: StreamsApi, streams: tuple[StandardStream, ...]) -> tuple[StandardStream, ...]:
        """Try each stream; return those to try again later."""
        return tuple([stream for stream in streams if not await self._settled(api, stream)])

    async def _settled(self, api: StreamsApi, stream: StandardStream) -> bool:
        """Try one stream; False when it is to be tried again later."""
        try:
            outcome = await self._reconcile(api, stream)
        except UnansweredError as error:
            return self._enter_failure(stream, str(error), passing=True)
        except ApiError as error:
            return self._enter_failure(stream, str(error), passing=error.passing)
        except Exception as error:  # noqa: BLE001 - a fault with one stream must not stop the others
            self._log.exception(f"could not create stream {stream.name}")
            return self._enter_failure(stream, f"a bug in the broker: {type(error).__name__}", passing=False)
        self._enter(stream, State.OK, outcome)
        return True

    def _enter_failure(self, stream: StandardStream, reason: str, *, passing: bool) -> bool:
        text = f"could not create stream {stream.name}: {reason}"
        self._log.error(text, stream=stream.name, again=passing)
        if not passing:
            self._failed.append(text)
        self._enter(stream, State.RETRYING if passing else State.FAILED, reason=reason)
        return not passing

    def _enter(self, stream: StandardStream, state: State, outcome: str = "", reason: str = "") -> None:
        self._ledger.enter(Report(self._name, stream.name, state, outcome, reason, stream.replicas))

    async def _reconcile(self, api: StreamsApi, stream: StandardStream) -> str:
        """Make or update one stream, and return what was done."""
        desired = document(stream)
        existing = await api.look_up(stream.name)
        if existing is None:
            try:
                made = await api.create(desired)
            except ApiError as error:
                existing = await api.look_up(stream.name) if error.code == NAME_IN_USE else None
                if existing is None:
                    raise
            else:
                await self._finish(api, stream, made)
                return "created"
        differences = changes(desired, existing.configuration)
        if not differences:
            self._log.debug(f"Stream {stream.name} already matches its configuration")
            return "unchanged"
        try:
            await api.update(update(desired, existing.configuration))
        except ApiError as error:
            if error.code == NO_PEERS:
                await self._place_anew(api, stream, existing)
            raise
        self._log.info(f"Configured stream {_described(stream)}", changes="; ".join(map(str, differences)))
        return "updated"

    async def _place_anew(self, api: StreamsApi, stream: StandardStream, existing: Stream) -> None:
        """Have a stream follow its cluster to a new name: copies are only added where the stream is placed.

        The number of copies cannot be changed with that; it is when the stream is tried again.
        """
        here = {"cluster": self._cluster}
        if not self._cluster or existing.cluster != self._cluster or existing.configuration.get("placement") == here:
            return
        await api.update({**existing.configuration, "placement": here})
        self._log.info(f"Placed stream {stream.name} again, in case its cluster had another name when it was created")

    async def _finish(self, api: StreamsApi, stream: StandardStream, made: Stream) -> None:
        self._log.info(f"Created stream {_described(stream)}")
        if made.older_than_itself:
            self._log.warning(
                f"Stream {stream.name} was created over {made.messages} messages found in its directory, whose "
                "description was unusable; create its consumers again"
            )
            # Making a stream leaves a damaged description as it is, and the next start would meet it again.
            await api.update(document(stream))


_REMEDY = "fix the cause and restart the broker; the other streams are not affected"


def _described(stream: StandardStream) -> str:
    return f"{stream.name} with {stream.replicas} replicas and {durations.in_go(stream.retention)} retention"
