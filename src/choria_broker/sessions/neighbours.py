"""Asks the other members of the cluster about somebody, over the system account, and answers them.

Brokers of this kind answer a subject of their own, with everything that they know. Others, and those of an older
version, tell by nats-server's own page of connections who is connected to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec

from choria_broker.access.selection import mentions
from choria_broker.access.session import Session
from choria_broker.background import beside
from choria_broker.client_end import client_errors, let_go
from choria_broker.errors import BrokerError, NotReadyError
from choria_broker.log.structured import component
from choria_broker.sessions.documents import Found, Sightings
from choria_broker.sessions.lookup import MOST, within
from choria_broker.sessions.members import (
    Member,
    answers_of,
    connections_of,
    has_others,
    member_of,
    missing,
    system_account,
)
from choria_broker.settings.broker import Settings
from choria_broker.status.settings_now import MemberReport, Members

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

SUBJECT = "choria_broker.find"
"""Asks brokers of this kind, in the system account."""

ABOUT = "choria_broker.about"
"""Asks the same what they are: versions, and the settings that members should have alike."""

_NO_OTHERS = "it has no peers and no gateways"
_NO_ACCOUNT = "no system user is set, so the other members of the cluster cannot be asked"
_NOT_CONNECTED = "this broker is not connected to its system account at the moment"

_PING = "$SYS.REQ.SERVER.PING"
_PAGE = "$SYS.REQ.SERVER.{}.CONNZ"
_PAGE_SIZE = 256
_MOST_PAGES = 40
_MOST_ANSWERS = 1000
_MOST_BYTES = 200_000
_LOOK_AGAIN = 5.0
"""Times the patience between two questions about what others are."""

_UNREACHABLE = (BrokerError, OSError, TimeoutError)


class Connect(Protocol):
    """Connects to an account of the own broker."""

    def __call__(self, account: str, **options: Any) -> Awaitable[Client]:
        """Connect to an account, by its name."""
        ...


class Neighbours:
    """The other brokers, as far as they share the system account.

    Args:
        here: looks for somebody in this broker.
        connect: connects to an account.
        settings: tells what is in force.
        about: tells what this broker is.
        patience: seconds that others have for an answer.
        pause: seconds to wait after a failed attempt to connect.
    """

    def __init__(
        self,
        here: Callable[[str], Awaitable[Sightings]],
        connect: Connect,
        settings: Callable[[], Settings],
        about: Callable[[], MemberReport],
        *,
        patience: float = 3.0,
        pause: float = 5.0,
    ) -> None:
        """Nobody is asked yet."""
        self._here = here
        self._connect = connect
        self._settings = settings
        self._patience = patience
        self._pause = pause
        self._about = about
        self._changed = asyncio.Event()
        self._wondering = asyncio.Event()
        self._members = Members()
        self._client: Client | None = None
        self._log = component("network")

    def _account(self) -> str:
        return system_account(self._settings())

    def apply(self) -> None:
        """Hear that the system account may be another one."""
        self._changed.set()

    @contextlib.asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Answer others, and ask them, as long as the context lasts."""
        async with beside(self._serve(), "answers to other members"), beside(self._wonder(), "other members"):
            yield

    def members(self) -> Members:
        """Tell what the others told last of themselves; whoever looks has them asked again soon."""
        self._wondering.set()
        limit = self._limit()
        return Members(limit=limit) if limit else self._members

    def _limit(self) -> str:
        """Tell why others cannot be asked, empty when they can."""
        if not has_others(self._settings()):
            return _NO_OTHERS
        if not self._account():
            return _NO_ACCOUNT
        return "" if self._client and self._client.is_connected else _NOT_CONNECTED

    async def _wonder(self) -> None:
        """Ask the others what they are whenever somebody looks, and never more often than every few seconds."""
        while True:
            await self._wondering.wait()
            if self._client and not self._limit():
                with contextlib.suppress(*client_errors(*_UNREACHABLE)):
                    self._members = await self._ask_about(self._client)
            self._wondering.clear()
            await asyncio.sleep(_LOOK_AGAIN * self._patience)

    async def _ask_about(self, client: Client) -> Members:
        async with _Inbox(client) as answers:
            await client.publish(ABOUT, reply=answers.subject)
            await asyncio.sleep(self._patience / 3)
            found = {}
            for each in answers.messages:
                with contextlib.suppress(msgspec.DecodeError):
                    told = msgspec.json.decode(each, type=MemberReport)
                    found[told.broker] = told
        found.pop(self._settings().identity, None)
        return Members(tuple(found[name] for name in sorted(found)), time.time())

    async def find(self, text: str) -> Found:
        """Tell where somebody is, or was: here, and elsewhere as far as others can be asked.

        Raises:
            NotReadyError: the engine does not answer.
        """
        mine = await self._here(text)
        client = self._client
        limit = self._limit()
        if limit or client is None:
            return Found(text, whole=limit == _NO_OTHERS, limit=limit, brokers=(mine,))
        try:
            others, silent, gone = await self._ask_others(client, text, mine.broker)
        except client_errors(*_UNREACHABLE) as error:
            limit = f"the other members could not be asked: {str(error) or type(error).__name__}"
            return Found(text, whole=False, limit=limit, brokers=(mine,))
        whole = not silent and not gone
        return Found(text, whole=whole, limit="", brokers=(mine, *others), silent=silent, missing=gone)

    async def _ask_others(
        self, client: Client, text: str, own: str
    ) -> tuple[tuple[Sightings, ...], tuple[str, ...], int]:
        """Ask all others: what those who answered tell, who did not, and how many are not there."""
        async with _Inbox(client) as pongs, _Inbox(client) as answers:
            await client.publish(_PING, reply=pongs.subject)
            await client.publish(SUBJECT, text.encode(), reply=answers.subject)
            # Nobody knows how many there are, so a part of their time is waited for in any case.
            await asyncio.sleep(self._patience / 3)
            members = [each for each in map(member_of, pongs.messages) if each is not None and each.name != own]
            names = {each.name for each in members}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience * 2 / 3):
                    while names - {each.broker for each in answers_of(answers.messages, own)}:
                        await answers.more()
            told = answers_of(answers.messages, own)
        known, silent = {each.broker for each in told}, []
        for member in members:
            if member.name in known:
                continue
            try:
                told.append(await self._page_of(client, member, text))
            except client_errors(*_UNREACHABLE, msgspec.DecodeError):
                silent.append(member.name)
        gone = missing(self._settings(), members)
        return tuple(sorted(told, key=lambda each: each.broker)), tuple(sorted(silent)), gone

    async def _page_of(self, client: Client, member: Member, text: str) -> Sightings:
        """Ask a broker for its page of connections, until it has told of all."""
        found: list[Session] = []
        offset, total = 0, 1
        while offset < total and offset < _PAGE_SIZE * _MOST_PAGES:
            query = msgspec.json.encode({"auth": True, "limit": _PAGE_SIZE, "offset": offset})
            message = await client.request(_PAGE.format(member.id), query, timeout=self._patience)
            page, total = connections_of(message.data)
            found += [each for each in page if mentions(each, text)]
            offset += _PAGE_SIZE
        left_out = max(len(found) - MOST, 0)
        return Sightings(member.name, member.since, tuple(found[:MOST]), left_out=left_out, partly=True)

    async def _serve(self) -> None:
        while True:
            self._changed.clear()
            account = self._account()
            if not account or not has_others(self._settings()):
                await self._changed.wait()
                continue
            try:
                await self._serve_in(account)
            except client_errors(*_UNREACHABLE) as error:
                self._log.debug("Cannot answer other members", account=account, why=str(error))
            await asyncio.sleep(self._pause * (0.5 + random.random()))  # noqa: S311 - spreads load only

    async def _serve_in(self, account: str) -> None:
        """Answer in an account until it is another one, or the connection ends."""
        ended = self._changed

        async def closed() -> None:
            ended.set()

        client = await self._connect(
            account, allow_reconnect=False, closed_cb=closed, disconnected_cb=closed, error_cb=_ignore
        )
        try:
            await client.subscribe(SUBJECT, cb=self._answer)
            await client.subscribe(ABOUT, cb=self._tell_about)
            self._client = client
            while client.is_connected and self._account() == account:
                await ended.wait()
                ended.clear()
        finally:
            self._client = None
            await let_go(client)

    async def _answer(self, message: Msg) -> None:
        text = message.data.decode(errors="replace")[:256]
        if not text or not message.reply:
            return
        with contextlib.suppress(*client_errors(NotReadyError)):
            await message.respond(within(await self._here(text), _MOST_BYTES))

    async def _tell_about(self, message: Msg) -> None:
        if message.reply:
            with contextlib.suppress(*client_errors()):
                await message.respond(msgspec.json.encode(self._about()))


async def _ignore(_error: Exception) -> None:
    """Take an error of the connection; its end is what counts."""


class _Inbox:
    """Answers to one request, of as many as answer.

    Attributes:
        subject: where they come.
        messages: those that came.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.subject = client.new_inbox()
        self.messages: list[bytes] = []
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._subscription = await self._client.subscribe(self.subject, cb=self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(*client_errors()):
            await self._subscription.unsubscribe()

    async def _take(self, message: Msg) -> None:
        if len(self.messages) < _MOST_ANSWERS:
            self.messages.append(message.data)
        self._came.set()

    async def more(self) -> None:
        """Wait for another one."""
        self._came.clear()
        await self._came.wait()
