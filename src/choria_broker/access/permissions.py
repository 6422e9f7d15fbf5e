"""What each kind of connection may publish and subscribe to."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable, Iterable

import msgspec

from choria_broker.access.remembered import Remembered
from choria_broker.access.subjects import is_literal, is_subject, is_subscription
from choria_broker.access.verdict import Permissions, SubjectRules
from choria_broker.security.token_permissions import ClientPermission, ServerPermission
from choria_broker.security.tokens_claims import ClientClaims, ServerClaims

LOCAL_API = "$JS.API"
"""Start of JetStream's subjects inside an account that has JetStream."""

FOREIGN_API = "choria.streams"
"""Start of JetStream's subjects for servers of other organizations in a shared account."""

LOCAL_ORGANIZATION = "choria"
"""The organization whose servers use the shared account's own JetStream."""

FLEET_REQUESTS = ("*.broadcast.agent.>", "*.broadcast.service.>", "*.node.>", "choria.federation.*.federation")
"""Subjects on which requests reach the fleet."""

_CHORIA_TRAFFIC = (
    "*.broadcast.>",
    "*.node.>",
    "*.reply.>",
    "choria.federation.>",
    "choria.lifecycle.>",
    "choria.machine.>",
)

_ROOM = 4 * 1024 * 1024
"""Bytes of permissions worked out that are kept, for callers and for servers that connect again."""

_NOTHING = SubjectRules(deny=(">",))

NOTHING = Permissions(publish=_NOTHING, subscribe=_NOTHING)
"""Connected, and nothing more."""

PUBSUB_ONLY = Permissions(
    publish=SubjectRules(allow=(">",), deny=_CHORIA_TRAFFIC),
    subscribe=SubjectRules(allow=(">",), deny=_CHORIA_TRAFFIC),
)
"""Everything except Choria's own traffic."""

DEFAULT_SERVER = Permissions(
    publish=SubjectRules(allow=(">",), deny=FLEET_REQUESTS),
    subscribe=SubjectRules(deny=("*.reply.>", "choria.federation.>", "choria.lifecycle.>")),
)
"""A fleet server known only by its certificate."""

PROVISIONEE = Permissions(
    publish=SubjectRules(allow=("choria.lifecycle.>", "provisioning.reply.>", "provisioning.registration.>")),
    subscribe=SubjectRules(
        allow=(
            "provisioning.node.>",
            "provisioning.broadcast.agent.discovery",
            "provisioning.broadcast.agent.rpcutil",
            "provisioning.broadcast.agent.choria_util",
            "provisioning.broadcast.agent.choria_provision",
        )
    ),
)
"""A node that waits to be provisioned."""

_CLIENT_STREAMS = (
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.STREAM.MSG.DELETE.*",
    "$JS.API.DIRECT.GET.*",
    "$JS.API.DIRECT.GET.*.>",
    "$JS.API.CONSUMER.CREATE.*",
    "$JS.API.CONSUMER.CREATE.*.>",
    "$JS.API.CONSUMER.DURABLE.CREATE.*.*",
    "$JS.API.CONSUMER.DELETE.*.*",
    "$JS.API.CONSUMER.NAMES.*",
    "$JS.API.CONSUMER.LIST.*",
    "$JS.API.CONSUMER.INFO.*.*",
    "$JS.API.CONSUMER.MSG.NEXT.*.*",
    "$JS.ACK.>",
    "$JS.FC.>",
    "$KV.>",
    "$O.>",
)

_SERVER_STREAMS = (
    "STREAM.INFO.*",
    "STREAM.MSG.GET.*",
    "STREAM.MSG.DELETE.*",
    "DIRECT.GET.*",
    "DIRECT.GET.*.>",
    "CONSUMER.CREATE.*",
    "CONSUMER.CREATE.*.>",
    "CONSUMER.DURABLE.CREATE.*.*",
    "CONSUMER.INFO.*.*",
    "CONSUMER.MSG.NEXT.*.*",
)

_OF_SERVERS = ("choria.lifecycle.>", "choria.machine.transition", "choria.machine.watcher.>")

_STREAMS_FLOW = ("$JS.ACK.>", "$JS.FC.>")


_of_clients: Remembered[tuple[ClientClaims, bool], Permissions] = Remembered(_ROOM)
_of_servers: Remembered[tuple[ServerClaims, bool], Permissions] = Remembered(_ROOM)


def of_client(claims: ClientClaims, *, inside_client_hosts: bool) -> Permissions:
    """Work out the permissions of a client with a token.

    Args:
        claims: the verified claims; others would fill the memory of what was worked out before.
        inside_client_hosts: False takes away requests of the fleet, whatever the token says.
    """
    return _of_clients.of(
        (claims, inside_client_hosts),
        lambda: worked_out_client(claims, inside_client_hosts=inside_client_hosts),
        lambda found: claims.size + size_of(found),
    )


def of_server(claims: ServerClaims, *, own_account: bool) -> Permissions:
    """Work out the permissions of a server with a token.

    Args:
        claims: the verified claims; others would fill the memory of what was worked out before.
        own_account: the server's organization has an account, and JetStream, of its own.
    """
    return _of_servers.of(
        (claims, own_account),
        lambda: worked_out_server(claims, own_account=own_account),
        lambda found: claims.size + size_of(found),
    )


def forget() -> None:
    """Forget what was worked out before; it changes the time that takes, and nothing else."""
    _of_clients.clear()
    _of_servers.clear()


def size_of(permissions: Permissions | None) -> int:
    """Tell how many bytes permissions take, about."""
    if permissions is None:
        return 0
    publish, subscribe = permissions.publish, permissions.subscribe
    lists = (publish.allow or (), publish.deny, subscribe.allow or (), subscribe.deny)
    return sum(sum(map(sys.getsizeof, subjects)) for subjects in lists)


def worked_out_client(claims: ClientClaims, *, inside_client_hosts: bool) -> Permissions:
    """Work them out without remembering anything; see ``of_client``."""
    organization = claims.organization if ClientPermission.STREAMS_USER in claims.permissions else ""
    publish, subscribe = _granted_to_clients(claims.permissions, organization, inside_client_hosts)
    if ClientPermission.ORG_ADMIN in claims.permissions:
        return Permissions(publish, subscribe)
    first, second = reply_digests(claims.caller)
    replies = (f"*.reply.{first}.>", f"*.reply.{second}.>")
    if claims.publish_subjects:
        always, *granted = publish.allow or ()
        publish = _only_valid((always, *claims.publish_subjects, *granted), is_subject, publish.deny)
    allowed = subscribe.allow or ()
    if claims.subscribe_subjects:
        return Permissions(publish, _only_valid((*replies, *claims.subscribe_subjects, *allowed), is_subscription))
    return Permissions(publish, SubjectRules(allow=(*replies, *allowed)))


@functools.lru_cache(maxsize=256)
def _granted_to_clients(
    held: frozenset[ClientPermission], organization: str, inside_client_hosts: bool
) -> tuple[SubjectRules, SubjectRules]:
    """Work out what all clients with some flags have; their replies and the subjects of their tokens come to it."""
    denied = () if inside_client_hosts else FLEET_REQUESTS
    if ClientPermission.ORG_ADMIN in held:
        return SubjectRules(allow=(">",), deny=denied), SubjectRules(allow=(">",))
    publish = ["$SYS.REQ.USER.INFO"]
    subscribe: list[str] = []
    if ClientPermission.STREAMS_ADMIN in held:
        publish.append("$JS.>")
        subscribe.append("$JS.EVENT.>")
    if ClientPermission.STREAMS_USER in held:
        publish += _CLIENT_STREAMS
        subscribe += filter(is_subscription, _republished(organization))
    if ClientPermission.EVENTS_VIEWER in held:
        subscribe += ("choria.lifecycle.event.>", "choria.machine.watcher.>", "choria.machine.transition")
    if ClientPermission.ELECTION_USER in held:
        publish += ("$JS.API.STREAM.INFO.KV_CHORIA_LEADER_ELECTION", "$KV.CHORIA_LEADER_ELECTION.>")
    if ClientPermission.GOVERNOR in held and held & {ClientPermission.STREAMS_USER, ClientPermission.STREAMS_ADMIN}:
        publish += ("*.governor.*", "choria.lifecycle.event.governor.>")
    if held & {ClientPermission.FLEET_MANAGEMENT, ClientPermission.SIGNED_FLEET_MANAGEMENT}:
        publish += FLEET_REQUESTS
    return SubjectRules(allow=tuple(publish), deny=denied), SubjectRules(allow=tuple(subscribe) or None)


def worked_out_server(claims: ServerClaims, *, own_account: bool) -> Permissions:
    """Work them out without remembering anything; see ``of_server``."""
    held = claims.permissions
    if not claims.collectives:
        return NOTHING
    organization = claims.organization if ServerPermission.STREAMS in held else ""
    granted = _granted_to_servers(claims.collectives, held, organization, own_account)
    publish = granted.publish
    if claims.publish_subjects:
        publish = _only((*_OF_SERVERS, *filter(is_subject, claims.publish_subjects), *(publish.allow or ())))
    first, second = reply_digests(claims.identity)
    # What begins a subject, or ends one, is looked at once: looking at each subject made of it costs many times more.
    named = is_subject(f"node.{claims.identity}")
    subscribe: list[str] = []
    for collective in granted.collectives:
        subscribe.append(f"{collective}.broadcast.agent.>")
        if named:
            subscribe.append(f"{collective}.node.{claims.identity}")
        subscribe += (f"{collective}.reply.{first}.>", f"{collective}.reply.{second}.>")
        if ServerPermission.SERVICE_HOST in held:
            subscribe.append(f"{collective}.broadcast.service.>")
    # A server may not name queues: nothing it is granted has a space in it.
    return Permissions(publish, _only((*subscribe, *granted.subscribe)))


class _OfServers(msgspec.Struct, frozen=True):
    """What all servers have that are in some collectives and have some flags.

    Attributes:
        publish: what they may publish to; the subjects of their tokens come to it.
        collectives: those whose names can begin a subject.
        subscribe: what they may subscribe to besides the subjects of each collective.
    """

    publish: SubjectRules
    collectives: tuple[str, ...]
    subscribe: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def _granted_to_servers(
    collectives: tuple[str, ...], held: frozenset[ServerPermission], organization: str, own_account: bool
) -> _OfServers:
    streams = ServerPermission.STREAMS in held
    publish, subscribe = list(_OF_SERVERS), tuple[str, ...]()
    clean = tuple(collective for collective in collectives if is_subject(f"{collective}.reply"))
    for collective in clean:
        publish += (
            f"{collective}.reply.>",
            f"{collective}.broadcast.agent.registration",
            f"choria.federation.{collective}.collective",
        )
        if ServerPermission.SUBMISSION in held:
            publish.append(f"{collective}.submission.in.>")
        if ServerPermission.GOVERNOR in held and streams:
            publish.append(f"{collective}.governor.*")
    if streams:
        api = LOCAL_API if own_account or organization == LOCAL_ORGANIZATION else FOREIGN_API
        publish += (f"{api}.{operation}" for operation in _SERVER_STREAMS)
        publish += _STREAMS_FLOW
        subscribe = tuple(filter(is_subject, _republished(organization)))
    return _OfServers(_only(publish), clean, subscribe)


def left_out(claims: ClientClaims | ServerClaims, granted: Permissions) -> tuple[str, ...]:
    """Name the additional subjects of a token that are not granted, because they are no subjects.

    Args:
        claims: the verified claims.
        granted: what was made of them.
    """
    found = _missing(claims.publish_subjects, granted.publish)
    if isinstance(claims, ClientClaims):
        found += _missing(claims.subscribe_subjects, granted.subscribe)
    return tuple(dict.fromkeys(found))


def _missing(wanted: tuple[str, ...], rules: SubjectRules) -> list[str]:
    if not wanted:
        return []
    held = frozenset(rules.allow or ())
    return [] if ">" in held or ">" in rules.deny else [subject for subject in wanted if subject not in held]


def unclean_name(claims: ServerClaims) -> str | None:
    """Say which name in a server's token cannot stand in its subjects, None when all can."""
    if not is_literal(claims.identity):
        return "identity"
    return None if all(map(is_literal, claims.collectives)) else "collectives"


def reply_digests(name: str) -> tuple[str, str]:
    """Work out the two tokens that make reply subjects private to a caller or identity.

    Programs up to one generation use MD5, later ones SHA-256. Neither protects anything here: they only shorten the
    name to something that fits a subject.
    """
    encoded = name.encode()
    return hashlib.md5(encoded, usedforsecurity=False).hexdigest(), hashlib.sha256(encoded).hexdigest()


def _republished(organization: str) -> tuple[str, ...]:
    # Without issuers nobody compares the name with anything: it must not become a wildcard.
    return (f"{organization}.republish.>",) if is_literal(organization) else ()


def _only_valid(wanted: Iterable[str], valid: Callable[[str], bool], denied: tuple[str, ...] = ()) -> SubjectRules:
    # Engines refuse or ignore a list with one bad entry as a whole, so bad entries must not get that far.
    return _only(filter(valid, wanted), denied)


def _only(wanted: Iterable[str], denied: tuple[str, ...] = ()) -> SubjectRules:
    # A list that loses all its entries must not turn into "everything".
    kept = tuple(dict.fromkeys(wanted))
    return SubjectRules(allow=kept, deny=denied) if kept else SubjectRules(deny=(*denied, ">"))
