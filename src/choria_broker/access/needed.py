"""What would have allowed a subject that a connection may not use."""

from __future__ import annotations

from collections.abc import Iterable

from choria_broker.access import permissions, rules
from choria_broker.access.subjects import covers
from choria_broker.access.verdict import Permissions, SubjectRules
from choria_broker.security.token_permissions import ClientPermission, ServerPermission
from choria_broker.security.tokens_claims import ClientClaims, ServerClaims

_HOSTS = "an address in plugin.choria.network.client_hosts"
_OUTSIDE = frozenset(
    {
        rules.CLIENT_TOKEN_OUTSIDE_CLIENT_HOSTS.name,
        rules.MTLS_OUTSIDE_CLIENT_HOSTS.name,
        rules.MTLS_DENIED.name,
        rules.UNVERIFIED_OUTSIDE_CLIENT_HOSTS.name,
        rules.UNVERIFIED_DENIED.name,
    }
)
_FIXED = {
    rules.SERVER_DENIED.name: "a broker without plugin.choria.network.deny_server_connections",
    rules.MTLS_PUBSUB_ONLY.name: "a token",
    rules.PROVISIONEE.name: "to be provisioned first",
}
_ONE_BY_ONE = tuple(
    sorted((each for each in ClientPermission if each is not ClientPermission.ORG_ADMIN), key=lambda each: each.place)
)
"""In the order of lists for people, which has what allows less before what allows more; all of it comes last."""


def needed(rule: str, who: str, subject: str, *, publish: bool, granted: Permissions | None = None) -> str:
    """Name what a connection lacks to use a subject.

    Args:
        rule: that let it in.
        who: the caller or identity it is known by.
        subject: what it may not use, without a queue.
        publish: it wanted to publish to it, else to subscribe.
        granted: its permissions, None where they are not known.

    Returns:
        Permissions of its token as the claim names them, or something else in words, to be read after "needs"; empty
        when nothing of that kind would help, or it is not known.
    """
    if rule in _FIXED:
        return _FIXED[rule]
    fleet = publish and _covered(permissions.FLEET_REQUESTS, subject)
    if rule in (rules.CLIENT_TOKEN.name, rules.CLIENT_TOKEN_OUTSIDE_CLIENT_HOSTS.name):
        if fleet and rule in _OUTSIDE and granted and _covered(granted.publish.allow or (), subject):
            return _HOSTS
        wanted = _of_client(who, subject, publish=publish)
        return f"{wanted}, and {_HOSTS}" if fleet and rule in _OUTSIDE else wanted
    if rule == rules.SERVER_TOKEN.name:
        return _of_server(who, subject, publish=publish)
    return _HOSTS if rule in _OUTSIDE else ""


def _of_client(caller: str, subject: str, *, publish: bool) -> str:
    def allowed(*held: ClientPermission) -> bool:
        granted = permissions.worked_out_client(_client(caller, held), inside_client_hosts=True)
        return _allows(granted, subject, publish=publish)

    for each in _ONE_BY_ONE:
        if allowed(each):
            return each.value
    if allowed(ClientPermission.GOVERNOR, ClientPermission.STREAMS_USER):
        return f"{ClientPermission.GOVERNOR.value} with {ClientPermission.STREAMS_USER.value}"
    own = "pub_subjects" if publish else "sub_subjects"
    return f"{ClientPermission.ORG_ADMIN.value}, or the subject in {own} of its token"


def _of_server(identity: str, subject: str, *, publish: bool) -> str:
    collective = subject.partition(".")[0]
    streams = ServerPermission.STREAMS
    for held in ((), *((each,) for each in ServerPermission), (ServerPermission.GOVERNOR, streams)):
        for own in (True, False):
            granted = permissions.worked_out_server(_server(identity, collective, held), own_account=own)
            if _allows(granted, subject, publish=publish):
                return " with ".join(each.value for each in held) or f"collective {collective}"
    return "the subject in pub_subjects of its token" if publish else ""


def _allows(granted: Permissions, subject: str, *, publish: bool) -> bool:
    side: SubjectRules = granted.publish if publish else granted.subscribe
    return not _covered(side.deny, subject) and (side.allow is None or _covered(side.allow, subject))


def _covered(entries: Iterable[str], subject: str) -> bool:
    return any(covers(entry.partition(" ")[0], subject) for entry in entries)


def _client(caller: str, held: Iterable[ClientPermission]) -> ClientClaims:
    return ClientClaims.read({"callerid": caller, "permissions": {each.value: True for each in held}})


def _server(identity: str, collective: str, held: Iterable[ServerPermission]) -> ServerClaims:
    return ServerClaims.read(
        {
            "identity": identity,
            "collectives": [collective],
            "ou": permissions.LOCAL_ORGANIZATION,
            "permissions": {each.value: True for each in held},
        }
    )
