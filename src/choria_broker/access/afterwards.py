"""What a new policy would say to a connection that an older one has let in.

The connection cannot be asked again: what it sent is forgotten. So it is judged by what was kept of it, and whatever
that does not tell counts as unchanged: nobody is said to get something else who would get the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from choria_broker.access import rules
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectionKind
from choria_broker.access.rules import Rule
from choria_broker.access.session import Session
from choria_broker.access.trust import Signer, SignerEntry
from choria_broker.security.keys import key_id
from choria_broker.settings.accounts import CHORIA_ACCOUNT, PROVISIONING_ACCOUNT, SYSTEM_ACCOUNT
from choria_broker.settings.network import SystemUser
from choria_broker.settings.secret import Secret

_Given = tuple[Rule, str]
"""The rule that lets a connection in, and the account where it is placed."""


class Logins(msgspec.Struct, frozen=True):
    """The logins with passwords that a policy had.

    Attributes:
        generation: of the policy.
        system: login of account ``system``, None when there was none.
        provisioner: password of user ``provisioner``, None when there was none.
    """

    generation: int
    system: SystemUser | None
    provisioner: Secret | None

    @classmethod
    def of(cls, policy: Policy, generation: int) -> Logins:
        """Take the logins of a policy."""
        return cls(generation, policy.system_user, policy.provisioner_password)


def differs(session: Session, policy: Policy, before: Sequence[Logins] = ()) -> bool:
    """Tell whether a policy would refuse a connection, or give it another rule or account, and so other permissions.

    Args:
        session: the connection, with what was kept of it.
        policy: the policy in force.
        before: logins of earlier policies, oldest first; without the one by which it came in, a changed password is not
            told.
    """
    holder = session.holder
    judge = _JUDGES.get(holder.method)
    if judge is None or not holder.rule or not session.generation:
        return False
    given = judge(session, policy)
    if given is None or (given[0].name, given[1]) != (holder.rule, session.account) or given[1] not in policy.accounts:
        return True
    return _other_password(session, policy, before)


def _other_password(session: Session, policy: Policy, before: Sequence[Logins]) -> bool:
    known = [each for each in before if each.generation <= session.generation]
    if not known:
        return False
    if session.holder.method == "system":
        return known[-1].system != policy.system_user
    return session.holder.method == "provisioner" and known[-1].provisioner != policy.provisioner_password


def _by_token(session: Session, policy: Policy) -> _Given | None:
    holder = session.holder
    is_client = bool(holder.caller)
    signers = policy.client_signers if is_client else policy.server_signers
    if not _signed(session, policy, signers):
        return None
    issuer = policy.issuers.get(holder.organization)
    account = CHORIA_ACCOUNT if issuer is None else issuer.account
    if is_client:
        inside = policy.client_hosts.contain(session.address)
        return (rules.CLIENT_TOKEN if inside else rules.CLIENT_TOKEN_OUTSIDE_CLIENT_HOSTS), account
    if policy.client_tokens_only:
        return None
    return (rules.SERVER_DENIED if policy.deny_server_connections else rules.SERVER_TOKEN), account


def _by_certificate(session: Session, policy: Policy) -> _Given | None:
    if policy.client_tokens_only:
        return None
    if policy.issuers:
        return (rules.MTLS_PUBSUB_ONLY, CHORIA_ACCOUNT) if policy.choria_ca else None
    if policy.client_hosts.contain(session.address):
        return rules.MTLS, CHORIA_ACCOUNT
    if not policy.deny_server_connections:
        return rules.MTLS_OUTSIDE_CLIENT_HOSTS, CHORIA_ACCOUNT
    return None if session.kind == "leafnode" else (rules.MTLS_DENIED, CHORIA_ACCOUNT)


def _unverified(session: Session, policy: Policy) -> _Given | None:
    account = policy.unverified_account
    if not account:
        return None
    if policy.client_hosts.contain(session.address):
        return rules.UNVERIFIED, account
    denied = policy.deny_server_connections
    return (rules.UNVERIFIED_DENIED if denied else rules.UNVERIFIED_OUTSIDE_CLIENT_HOSTS), account


def _system(session: Session, policy: Policy) -> _Given | None:
    login = policy.system_user
    if login is None or login.user != session.username:
        return None
    certified = session.tls == "mtls" and not policy.client_tokens_only
    tokenless = certified or session.kind == ConnectionKind.IN_PROCESS.value
    has_token = bool(session.holder.caller)
    if not tokenless and not (has_token and _token_counts(session, policy, policy.client_signers)):
        return None
    return rules.SYSTEM_USER, SYSTEM_ACCOUNT


def _provisioner(session: Session, policy: Policy) -> _Given | None:
    if not policy.provisioner_password:
        return None
    has_token = bool(session.holder.caller)
    if not policy.issuers:
        admitted = session.tls == "mtls"
    elif has_token:
        admitted = _token_counts(session, policy, ())
    else:
        admitted = policy.provisioner_without_token
    return (rules.PROVISIONER, PROVISIONING_ACCOUNT) if admitted else None


def _provisionee(session: Session, policy: Policy) -> _Given | None:
    single = () if policy.provisioning_signer is None else (policy.provisioning_signer,)
    by_organization = bool(policy.issuers) and _token_counts(session, policy, ())
    admitted = by_organization or (_goes_back_to(session, single) and not _apart(session, policy))
    return (rules.PROVISIONEE, PROVISIONING_ACCOUNT) if admitted else None


def _token_counts(session: Session, policy: Policy, signers: Sequence[SignerEntry]) -> bool:
    """Whether a token is good for an account that organizations share."""
    return _signed(session, policy, signers) and not _apart(session, policy)


def _apart(session: Session, policy: Policy) -> bool:
    issuer = policy.issuers.get(session.holder.organization)
    return issuer is not None and issuer.account != CHORIA_ACCOUNT


def _signed(session: Session, policy: Policy, signers: Sequence[SignerEntry]) -> bool:
    """Whether the key that a token goes back to still counts."""
    if not policy.issuers:
        return _goes_back_to(session, signers)
    issuer = policy.issuers.get(session.holder.organization)
    return issuer is not None and session.holder.signer in ("", key_id(issuer.key))


def _goes_back_to(session: Session, signers: Iterable[SignerEntry]) -> bool:
    signer = session.holder.signer
    return not signer or any(signer == key_id(each.key) for each in signers if isinstance(each, Signer))


_JUDGES: dict[str, Callable[[Session, Policy], _Given | None]] = {
    "token": _by_token,
    "mtls": _by_certificate,
    "unverified": _unverified,
    "system": _system,
    "provisioner": _provisioner,
    "provisioning": _provisionee,
}
