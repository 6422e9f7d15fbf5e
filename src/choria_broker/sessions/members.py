"""Reads what other members of the cluster tell of themselves and of their connections."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from choria_broker.access.session import Session
from choria_broker.sessions.documents import Sightings
from choria_broker.settings.accounts import SYSTEM_ACCOUNT
from choria_broker.settings.broker import Settings


def has_others(settings: Settings) -> bool:
    """Tell whether there can be other members: peers, or other clusters."""
    network = settings.network
    return bool(network.cluster.peers or network.cluster.left_out or network.gateway.remotes)


def missing(settings: Settings, members: Iterable[Member]) -> int:
    """Tell how many members of the own cluster are not there.

    Args:
        settings: with the peers, this broker among them.
        members: all others that are there.
    """
    cluster = settings.network.cluster
    there = sum(each.cluster == settings.network.gateway.name for each in members)
    # Which of the peers this broker is may be unknown, but one of them it is.
    others = min(len(cluster.routes), len(cluster.peers) - 1) + len(cluster.left_out)
    return max(others - there, 0)


def system_account(settings: Settings) -> str:
    """Name the account over which other members are asked; empty while there is no login to it."""
    operator = settings.network.operator
    if operator:
        return SYSTEM_ACCOUNT if operator.system and operator.system.credentials else ""
    return SYSTEM_ACCOUNT if settings.network.system_user else ""


class Member(msgspec.Struct, frozen=True):
    """A server that shares the system account.

    Attributes:
        name: of the server, which is the identity of a broker.
        id: its key.
        cluster: it belongs to.
        since: when it started, Unix seconds; 0 when it does not say.
    """

    name: str
    id: str
    cluster: str
    since: float


class _Server(msgspec.Struct):
    name: str = ""
    id: str = ""
    cluster: str = ""


class _Statistics(msgspec.Struct):
    start: str = ""


class _Ping(msgspec.Struct):
    server: _Server
    statsz: _Statistics = msgspec.field(default_factory=_Statistics)


class _Connection(msgspec.Struct):
    cid: int
    kind: str = ""
    type: str = ""
    ip: str = ""
    account: str = ""
    authorized_user: str = ""
    tls_version: str = ""
    start: str = ""


class _Connections(msgspec.Struct):
    total: int = 0
    connections: list[_Connection] = msgspec.field(default_factory=list)


class _Page(msgspec.Struct):
    data: _Connections


def member_of(answer: bytes) -> Member | None:
    """Read what a server answers to a ping; None when it is no such answer."""
    try:
        ping = msgspec.json.decode(answer, type=_Ping)
    except msgspec.DecodeError:
        return None
    if not ping.server.name or not ping.server.id:
        return None
    return Member(ping.server.name, ping.server.id, ping.server.cluster, _moment(ping.statsz.start))


def answers_of(answers: Iterable[bytes], own: str) -> list[Sightings]:
    """Read what brokers of this kind answer; what cannot be read, or is of this broker, is left out.

    Args:
        answers: as they came.
        own: identity of this broker.
    """
    told: dict[str, Sightings] = {}
    for answer in answers:
        try:
            sightings = msgspec.json.decode(answer, type=Sightings)
        except msgspec.DecodeError:
            continue
        if sightings.broker != own:
            told[sightings.broker] = sightings
    return list(told.values())


def connections_of(answer: bytes) -> tuple[list[Session], int]:
    """Read a page of connections, and how many there are on all pages.

    Raises:
        msgspec.DecodeError: it is none.
    """
    page = msgspec.json.decode(answer, type=_Page).data
    return [_session(each) for each in page.connections], page.total


def _session(connection: _Connection) -> Session:
    kind = "leafnode" if connection.kind.lower() == "leafnode" else connection.type
    return Session(
        connection=connection.cid,
        kind={"nats": "client", "": "client"}.get(kind, kind),
        address=connection.ip,
        account=connection.account,
        username=connection.authorized_user,
        tls="anon" if connection.tls_version else "none",
        since=_moment(connection.start),
    )


def _moment(text: str) -> float:
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
