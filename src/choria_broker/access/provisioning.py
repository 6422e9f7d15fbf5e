"""Who joins account provisioning: the provisioner, and nodes that wait for it."""

from __future__ import annotations

from choria_broker.access import permissions, rules, trust
from choria_broker.access.case import Case, same_secret
from choria_broker.access.quoted import name_sent, quoted
from choria_broker.access.request import ConnectionKind, TlsState
from choria_broker.access.verdict import Verdict
from choria_broker.security.token_permissions import ClientPermission
from choria_broker.security.tokens import BY_NO_TRUSTED_KEY, EDDSA, Rejection, verify
from choria_broker.security.tokens_claims import ClientClaims, ProvisioningClaims, stated_holder
from choria_broker.settings.accounts import PROVISIONING_ACCOUNT
from choria_broker.values import replace

PROVISIONER_USER = "provisioner"
"""The user name that asks to be the provisioner."""

_PROVISIONER = "provisioner"
_PROVISIONEE = "provisioning"


def provisioner(case: Case) -> Verdict:
    """Decide about a connection that asks to be the provisioner; it can be nothing else."""
    request, policy, trail = case.request, case.policy, case.trail
    if not policy.is_tls or not policy.provisioner_password:
        return trail.refuse(rules.PROVISIONER_DISABLED, "this broker has no provisioner login", method=_PROVISIONER)
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
    if not case.request.has_token:
        if case.policy.provisioner_without_token:
            case.trail.note(rules.PROVISIONER_TOKEN_REQUIRED, "not required: provisioner_without_token is set")
            return None
        return case.trail.refuse(
            rules.PROVISIONER_TOKEN_REQUIRED, "user provisioner presented no token", method=_PROVISIONER
        )
    claims = case.proven(ClientClaims, (), _PROVISIONER)
    if isinstance(claims, Verdict):
        return claims
    apart = case.refuse_apart(claims, _PROVISIONER)
    if apart is not None:
        return apart
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
    if request.kind is not ConnectionKind.CLIENT or request.tls is not TlsState.ANON or not policy.is_tls:
        return trail.refuse(
            rules.PROVISIONEE_KIND, "this kind of connection cannot wait for provisioning", method=_PROVISIONEE
        )
    if PROVISIONING_ACCOUNT not in policy.accounts:
        return trail.refuse(rules.PROVISIONING_DISABLED, "this broker has no account provisioning", method=_PROVISIONEE)
    if not request.has_token:
        return trail.refuse(rules.PROVISIONEE_TOKEN_REQUIRED, "no token was presented", method=_PROVISIONEE)
    claims = _provisioning_claims(case)
    if isinstance(claims, Rejection):
        return case.refuse_token(claims, _PROVISIONEE)
    apart = case.refuse_apart(claims, _PROVISIONEE)
    if apart is not None:
        return apart
    case.claims = claims
    return trail.accept(
        rules.PROVISIONEE,
        f"a node with a valid provisioning token joins account provisioning{_claims_to_be(case)}",
        method=_PROVISIONEE,
        account=PROVISIONING_ACCOUNT,
        username=name_sent(request.user),
        permissions=permissions.PROVISIONEE,
    )


def _claims_to_be(case: Case) -> str:
    """Name the node, by what its token says, or by the name in its CONNECT; neither is proven."""
    stated = "" if isinstance(case.envelope, Rejection) else stated_holder(case.envelope.payload)
    name = stated or case.request.name
    return f"; it claims to be {quoted(name)}" if name else ""


def _provisioning_claims(case: Case) -> ProvisioningClaims | Rejection:
    envelope = case.envelope
    if isinstance(envelope, Rejection):
        return envelope
    if envelope.algorithm == EDDSA and case.policy.issuers:
        return case.verified(ProvisioningClaims, ())
    # RSA tokens of the first version keep working beside organization issuers.
    signer = case.policy.provisioning_signer
    signers = () if signer is None else (signer,)
    keys = trust.signer_keys(signers, "choria_provisioning")
    if isinstance(keys, Rejection):
        return keys
    case.keys = keys
    claims = verify(envelope, ProvisioningClaims, keys, case.now, case.policy.signed_by)
    if isinstance(claims, Rejection) and claims.reason == BY_NO_TRUSTED_KEY:
        return replace(claims, reason=claims.reason + trust.trusted_note(signers))
    return claims
