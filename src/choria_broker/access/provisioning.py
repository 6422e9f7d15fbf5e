"""Who joins account provisioning: the provisioner, and nodes that wait for it."""

from __future__ import annotations

from choria_broker.access import permissions, rules, trust
from choria_broker.access.case import Case, same_secret
from choria_broker.access.request import Kind, TlsState
from choria_broker.access.shown import name_sent
from choria_broker.access.verdict import PROVISIONING_ACCOUNT, Verdict
from choria_broker.security.tokens import EDDSA, Rejection, verify
from choria_broker.security.tokens_claims import ClientClaims, ClientPermission, ProvisioningClaims

PROVISIONER_USER = "provisioner"
"""The user name that asks to be the provisioner."""

_PROVISIONER = "provisioner"
_PROVISIONEE = "provisioning"


def provisioner(case: Case) -> Verdict:
    """Decide about a connection that asks to be the provisioner; it can be nothing else."""
    request, policy, trail = case.request, case.policy, case.trail
    if not policy.is_tls or not policy.provisioner_password:
        return trail.refuse(
            rules.PROVISIONER_DISABLED, "there is no provisioner login on this broker", method=_PROVISIONER
        )
    if not request.password or not same_secret(request.password, policy.provisioner_password.reveal()):
        return trail.refuse(
            rules.PROVISIONER_PASSWORD, "the password of user provisioner is wrong", method=_PROVISIONER
        )
    trail.note(rules.PROVISIONER_PASSWORD, "right")
    if policy.issuers:
        refused = _provisioner_token_refused(case)
        if refused is not None:
            return refused
    elif not case.mtls:
        return trail.refuse(
            rules.PROVISIONER_CERTIFICATE_REQUIRED, "user provisioner has no verified certificate", method=_PROVISIONER
        )
    return trail.accept(
        rules.PROVISIONER,
        "user provisioner joins account provisioning",
        method=_PROVISIONER,
        account=PROVISIONING_ACCOUNT,
        username=PROVISIONER_USER,
    )


def _provisioner_token_refused(case: Case) -> Verdict | None:
    if not case.request.token:
        if case.policy.provisioner_without_token:
            case.trail.note(rules.PROVISIONER_TOKEN_REQUIRED, "not here: provisioner_without_token is set")
            return None
        return case.trail.refuse(
            rules.PROVISIONER_TOKEN_REQUIRED, "user provisioner presented no token", method=_PROVISIONER
        )
    claims = case.proven(ClientClaims, (), _PROVISIONER)
    if isinstance(claims, Verdict):
        return claims
    if ClientPermission.PROVISIONER not in claims.permissions:
        return case.trail.refuse(
            rules.PROVISIONER_PERMISSION,
            "the token of user provisioner lacks the provisioner permission",
            method=_PROVISIONER,
        )
    case.trail.note(rules.PROVISIONER_PERMISSION, "held")
    return None


def provisionee(case: Case) -> Verdict:
    """Decide about a connection as a node that waits for provisioning; such nodes hold no key, so none is asked for."""
    request, policy, trail = case.request, case.policy, case.trail
    if request.kind is not Kind.CLIENT or request.tls is not TlsState.ANON or not policy.is_tls:
        return trail.refuse(
            rules.PROVISIONEE_KIND, "this kind of connection cannot wait for provisioning", method=_PROVISIONEE
        )
    if PROVISIONING_ACCOUNT not in policy.accounts:
        return trail.refuse(
            rules.PROVISIONING_DISABLED, "there is no account provisioning on this broker", method=_PROVISIONEE
        )
    if not request.token:
        return trail.refuse(rules.PROVISIONEE_TOKEN_REQUIRED, "no token was presented", method=_PROVISIONEE)
    fault = _provisioning_token_fault(case)
    if fault is not None:
        return case.refuse_token(fault, _PROVISIONEE)
    return trail.accept(
        rules.PROVISIONEE,
        "a node with a valid provisioning token joins account provisioning",
        method=_PROVISIONEE,
        account=PROVISIONING_ACCOUNT,
        username=name_sent(request.user),
        permissions=permissions.PROVISIONEE,
    )


def _provisioning_token_fault(case: Case) -> Rejection | None:
    envelope = case.envelope
    if isinstance(envelope, Rejection):
        return envelope
    if envelope.algorithm == EDDSA and case.policy.issuers:
        claims = case.verified(ProvisioningClaims, ())
        return claims if isinstance(claims, Rejection) else None
    # RSA tokens of the first version keep working beside organization issuers.
    signer = case.policy.provisioning_signer
    keys = trust.signer_keys(() if signer is None else (signer,), "choria_provisioning")
    if isinstance(keys, Rejection):
        return keys
    claims = verify(envelope, ProvisioningClaims, keys, case.now, case.policy.signed_by)
    return claims if isinstance(claims, Rejection) else None
