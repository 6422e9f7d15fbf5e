"""The decision: who comes in, where to, and what for.

Read it from the top: :func:`decide` catches what must never happen, ``_enter`` chooses the way by what the connection
asks for, and every way ends in a verdict that names its rule.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from choria_broker.access import permissions, rules
from choria_broker.access.case import Case, same_secret
from choria_broker.access.client_hosts import ClientHosts
from choria_broker.access.provisioning import PROVISIONER_USER, provisionee, provisioner
from choria_broker.access.request import ConnectRequest, Kind, TlsState
from choria_broker.access.rules import Rule
from choria_broker.access.shown import name_sent, shown
from choria_broker.access.trail import Trail
from choria_broker.access.trust import Organization, SignerEntry
from choria_broker.access.verdict import CHORIA_ACCOUNT, SYSTEM_ACCOUNT, Permissions, Verdict
from choria_broker.config.secret import Secret
from choria_broker.config.settings import SystemUser
from choria_broker.security.keys import SignatureCheck, ed25519_verifies
from choria_broker.security.tokens import Envelope, Rejection
from choria_broker.security.tokens_claims import ClientClaims, ClientPermission, Purpose, ServerClaims

OWN_ACCOUNT = "account/"
"""The broker's own connections join another account than ``choria`` by a user of this and the account's name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything decisions depend on, prepared once.

    Attributes:
        is_tls: the client port uses TLS.
        accounts: the accounts there are.
        issuers: organization issuers by name; having any changes how tokens and certificates count.
        client_signers: who signs client tokens when there are no organization issuers.
        server_signers: who signs server tokens when there are no organization issuers.
        provisioning_signer: who signs provisioning tokens that no organization issuer signed, None when unset.
        provisioner_password: password of user ``provisioner``, None when there is no such login.
        provisioner_without_token: with organization issuers the provisioner needs only its password.
        system_user: login of account ``system``, None when there is none.
        choria_ca: a CA of the choria security provider is set.
        client_hosts: hosts that may make requests of the fleet.
        deny_server_connections: connections known to be fleet servers are denied everything.
        client_tokens_only: besides provisioning, only clients with tokens get in; certificates do not count.
        unverified_account: account of clients that present nothing, empty to refuse them.
        signed_by: checks the ed25519 signatures of tokens and chains; never that of a nonce.
    """

    is_tls: bool
    accounts: frozenset[str]
    issuers: Mapping[str, Organization] = dataclasses.field(default_factory=dict)
    client_signers: tuple[SignerEntry, ...] = ()
    server_signers: tuple[SignerEntry, ...] = ()
    provisioning_signer: SignerEntry | None = None
    provisioner_password: Secret | None = None
    provisioner_without_token: bool = False
    system_user: SystemUser | None = None
    choria_ca: bool = False
    client_hosts: ClientHosts = dataclasses.field(default_factory=ClientHosts)
    deny_server_connections: bool = False
    client_tokens_only: bool = False
    unverified_account: str = ""
    signed_by: SignatureCheck = ed25519_verifies

    def decide(self, request: ConnectRequest, now: float) -> Verdict:
        """Decide about one connection.

        Args:
            request: what is known of it.
            now: the moment of the decision in Unix seconds.

        Returns:
            The verdict; nothing is ever raised.
        """
        return decide(request, self, now)


def decide(request: ConnectRequest, policy: Policy, now: float) -> Verdict:
    """Decide about one connection.

    The decision depends on nothing but its arguments, and it always ends in a verdict.

    Args:
        request: what is known of the connection.
        policy: what the broker was told.
        now: the moment of the decision in Unix seconds.
    """
    return settle(Case(request, policy, now, Trail(policy.accounts)))


def settle(case: Case) -> Verdict:
    """Bring a case to its verdict, whatever happens on the way."""
    try:
        return _enter(case)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a native library is not an Exception, and must refuse too
        return case.trail.refuse(rules.INTERNAL_ERROR, f"the decision failed with {type(error).__name__}")


def _enter(case: Case) -> Verdict:
    request, policy = case.request, case.policy
    if case.in_process and request.user.startswith(OWN_ACCOUNT):
        return _accept_untokened(
            case, rules.IN_PROCESS, "the broker itself connected", None, "in_process", request.user[len(OWN_ACCOUNT) :]
        )
    if policy.is_tls and not case.encrypted and not case.in_process:
        refused = case.trail.refuse(rules.TLS_REQUIRED, "the connection is in clear text and this broker uses TLS")
        return _unverified(case, refused)
    if request.token and not request.address and not case.in_process:
        return case.trail.refuse(rules.ADDRESS_UNKNOWN, "a token came from an unknown address", method="token")
    if request.user == PROVISIONER_USER:
        return provisioner(case)
    if policy.system_user is not None and policy.system_user.user and request.user == policy.system_user.user:
        return _system_user(case, policy.system_user)
    return _fleet(case)


def _system_user(case: Case, login: SystemUser) -> Verdict:
    request, trail = case.request, case.trail
    certified = case.mtls and not case.policy.client_tokens_only
    if not certified and not case.in_process:
        if not case.encrypted:
            return trail.refuse(rules.SYSTEM_TLS_REQUIRED, "the system user connected in clear text", method="system")
        if not request.token:
            return trail.refuse(
                rules.SYSTEM_TOKEN_REQUIRED,
                "the system user has neither a verified certificate nor a token",
                method="system",
            )
        claims = case.proven(ClientClaims, case.policy.client_signers, "system")
        if isinstance(claims, Verdict):
            return claims
        if not claims.permissions & {ClientPermission.SYSTEM_USER, ClientPermission.ORG_ADMIN}:
            return trail.refuse(
                rules.SYSTEM_PERMISSION,
                f"the token of {shown(claims.caller)} does not permit to be the system user",
                method="system",
            )
        trail.note(rules.SYSTEM_PERMISSION, "held")
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


def _fleet(case: Case) -> Verdict:
    request = case.request
    considered = bool(request.token) and case.encrypted and not case.in_process
    verdict = _with_token(case) if considered else _without_token(case)
    if verdict.allowed:
        return verdict
    if case.policy.is_tls and not case.mtls and not case.in_process:
        fallback = provisionee(case)
        if fallback.allowed:
            return fallback
        verdict = _both_refused(case, verdict, fallback)
    return _unverified(case, verdict)


def _both_refused(case: Case, verdict: Verdict, fallback: Verdict) -> Verdict:
    envelope = case.envelope
    if isinstance(envelope, Envelope) and Purpose.PROVISIONING in (envelope.purpose, envelope.payload.get("sub")):
        return case.trail.refuse_for_both(fallback, verdict, as_what="a client or server")
    return case.trail.refuse_for_both(verdict, fallback, as_what="a node to be provisioned")


def _with_token(case: Case) -> Verdict:
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
        f"a token for purpose {shown(envelope.purpose)} is for neither clients nor servers",
        method="token",
    )


def _client(case: Case) -> Verdict:
    claims = case.proven(ClientClaims, case.policy.client_signers, "token")
    if isinstance(claims, Verdict):
        return claims
    inside = case.policy.client_hosts.contain(case.request.address)
    return case.trail.accept(
        rules.CLIENT_TOKEN if inside else rules.CLIENT_TOKEN_OUTSIDE_CLIENT_HOSTS,
        f"client {shown(claims.caller)} has a valid token",
        method="token",
        account=case.account_of(claims),
        username=claims.caller,
        permissions=permissions.of_client(claims, inside_client_hosts=inside),
    )


def _server(case: Case) -> Verdict:
    claims = case.proven(ServerClaims, case.policy.server_signers, "token")
    if isinstance(claims, Verdict):
        return claims
    account = case.account_of(claims)
    denied = case.policy.deny_server_connections
    return case.trail.accept(
        rules.SERVER_DENIED if denied else rules.SERVER_TOKEN,
        f"server {shown(claims.identity)} has a valid token",
        method="token",
        account=account,
        username=claims.identity,
        permissions=permissions.NOTHING
        if denied
        else permissions.of_server(claims, own_account=account != CHORIA_ACCOUNT),
    )


def _without_token(case: Case) -> Verdict:
    policy, trail = case.policy, case.trail
    if case.in_process:
        return _accept_untokened(case, rules.IN_PROCESS, "the broker itself connected", None, "in_process")
    if policy.client_tokens_only and case.encrypted:
        return trail.refuse(rules.CLIENT_TOKEN_REQUIRED, "the connection has no client token")
    if not case.mtls:
        why = "the connection has no token" if not case.request.token else "tokens do not count in clear text"
        return trail.refuse(rules.CERTIFICATE_REQUIRED, f"{why} and no verified certificate was presented")
    if policy.issuers:
        if policy.choria_ca:
            reason = "a verified certificate alone gives everything except Choria's own traffic"
            return _accept_untokened(case, rules.MTLS_PUBSUB_ONLY, reason, permissions.PUBSUB_ONLY, "mtls")
        return trail.refuse(rules.MTLS_TOKEN_REQUIRED, "a verified certificate came without a token", method="mtls")
    rule, limits = _by_client_hosts(case, rules.MTLS, rules.MTLS_OUTSIDE_CLIENT_HOSTS, rules.MTLS_DENIED)
    return _accept_untokened(case, rule, "the connection has a verified certificate", limits, "mtls")


def _accept_untokened(
    case: Case, rule: Rule, reason: str, limits: Permissions | None, method: str, account: str = CHORIA_ACCOUNT
) -> Verdict:
    if limits is permissions.NOTHING and case.request.kind is Kind.LEAFNODE:
        why = "servers are denied and the leafnode counts as one"
        return case.trail.refuse(rules.LEAFNODE_DENIED, why, method=method)
    return case.trail.accept(
        rule, reason, method=method, account=account, username=name_sent(case.request.user), permissions=limits
    )


def _by_client_hosts(case: Case, inside: Rule, outside: Rule, denied: Rule) -> tuple[Rule, Permissions | None]:
    """Tell how a connection known only by its address counts, and the permissions it has for that."""
    if case.policy.client_hosts.contain(case.request.address):
        return inside, None
    if case.policy.deny_server_connections:
        return denied, permissions.NOTHING
    return outside, permissions.DEFAULT_SERVER


def _unverified(case: Case, refused: Verdict) -> Verdict:
    """Take in a client that presented nothing at all, where the operator wants that; pass on the refusal otherwise."""
    request, account = case.request, case.policy.unverified_account
    if not account or request.kind is not Kind.CLIENT or not _presents_nothing(request):
        return refused
    rule, limits = _by_client_hosts(
        case, rules.UNVERIFIED, rules.UNVERIFIED_OUTSIDE_CLIENT_HOSTS, rules.UNVERIFIED_DENIED
    )
    return case.trail.accept(
        rule,
        f"a client that presented nothing joins account {shown(account)}",
        method="unverified",
        account=account,
        username="",
        permissions=limits,
    )


def _presents_nothing(request: ConnectRequest) -> bool:
    presented = (request.token, request.user, request.password, request.signature, request.jwt, request.nkey)
    return request.tls is not TlsState.MTLS and request.certificate is None and not any(presented)
