"""The decision: who comes in, where to, and what for.

Read it from the top: :func:`decide` catches what must never happen, ``_enter`` chooses the way by what the connection
asks for, and every way ends in a verdict that names its rule.
"""

from __future__ import annotations

import msgspec
from msgspec import structs

from choria_broker.access import permissions, rules
from choria_broker.access.case import Case, same_secret
from choria_broker.access.holder import holder_of
from choria_broker.access.policy import OWN_ACCOUNT, Policy
from choria_broker.access.provisioning import PROVISIONER_USER, provisionee, provisioner
from choria_broker.access.quoted import name_sent, quoted
from choria_broker.access.reach import reach_of
from choria_broker.access.reading import Watched, unwatched
from choria_broker.access.request import ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.rule_path import RulePath
from choria_broker.access.rules import Rule
from choria_broker.access.verdict import Permissions, Verdict
from choria_broker.access.ways import Ways
from choria_broker.security.conditions import Conditions
from choria_broker.security.token_permissions import ClientPermission
from choria_broker.security.tokens import Envelope, Rejection
from choria_broker.security.tokens_claims import ClientClaims, Purpose, ServerClaims
from choria_broker.settings.accounts import CHORIA_ACCOUNT, PROVISIONING_ACCOUNT, SYSTEM_ACCOUNT
from choria_broker.settings.network import SystemUser

_LEFT_OUT_SHOWN = 5
"""Subjects of a token that are named when they are not granted."""

_SUBSCRIPTIONS_OF_PROVISIONEES = 1000


class Decider(msgspec.Struct, frozen=True):
    """Decides by one policy.

    Attributes:
        policy: what decisions depend on.
    """

    policy: Policy

    def decide(self, request: ConnectRequest, now: float) -> Verdict:
        """Decide about one connection.

        Args:
            request: what is known of it.
            now: the moment of the decision in Unix seconds.

        Returns:
            The verdict; nothing is ever raised.
        """
        return decide(request, self.policy, now)


def decide(request: ConnectRequest, policy: Policy, now: float) -> Verdict:
    """Decide about one connection.

    The decision depends on nothing but its arguments, and it always ends in a verdict.

    Args:
        request: what is known of the connection.
        policy: what the broker was told.
        now: the moment of the decision in Unix seconds.
    """
    return conclude(Case(request, policy, now, RulePath(policy.accounts)))


def decide_for_engine(request: ConnectRequest, policy: Policy, now: float, ways: Ways) -> Verdict:
    """Decide as :func:`decide` does, and leave to the engine what it can do as well.

    The engine checks what ``conditions`` and ``proof`` of the verdict say. If one does not hold, the verdict is void,
    and :func:`decide` has to be asked. It may use the verdict for other connections as far as its ``reach`` goes.

    A refusal is always one of :func:`decide`: with signatures taken for granted another rule could come to it.

    Args:
        request: what is known of the connection.
        policy: what the broker was told.
        now: the moment of the decision in Unix seconds.
        ways: what is left to the engine.
    """
    asked = Watched(request) if ways.memory else request
    case = Case(asked, policy, now, RulePath(policy.accounts), Conditions() if ways.conditions else None)
    verdict = conclude(case)
    noted = tuple(case.conditions.noted) if case.conditions else ()
    if (noted or case.proof) and not (verdict.allowed and case.claims):
        return decide(request, policy, now)
    reach = reach_of(asked, verdict, case.proof, policy, now) if isinstance(asked, Watched) else None
    return structs.replace(verdict, conditions=noted, proof=case.proof, reach=reach)


def conclude(case: Case) -> Verdict:
    """Bring a case to its verdict, whatever happens on the way."""
    try:
        return _admitted(case, _enter(case))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a native library is not an Exception, and must refuse too
        return case.trail.refuse(rules.INTERNAL_ERROR, f"the decision failed: {type(error).__name__}")


def _admitted(case: Case, verdict: Verdict) -> Verdict:
    """Bound the subscriptions of who is let in, and say who it is.

    A node that waits for provisioning proves next to nothing and needs few.
    """
    if not verdict.allowed:
        return verdict
    policy = case.policy
    most = policy.max_subscriptions
    if verdict.permissions is permissions.PROVISIONEE:
        most = min(most, _SUBSCRIPTIONS_OF_PROVISIONEES)
    # Where nobody is revoked, whose the connection is does not decide anything.
    asked = case.request if policy.revocations else unwatched(case.request)
    holder = holder_of(asked, case.claims, signer=case.signer, method=verdict.method, rule=verdict.rule)
    revoked = policy.revocations.refusal(holder, case.now)
    if revoked is not None:
        return case.trail.refuse(revoked.rule, revoked.reason, method=verdict.method, remedy=revoked.remedy)
    return structs.replace(verdict, max_subscriptions=most, holder=holder)


def _enter(case: Case) -> Verdict:
    request, policy = case.request, case.policy
    if case.in_process and request.user.startswith(OWN_ACCOUNT):
        return _accept_untokened(
            case, rules.IN_PROCESS, "the broker itself connected", None, "in_process", request.user[len(OWN_ACCOUNT) :]
        )
    if policy.is_tls and not case.encrypted and not case.in_process:
        refused = case.trail.refuse(rules.TLS_REQUIRED, "the connection is in clear text and this broker uses TLS")
        return _unverified(case, refused)
    if request.has_token and not request.address and not case.in_process:
        return case.trail.refuse(
            rules.ADDRESS_UNKNOWN, "a connection with a token has no known address", method="token"
        )
    if request.user == PROVISIONER_USER:
        return provisioner(case)
    if policy.system_user is not None and policy.system_user.user and request.user == policy.system_user.user:
        return _system_user(case, policy.system_user)
    return _fleet(case)


def _system_user(case: Case, login: SystemUser) -> Verdict:
    request, trail = case.request, case.trail
    certified = case.mtls and not case.policy.client_tokens_only
    # Where no token is needed, one of an organization that is kept out still says whose login it is.
    tokenless = certified or case.in_process
    refused = case.refuse_apart_as_stated("system") if tokenless else _system_token_refused(case)
    if refused is not None:
        return refused
    password = login.password.reveal()
    matches = same_secret(request.user, login.user) & same_secret(request.password, password)
    if not password or not matches:
        return trail.refuse(rules.SYSTEM_PASSWORD, "the password of the system user is wrong", method="system")
    return trail.accept(
        rules.SYSTEM_USER,
        "the system user joins account system",
        method="system",
        account=SYSTEM_ACCOUNT,
        username=login.user,
    )


def _system_token_refused(case: Case) -> Verdict | None:
    """Refuse a system user without a token that permits it, None when it has one."""
    trail = case.trail
    if not case.encrypted:
        return trail.refuse(rules.SYSTEM_TLS_REQUIRED, "the system user connected in clear text", method="system")
    if not case.request.has_token:
        why = "the system user has neither a verified certificate nor a token"
        return trail.refuse(rules.SYSTEM_TOKEN_REQUIRED, why, method="system")
    claims = case.proven(ClientClaims, case.policy.client_signers, "system")
    if isinstance(claims, Verdict):
        return claims
    apart = case.refuse_apart(claims, "system")
    if apart is not None:
        return apart
    if not claims.permissions & {ClientPermission.SYSTEM_USER, ClientPermission.ORG_ADMIN}:
        why = f"the token of {quoted(claims.caller)} does not permit system user logins"
        return trail.refuse(rules.SYSTEM_PERMISSION, why, method="system")
    trail.note(rules.SYSTEM_PERMISSION, "held")
    return None


def _fleet(case: Case) -> Verdict:
    request = case.request
    considered = request.has_token and case.encrypted and not case.in_process
    verdict = _with_token(case) if considered else _without_token(case)
    if verdict.allowed:
        return verdict
    if case.policy.is_tls and not case.mtls and not case.in_process and _may_wait_for_provisioning(case):
        fallback = provisionee(case)
        if fallback.allowed:
            return fallback
        verdict = _both_refused(case, verdict, fallback)
    return _unverified(case, verdict)


def _may_wait_for_provisioning(case: Case) -> bool:
    """Tell whether it is worth a word that the connection is no node waiting for provisioning."""
    return PROVISIONING_ACCOUNT in case.policy.accounts or _provisioning_token(case)


def _provisioning_token(case: Case) -> bool:
    envelope = case.envelope
    return isinstance(envelope, Envelope) and Purpose.PROVISIONING in (envelope.purpose, envelope.payload.get("sub"))


def _both_refused(case: Case, verdict: Verdict, fallback: Verdict) -> Verdict:
    if _provisioning_token(case):
        return case.trail.refuse_for_both(fallback, verdict, as_what="a client or server")
    return case.trail.refuse_for_both(verdict, fallback, as_what="a node waiting for provisioning")


def _with_token(case: Case) -> Verdict:
    if not case.reads_tokens:
        return case.refuse_kind("token")
    envelope = case.envelope
    if isinstance(envelope, Rejection):
        return case.refuse_token(envelope, "token")
    if envelope.purpose == Purpose.CLIENT:
        return _client(case)
    if envelope.purpose == Purpose.SERVER:
        if case.policy.client_tokens_only:
            return case.trail.refuse(rules.SERVERS_REFUSED, "a server presented its token", method="token")
        return _server(case)
    return case.trail.refuse(
        rules.TOKEN_PURPOSE,
        f"a token for purpose {quoted(envelope.purpose)} is neither a client nor a server token",
        method="token",
    )


def _client(case: Case) -> Verdict:
    claims = case.proven(ClientClaims, case.policy.client_signers, "token")
    if isinstance(claims, Verdict):
        return claims
    inside = case.inside_client_hosts
    # Claims that are not believed yet fill no memory.
    work_out = permissions.worked_out_client if case.conditions else permissions.of_client
    granted = work_out(claims, inside_client_hosts=inside)
    rule = rules.CLIENT_TOKEN if inside else rules.CLIENT_TOKEN_OUTSIDE_CLIENT_HOSTS
    _note_left_out(case, rule, claims, granted)
    return case.trail.accept(
        rule,
        f"client {quoted(claims.caller)} has a valid token",
        method="token",
        account=case.account_of(claims),
        username=claims.caller,
        permissions=granted,
    )


def _server(case: Case) -> Verdict:
    claims = case.proven(ServerClaims, case.policy.server_signers, "token")
    if isinstance(claims, Verdict):
        return claims
    unclean = permissions.unclean_name(claims)
    if unclean is not None:
        why = f"{unclean} of server {quoted(claims.identity)} cannot be part of a subject"
        return case.trail.refuse(rules.SERVER_NAMES, why, method="token")
    account = case.account_of(claims)
    rule, granted = rules.SERVER_DENIED, permissions.NOTHING
    if not case.policy.deny_server_connections:
        work_out = permissions.worked_out_server if case.conditions else permissions.of_server
        rule, granted = rules.SERVER_TOKEN, work_out(claims, own_account=account != CHORIA_ACCOUNT)
        _note_left_out(case, rule, claims, granted)
    return case.trail.accept(
        rule,
        f"server {quoted(claims.identity)} has a valid token",
        method="token",
        account=account,
        username=claims.identity,
        permissions=granted,
    )


def _note_left_out(case: Case, rule: Rule, claims: ClientClaims | ServerClaims, granted: Permissions) -> None:
    left_out = permissions.left_out(claims, granted)
    if left_out:
        shown_ones = ", ".join(map(quoted, left_out[:_LEFT_OUT_SHOWN]))
        more = f" and {len(left_out) - _LEFT_OUT_SHOWN} more" if len(left_out) > _LEFT_OUT_SHOWN else ""
        case.trail.note(rule, f"the token's own subjects that were not granted: {shown_ones}{more}")


def _without_token(case: Case) -> Verdict:
    policy, trail = case.policy, case.trail
    if case.in_process:
        return _accept_untokened(case, rules.IN_PROCESS, "the broker itself connected", None, "in_process")
    if policy.client_tokens_only and case.encrypted:
        return trail.refuse(rules.CLIENT_TOKEN_REQUIRED, "the connection has no client token")
    if not case.mtls:
        why = (
            "the connection has no token"
            if not case.request.has_token
            else ("the connection is in clear text, where tokens do not count,")
        )
        return trail.refuse(rules.CERTIFICATE_REQUIRED, f"{why} and no verified certificate was presented")
    if policy.issuers:
        if policy.choria_ca:
            reason = "a verified certificate alone may use all subjects except Choria's own"
            return _accept_untokened(case, rules.MTLS_PUBSUB_ONLY, reason, permissions.PUBSUB_ONLY, "mtls")
        return trail.refuse(
            rules.MTLS_TOKEN_REQUIRED, "the connection has a verified certificate but no token", method="mtls"
        )
    rule, limits = _by_client_hosts(case, rules.MTLS, rules.MTLS_OUTSIDE_CLIENT_HOSTS, rules.MTLS_DENIED)
    return _accept_untokened(case, rule, "the connection has a verified certificate", limits, "mtls")


def _accept_untokened(
    case: Case, rule: Rule, reason: str, limits: Permissions | None, method: str, account: str = CHORIA_ACCOUNT
) -> Verdict:
    if limits is permissions.NOTHING and case.request.kind is ConnectionKind.LEAFNODE:
        why = "deny_server_connections is set, and the leafnode counts as a server"
        return case.trail.refuse(rules.LEAFNODE_DENIED, why, method=method)
    return case.trail.accept(
        rule, reason, method=method, account=account, username=name_sent(case.request.user), permissions=limits
    )


def _by_client_hosts(case: Case, inside: Rule, outside: Rule, denied: Rule) -> tuple[Rule, Permissions | None]:
    """Tell how a connection known only by its address counts, and the permissions it has for that."""
    if case.inside_client_hosts:
        return inside, None
    if case.policy.deny_server_connections:
        return denied, permissions.NOTHING
    return outside, permissions.DEFAULT_SERVER


def _unverified(case: Case, refused: Verdict) -> Verdict:
    """Take in a client that presented nothing at all, where the operator wants that; pass on the refusal otherwise."""
    request, account = case.request, case.policy.unverified_account
    if not account or request.kind is not ConnectionKind.CLIENT or not _presents_nothing(request):
        return refused
    rule, limits = _by_client_hosts(
        case, rules.UNVERIFIED, rules.UNVERIFIED_OUTSIDE_CLIENT_HOSTS, rules.UNVERIFIED_DENIED
    )
    return case.trail.accept(
        rule,
        f"a client that presented nothing joins account {quoted(account)}",
        method="unverified",
        account=account,
        username="",
        permissions=limits,
    )


def _presents_nothing(request: ConnectRequest) -> bool:
    presented = (request.has_token, request.user, request.password, request.signature, request.jwt, request.nkey)
    return request.tls is not TlsState.MTLS and request.certificate is None and not any(presented)
