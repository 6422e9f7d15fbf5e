"""The Streams API of the engine, as far as the standard streams need it: three requests, each with a deadline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from choria_broker.client_end import client_errors, heeding_cancellation, is_without_responders

if TYPE_CHECKING:
    from nats.aio.client import Client

NOT_FOUND = 10059
NAME_IN_USE = 10058
NO_MESSAGE = 10037
NO_PEERS = 10005

_PASSING = frozenset(
    {
        10004,  # incomplete results
        NO_PEERS,  # no suitable peers: the cluster has fewer members at the moment than the stream is to have copies
        10008,  # temporarily unavailable, for example without a meta leader
        10009,  # another member leads
        10023,  # insufficient resources
        10039,  # not enabled for the account, as long as the engine is starting
        10075,  # peers could not be chosen anew
        10076,  # not enabled, as long as the engine is starting
        10118,  # the stream is offline
        10124,  # it is being moved
    }
)


_LONGEST = 300
"""Characters of a description: whoever may listen to the Streams API can answer in the engine's place."""


class ApiError(Exception):
    """The engine refused a request.

    Attributes:
        code: the engine's own number for the reason; not that of HTTP.
        passing: it may go well later, with nothing changed.
    """

    def __init__(self, code: int, description: str) -> None:
        """Take the engine's words, but for what no engine says at such length."""
        super().__init__(f"{description[:_LONGEST]} ({code})")
        self.code = code
        self.passing = code in _PASSING


class UnansweredError(Exception):
    """The engine did not answer, or not in time."""


class _Problem(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _State(msgspec.Struct):
    messages: int = 0
    bytes: int = 0
    first_ts: str = ""
    last_ts: str = ""
    last_seq: int = 0
    num_subjects: int = 0
    subjects: dict[str, int] | None = None


class _Message(msgspec.Struct):
    time: str = ""


class _Cluster(msgspec.Struct):
    name: str = ""


class _Answer(msgspec.Struct):
    error: _Problem | None = None
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    created: str = ""
    state: _State = msgspec.field(default_factory=_State)
    message: _Message = msgspec.field(default_factory=_Message)
    cluster: _Cluster = msgspec.field(default_factory=_Cluster)
    streams: list[str] | None = None
    total: int = 0
    purged: int = 0


class StreamState(msgspec.Struct, frozen=True):
    """What is in a stream.

    Attributes:
        name: of the stream.
        configuration: as the engine tells it.
        messages, bytes: how much it has.
        first, last: when its oldest and its newest message came, as the engine writes it.
        last_sequence: number of the newest message.
        subjects: how many subjects its messages have.
    """

    name: str
    configuration: Mapping[str, object]
    messages: int
    bytes: int
    first: str
    last: str
    last_sequence: int
    subjects: int


class Stream(msgspec.Struct, frozen=True):
    """An existing stream.

    Attributes:
        configuration: as the engine tells it.
        messages: how many it has.
        older_than_itself: its first message is older than the stream, which was made over data that were there.
        cluster: what the cluster that has it is called now, empty when there is none.
    """

    configuration: Mapping[str, object]
    messages: int
    older_than_itself: bool
    cluster: str = ""


class StreamsApi:
    """Makes requests over a connection.

    Args:
        client: connected to the account in question.
        deadline: seconds for each answer.
    """

    def __init__(self, client: Client, deadline: float) -> None:
        """Keep both."""
        self._client = client
        self._deadline = deadline

    async def look_up(self, name: str) -> Stream | None:
        """Return a stream, None when there is none of that name.

        Raises:
            ApiError: the engine refused.
            UnansweredError: no answer came in time.
        """
        try:
            return await self._request(f"STREAM.INFO.{name}", b"")
        except ApiError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    async def last(self, name: str, subject: str) -> dt.datetime | None:
        """Return when a stream got its last message of a subject, None when it has none.

        Raises:
            ApiError: the engine refused.
            UnansweredError: no answer came in time.
        """
        document = msgspec.json.encode({"last_by_subj": subject})
        try:
            answer = await self._answer(f"STREAM.MSG.GET.{name}", document)
        except ApiError as error:
            if error.code in {NOT_FOUND, NO_MESSAGE}:
                return None
            raise
        try:
            return dt.datetime.fromisoformat(answer.message.time)
        except ValueError:
            return None

    async def names(self) -> tuple[str, ...]:
        """Name all streams of the account, in the order of their names; raises as ``look_up`` does."""
        found: list[str] = []
        while True:
            answer = await self._answer("STREAM.NAMES", msgspec.json.encode({"offset": len(found)}))
            if not answer.streams:
                return tuple(sorted(found))
            found += answer.streams
            if len(found) >= answer.total:
                return tuple(sorted(found))

    async def state(self, name: str) -> StreamState | None:
        """Tell what is in a stream, None when there is none of that name; raises as ``look_up`` does."""
        try:
            answer = await self._answer(f"STREAM.INFO.{name}", b"")
        except ApiError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        state = answer.state
        return StreamState(
            name=name,
            configuration=answer.config,
            messages=state.messages,
            bytes=state.bytes,
            first=state.first_ts,
            last=state.last_ts,
            last_sequence=state.last_seq,
            subjects=state.num_subjects,
        )

    async def subjects(self, name: str, filter: str) -> Mapping[str, int]:  # noqa: A002 - the API's own word
        """Count the messages of a stream by subject, 100,000 subjects at most; raises as ``look_up`` does.

        Args:
            name: of the stream.
            filter: subject, with or without wildcards, that they have to match.
        """
        document = msgspec.json.encode({"subjects_filter": filter})
        return (await self._answer(f"STREAM.INFO.{name}", document)).state.subjects or {}

    async def first_of(self, name: str, subject: str) -> str:
        """Tell when the oldest message of a subject came, empty when there is none; raises as ``look_up`` does."""
        document = msgspec.json.encode({"seq": 1, "next_by_subj": subject})
        try:
            return (await self._answer(f"STREAM.MSG.GET.{name}", document)).message.time
        except ApiError as error:
            if error.code == NO_MESSAGE:
                return ""
            raise

    async def purge(self, name: str, subject: str, *, keep: int, below: int) -> int:
        """Delete messages of a stream, and return how many; raises as ``look_up`` does.

        Args:
            name: of the stream.
            subject: only those of this subject, with or without wildcards; empty for all.
            keep: so many of the newest ones stay.
            below: only those with smaller numbers, 0 for all; not together with ``keep``.
        """
        document: dict[str, object] = {"filter": subject} if subject else {}
        document |= {"keep": keep} if keep else {"seq": below} if below else {}
        return (await self._answer(f"STREAM.PURGE.{name}", msgspec.json.encode(document))).purged

    async def create(self, document: Mapping[str, object]) -> Stream:
        """Make a stream; raises as ``look_up`` does."""
        return await self._request(f"STREAM.CREATE.{document['name']}", msgspec.json.encode(document))

    async def update(self, document: Mapping[str, object]) -> Stream:
        """Give a stream another configuration; raises as ``look_up`` does."""
        return await self._request(f"STREAM.UPDATE.{document['name']}", msgspec.json.encode(document))

    async def _request(self, call: str, payload: bytes) -> Stream:
        answer = await self._answer(call, payload)
        return Stream(answer.config, answer.state.messages, _older(answer), answer.cluster.name)

    async def _answer(self, call: str, payload: bytes) -> _Answer:
        try:
            with heeding_cancellation():
                message = await self._client.request(f"$JS.API.{call}", payload, timeout=self._deadline)
        except TimeoutError:
            raise UnansweredError(f"no answer within {self._deadline:g}s") from None
        except client_errors(OSError) as error:
            if is_without_responders(error):
                raise UnansweredError("no server answers for Choria Streams") from None
            raise UnansweredError(
                f"the connection to the engine failed: {str(error) or type(error).__name__}"
            ) from error
        try:
            answer = msgspec.json.decode(message.data, type=_Answer)
        except msgspec.DecodeError as error:
            raise UnansweredError(f"the answer cannot be read: {error}") from error
        if answer.error:
            raise ApiError(answer.error.err_code, answer.error.description)
        return answer


def _older(answer: _Answer) -> bool:
    if not answer.state.messages:
        return False
    try:
        return dt.datetime.fromisoformat(answer.state.first_ts) < dt.datetime.fromisoformat(answer.created)
    except ValueError:
        return False
