"""What the control socket answers about what is in streams, and how one of them is purged."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from choria_broker.audit.acts import ActBook
from choria_broker.client_end import let_go
from choria_broker.control.protocol import ContentsRequest, PurgeRequest
from choria_broker.control.server import Act, ActError, Who
from choria_broker.streams.api import ApiError, StreamsApi, StreamState, UnansweredError
from choria_broker.streams.contents import LARGEST, Contents, Purged, shares

if TYPE_CHECKING:
    from nats.aio.client import Client

_DEADLINE = 5.0
_MOST_STREAMS = 100
_OFF = "Choria Streams are off on this broker; plugin.choria.network.stream.store turns them on"
_NANOSECONDS = 1_000_000_000


class Connect(Protocol):
    """Connects to an account of the own broker."""

    def __call__(self, account: str, **options: Any) -> Awaitable[Client]:
        """Connect to an account, by its name."""
        ...


class Held(msgspec.Struct, frozen=True):
    """Where streams are.

    Attributes:
        connect: connects to an account.
        accounts: tells which accounts have streams, the usual one first.
        book: takes down what operators do.
    """

    connect: Connect
    accounts: Callable[[], tuple[str, ...]]
    book: ActBook


def stream_acts(held: Held) -> Mapping[type, Act]:
    """Tell who answers which request."""

    async def contents(request: ContentsRequest, _who: Who) -> tuple[Contents, ...]:
        accounts = held.accounts()
        if not accounts:
            raise ActError(_OFF)
        found: list[Contents] = []
        for account in accounts if not request.account else (_known(request.account, accounts),):
            async with _api(held, account) as api:
                names = (request.stream,) if request.stream else (await api.names())[:_MOST_STREAMS]
                for name in names:
                    state = await api.state(name)
                    if state is not None:
                        found.append(await _contents(api, account, state, request.most))
        if request.stream and not found:
            raise ActError(f"there is no stream {request.stream}")
        return tuple(found)

    async def purge(request: PurgeRequest, who: Who) -> Purged:
        accounts = held.accounts()
        if not accounts:
            raise ActError(_OFF)
        account = _known(request.account, accounts) if request.account else accounts[0]
        async with _api(held, account) as api:
            purged = await _preview(api, account, request)
            if request.dry_run:
                return purged
            facts = {"account": account, "stream": request.stream, "subject": request.subject, "keep": request.keep}
            facts = {name: value for name, value in facts.items() if value not in ("", 0)}
            try:
                count = await api.purge(
                    request.stream, request.subject, keep=request.keep, below=request.up_to + 1 if request.up_to else 0
                )
            except (ApiError, UnansweredError) as error:
                held.book.record("streams purge", await who(), f"failed: {error}", **facts)
                raise
            held.book.record("streams purge", await who(), f"{count} messages deleted", **facts)
            after = await api.state(request.stream)
        left = after.messages if after else 0
        return msgspec.structs.replace(purged, dry_run=False, messages=count, left=left)

    return {ContentsRequest: contents, PurgeRequest: purge}


def _known(account: str, accounts: tuple[str, ...]) -> str:
    if account not in accounts:
        raise ActError(f"account {account} has no streams; these have: {', '.join(accounts)}")
    return account


@contextlib.asynccontextmanager
async def _api(held: Held, account: str) -> AsyncIterator[StreamsApi]:
    """Connect to an account; what the engine refuses there is the answer to who asks."""
    client = await held.connect(account, allow_reconnect=False, error_cb=_ignore)
    try:
        yield StreamsApi(client, _DEADLINE)
    except (ApiError, UnansweredError) as error:
        raise ActError(f"the engine refused: {error}") from error
    finally:
        await let_go(client)


async def _ignore(_error: Exception) -> None:
    """Take an error of the connection: whoever waits for an answer hears of it."""


async def _contents(api: StreamsApi, account: str, state: StreamState, most: int) -> Contents:
    subjects = await api.subjects(state.name, ">") if 0 < state.subjects <= LARGEST else {}
    filling, others = shares(subjects, state.messages, most)
    limits = state.configuration
    return Contents(
        account=account,
        stream=state.name,
        messages=state.messages,
        bytes=state.bytes,
        first=_moment(state.first) if state.messages else None,
        last=_moment(state.last) if state.messages else None,
        last_sequence=state.last_sequence,
        max_age=_limit(limits.get("max_age")) / _NANOSECONDS,
        max_bytes=_limit(limits.get("max_bytes")),
        subjects=state.subjects,
        filling=filling,
        others=others,
    )


async def _preview(api: StreamsApi, account: str, request: PurgeRequest) -> Purged:
    """Tell what a purge would take away."""
    state = await api.state(request.stream)
    if state is None:
        raise ActError(f"account {account} has no stream {request.stream}")
    matched = state.messages
    subjects: Mapping[str, int] = {}
    first = _moment(state.first) if state.messages else None
    if request.subject:
        if state.subjects > LARGEST:
            raise ActError(
                f"the stream has {state.subjects} subjects, too many to show what a purge of some would delete"
            )
        subjects = await api.subjects(request.stream, request.subject)
        matched = sum(subjects.values())
        first = _moment(await api.first_of(request.stream, request.subject)) if matched else None
    elif 0 < state.subjects <= LARGEST:
        subjects = await api.subjects(request.stream, ">")
    goes = max(matched - request.keep, 0)
    filling, others = shares(subjects, matched, request.most)
    return Purged(
        dry_run=True,
        account=account,
        stream=request.stream,
        subject=request.subject,
        keep=request.keep,
        messages=goes,
        bytes=round(state.bytes * goes / state.messages) if state.messages else 0,
        left=state.messages - goes,
        oldest=first if goes else None,
        filling=filling,
        others=others,
        up_to=state.last_sequence,
    )


def _limit(value: object) -> int:
    return max(value, 0) if isinstance(value, int) else 0


def _moment(text: str) -> float | None:
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
