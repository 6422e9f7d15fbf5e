"""The token that adapters and the federation broker log in with at brokers of others: whose it is, and what it permits.

It is read without being believed: those brokers decide. What they cannot permit is told before anybody looks for
messages that never come.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.access.permissions import worked_out_client, worked_out_server
from choria_broker.access.subjects import covers
from choria_broker.access.verdict import Permissions, SubjectRules
from choria_broker.config.resolve.context import Context
from choria_broker.security.signing import public_hex
from choria_broker.security.tokens import Rejection, open_envelope
from choria_broker.security.tokens_claims import ClaimError, ClientClaims, ServerClaims, claims_of
from choria_broker.settings.broker import Settings
from choria_broker.settings.companions import Side
from choria_broker.settings.finding_codes import Code
from choria_broker.wording import plain

TOKEN, SEED = (f"plugin.security.choria.{name}_file" for name in ("token", "seed"))
_ANY = "*"
_SHOWN = 4


class Login(msgspec.Struct, frozen=True):
    """What is known of a token.

    Attributes:
        holder: caller or identity of its holder, empty when it is not known.
        claims: of the token, None when it cannot be used.
        problem: why it cannot.
    """

    holder: str = ""
    claims: ClientClaims | ServerClaims | None = None
    problem: str = ""

    @property
    def permissions(self) -> Permissions:
        """What a broker permits that trusts the token, at most."""
        if isinstance(self.claims, ClientClaims):
            return worked_out_client(self.claims, inside_client_hosts=True)
        return worked_out_server(self.claims, own_account=True) if self.claims else Permissions()


def read_login(context: Context) -> Login:
    """Read the token that is configured, if there is one."""
    path = context.values.path(TOKEN)
    if not path:
        return Login(problem="no token is configured")
    fact = context.facts.file(path)
    found = fact.problem or _read(fact.content)
    if isinstance(found, str):
        return Login(problem=f"{path}: {found}")
    return Login(found.caller if isinstance(found, ClientClaims) else found.identity, found)


def _read(content: bytes) -> ClientClaims | ServerClaims | str:
    """Read the claims of a token, or say why they cannot be used."""
    envelope = open_envelope(content.decode(errors="replace"))
    if isinstance(envelope, Rejection):
        return envelope.reason
    try:
        kind = claims_of(envelope.payload)
        claims = kind.read(envelope.payload) if kind else None
    except ClaimError as error:
        return str(error)
    if not isinstance(claims, ClientClaims | ServerClaims):
        return "neither a client's token nor a server's"
    return f"the token has no {claims.missing}" if claims.missing else claims


def check_login(context: Context, login: Login, settings: Settings) -> None:
    """Tell what keeps those from their work who log in with the token.

    Args:
        context: inputs.
        login: what is known of the token.
        settings: which adapters there are to be, and whether a federation broker.
    """
    adapters, federation = settings.adapters, settings.federation
    sides = [side for each in adapters for side in (each.ingest, each.output)]
    sides += [federation.federation, federation.collective] if federation else []
    if not any(side.token for side in sides):
        return
    claims = login.claims
    if claims is None:
        _warn(context, login.problem, "brokers refuse this login", "create the file with 'choria-broker jwt'")
        return
    if isinstance(claims, ServerClaims) and claims.identity != context.identity:
        problem = f"the token is for {plain(claims.identity)}, and this broker is {context.identity}"
        remedy = "use a token for this identity"
        if settings.network_enabled:
            _warn(context, problem, "brokers see these connections under the name in the token", remedy)
        else:
            context.collector.refuse(Code.COMPANION_TOKEN, problem=problem, remedy=remedy, at=context.values.ref(TOKEN))
    if claims.expires is not None and claims.expires <= context.facts.now.timestamp():
        _warn(context, "the token has expired", "brokers refuse it", "issue another one")
    _check_seed(context, claims.public_key)
    for who, missing in _missing(login.permissions, settings):
        shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        _warn(
            context,
            f"the token of {plain(login.holder)} does not permit what {who} needs: {shown}",
            "messages are lost or never arrive",
            "issue a client's token with these subjects, or run it beside the network broker",
        )


def _check_seed(context: Context, public_key: str) -> None:
    path = context.values.path(SEED)
    fact = context.facts.file(path or Path())
    try:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(fact.content.decode().strip()))
    except ValueError:
        problem = f"{path}: {fact.problem or 'the file has no seed'}"
    else:
        if public_hex(key) == public_key:
            return
        problem = f"{path}: the seed does not belong to the token"
    remedy = "put the seed that belongs to the token there"
    _warn(context, problem, "brokers refuse the token", remedy, SEED)


def _warn(context: Context, problem: str, effect: str, remedy: str, key: str = TOKEN) -> None:
    at = context.values.ref(key)
    context.collector.warn(Code.COMPANION_TOKEN, problem=problem, effect=effect, remedy=remedy, at=at)


def _missing(permissions: Permissions, settings: Settings) -> Iterator[tuple[str, list[str]]]:
    """Tell who needs what that is not permitted."""
    collective = settings.main_collective
    for adapter in settings.adapters:
        needs = _needs(permissions, adapter.ingest, subscribe=(adapter.topic,))
        needs += _needs(permissions, adapter.output, publish=(adapter.target.replace("%s", _ANY),))
        if needs:
            yield f"adapter {adapter.name}", needs
    if federation := settings.federation:
        own = f"choria.federation.{federation.cluster}"
        needs = _needs(
            permissions, federation.federation, subscribe=(f"{own}.federation",), publish=(f"{collective}.reply.>",)
        )
        requests = (f"{collective}.broadcast.agent.>", f"{collective}.node.>")
        needs += _needs(permissions, federation.collective, subscribe=(f"{own}.collective",), publish=requests)
        if needs:
            yield "the federation broker", needs


def _needs(
    permissions: Permissions, side: Side, subscribe: tuple[str, ...] = (), publish: tuple[str, ...] = ()
) -> list[str]:
    if not side.token:
        return []
    ways = (("subscribe to", permissions.subscribe, subscribe), ("publish to", permissions.publish, publish))
    return [f"{way} {subject}" for way, rules, wanted in ways for subject in wanted if not _permits(rules, subject)]


def _permits(rules: SubjectRules, subject: str) -> bool:
    allowed = rules.allow is None or any(covers(entry.partition(" ")[0], subject) for entry in rules.allow)
    return allowed and not any(covers(entry, subject) for entry in rules.deny)
