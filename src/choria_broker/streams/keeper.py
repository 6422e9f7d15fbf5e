"""Keeps the standard streams of each account as the settings say: makes what is missing, updates what differs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import nats.errors
from nats.aio.client import Client

from choria_broker.announcements import go_duration
from choria_broker.errors import NotReadyError
from choria_broker.log import component
from choria_broker.streams.api import NAME_IN_USE, ApiError, Stream, StreamsApi, UnansweredError
from choria_broker.streams.backoff import pause
from choria_broker.streams.comparison import changes, update
from choria_broker.streams.ledger import Ledger
from choria_broker.streams.replicas import first_wait
from choria_broker.streams.report import Report, State
from choria_broker.streams.standard import Plan, StreamConfiguration

Connect = Callable[..., Awaitable[Client]]
"""Connects to an account, by its name and with options of the NATS client."""


@dataclasses.dataclass(frozen=True, slots=True)
class Timers:
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
            self._log.info(f"Configuring system streams after {go_duration(wait)}")
            await asyncio.sleep(wait)
        async with asyncio.TaskGroup() as tasks:
            for account in self._accounts:
                tasks.create_task(_Account(account, self._ledger, self._timers).keep(self._plan.managed, self._connect))


class _Account:
    """The streams of one account."""

    def __init__(self, name: str, ledger: Ledger, timers: Timers) -> None:
        self._name = name
        self._ledger = ledger
        self._timers = timers
        self._log = component("streams").bind(account=name)
        self._attempts = 0
        self._failed: list[str] = []

    async def keep(self, streams: tuple[StreamConfiguration, ...], connect: Connect) -> None:
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
    async def _connected(self, connect: Connect, left: tuple[StreamConfiguration, ...]) -> AsyncIterator[Client]:
        client = None
        while client is None:
            try:
                async with asyncio.timeout(self._timers.connect):
                    client = await connect(self._name, allow_reconnect=False, error_cb=self._hear_client)
            except Exception as error:  # noqa: BLE001 - whatever it is, the broker serves without the streams
                known = isinstance(error, OSError | nats.errors.Error | NotReadyError)
                reason = f"could not connect: {(known and str(error)) or type(error).__name__}"
                self._log.error(f"could not setup system streams: {reason}", again=True)
                for stream in left:
                    self._enter(stream, State.RETRYING, reason=reason)
                await self._pause()
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):  # What its end fails with is of no interest.
                await client.close()

    async def _hear_client(self, error: Exception) -> None:
        self._log.debug("The connection that configures system streams failed", why=str(error))

    async def _pause(self) -> None:
        self._attempts += 1
        await asyncio.sleep(self._timers.pause(self._attempts))

    async def _attempt(
        self, api: StreamsApi, streams: tuple[StreamConfiguration, ...]
    ) -> tuple[StreamConfiguration, ...]:
        """Try each stream; return those to try again later."""
        return tuple([stream for stream in streams if not await self._settled(api, stream)])

    async def _settled(self, api: StreamsApi, stream: StreamConfiguration) -> bool:
        """Try one stream; False when it is to be tried again later."""
        try:
            outcome = await self._reconcile(api, stream)
        except UnansweredError as error:
            return self._enter_failure(stream, str(error), passing=True)
        except ApiError as error:
            return self._enter_failure(stream, str(error), passing=error.passing)
        except Exception as error:  # noqa: BLE001 - a fault with one stream must not stop the others
            self._log.exception(f"could not create stream {stream.name}")
            return self._enter_failure(stream, f"a fault of the broker: {type(error).__name__}", passing=False)
        self._enter(stream, State.OK, outcome)
        return True

    def _enter_failure(self, stream: StreamConfiguration, reason: str, *, passing: bool) -> bool:
        text = f"could not create stream {stream.name}: {reason}"
        self._log.error(text, stream=stream.name, again=passing)
        if not passing:
            self._failed.append(text)
        self._enter(stream, State.RETRYING if passing else State.FAILED, reason=reason)
        return not passing

    def _enter(self, stream: StreamConfiguration, state: State, outcome: str = "", reason: str = "") -> None:
        self._ledger.enter(Report(self._name, stream.name, state, outcome, reason, stream.replicas))

    async def _reconcile(self, api: StreamsApi, stream: StreamConfiguration) -> str:
        """Make or update one stream, and return what was done."""
        desired = stream.document()
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
            self._log.debug(f"Stream {stream.name} is as configured")
            return "unchanged"
        await api.update(update(desired, existing.configuration))
        self._log.info(f"Configured stream {_described(stream)}", changes="; ".join(map(str, differences)))
        return "updated"

    async def _finish(self, api: StreamsApi, stream: StreamConfiguration, made: Stream) -> None:
        self._log.info(f"Created stream {_described(stream)}")
        if made.older_than_itself:
            self._log.warning(
                f"Stream {stream.name} was made over {made.messages} messages that lay in its directory without a "
                "usable description; its consumers have to be made anew"
            )
            # Making a stream leaves a damaged description as it is, and the next start would meet it again.
            await api.update(stream.document())


_REMEDY = "mend the reason and restart the broker; the other streams are in order or tried again"


def _described(stream: StreamConfiguration) -> str:
    return f"{stream.name} with {stream.replicas} replicas and {go_duration(stream.max_age)} retention"
