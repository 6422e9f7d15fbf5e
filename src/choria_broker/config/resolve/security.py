"""Who is trusted: issuers and signers, and what cannot be combined with them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from choria_broker.config.resolve.accounts import organization_account
from choria_broker.config.resolve.context import CLIENT_ANON_TLS, PROVIDER, SECURITY, Context, network_key
from choria_broker.config.resolve.plain import plain
from choria_broker.config.resolve.providers import chosen_provider
from choria_broker.config.text.reading import Values
from choria_broker.config.text.shown_values import shown_file, shown_name
from choria_broker.host.facts import FileFact
from choria_broker.security.keys import KeyFormError, is_hex_key, key_from_file
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.security import Issuer, Provider, Security

_TRUSTED = SECURITY + "choria.trusted_signers"
_SIGNING_ALIAS = "plugin.choria.security.request_signing_certificate"
_CLIENT_SIGNERS = network_key("client_signer_cert")
_SERVER_SIGNERS = network_key("server_signer_cert")
_ISSUERS = SECURITY + "issuer.names"
_NOT_WITH_CHORIA = (
    "plugin.choria.security.server.token_file",
    "plugin.choria.security.server.seed_file",
    "plugin.choria.security.request_signer.token_file",
    "plugin.choria.security.request_signer.seed_file",
    "plugin.choria.security.request_signer.url",
    "plugin.choria.security.request_signer.service",
)
_KEY_REMEDY = "write the ed25519 public key as 64 hexadecimal digits"


def client_signers(values: Values) -> tuple[str, ...]:
    """Return the signers of client tokens, the older setting's file when only that is set."""
    signers = values.items(_CLIENT_SIGNERS)
    older = values.path(_SIGNING_ALIAS)
    return signers or ((str(older),) if older else ())


def resolve_security(context: Context) -> Security:
    """Decide who is trusted."""
    values = context.values
    issuers = _issuers(context)
    if values.items(_ISSUERS):
        _refuse_signers_with_issuers(context)
    provider = chosen_provider(values)
    if provider is Provider.CHORIA:
        _check_choria(context)
    return Security(**plain(context, Security), issuers=issuers, choria_ca=values.given(SECURITY + "choria.ca"))


def _issuers(context: Context) -> tuple[Issuer, ...]:
    issuers = []
    for name in context.distinct(_ISSUERS):
        key = f"{SECURITY}issuer.{name}.public"
        public = context.values.text(key)
        account = organization_account(context, name)
        if is_hex_key(public):
            issuers.append(Issuer(name=name, public_key=public.lower(), account=account))
        elif public:
            context.collector.refuse(
                Code.BAD_ISSUER_KEY,
                problem="not an ed25519 public key",
                remedy=_KEY_REMEDY,
                at=context.values.ref(key),
            )
        else:
            problem = f"issuer {shown_name(name)} has no public key"
            at = context.values.absent(key, _ISSUERS)
            context.collector.refuse(Code.NO_ISSUER_KEY, problem=problem, remedy=f"set {key}", at=at)
    return tuple(issuers)


def _refuse_signers_with_issuers(context: Context) -> None:
    wording = {
        _CLIENT_SIGNERS: "trusted client signers",
        _SIGNING_ALIAS: "trusted client signers",
        _SERVER_SIGNERS: "trusted server signers",
        _TRUSTED: "trusted signers",
    }
    for key, what in wording.items():
        if context.values.given(key):
            context.collector.refuse(
                Code.ISSUER_WITH_SIGNERS,
                problem=f"cannot set {what} using {key} when an issuer is configured",
                remedy=f"remove {key}, or {_ISSUERS}",
                at=context.values.ref(key),
            )


def _check_choria(context: Context) -> None:
    values, collector = context.values, context.collector
    trusted = values.items(_TRUSTED)
    at = values.ref(PROVIDER)
    if not trusted and not values.items(_ISSUERS):
        problem = "the choria security provider needs issuers or trusted signers"
        collector.refuse(Code.CHORIA_WITHOUT_SIGNERS, problem=problem, remedy=f"set {_ISSUERS}, or {_TRUSTED}", at=at)
    for signer in trusted:
        if not is_hex_key(signer):
            collector.refuse(
                Code.BAD_SIGNER_KEY,
                problem="not an ed25519 public key",
                remedy=_KEY_REMEDY,
                at=values.ref(_TRUSTED, signer),
            )
    for name in ("token_file", "seed_file"):
        key = f"{SECURITY}choria.{name}"
        if not values.given(key):
            problem = "the choria security provider needs it"
            collector.refuse(
                Code.CHORIA_WITHOUT_TOKEN,
                problem=problem,
                at=values.absent(key, PROVIDER),
            )
    for key in (*_NOT_WITH_CHORIA, SECURITY + "server_anon_tls", SECURITY + "client_anon_tls"):
        if values.given(key) and values.text(key):
            problem = "cannot be combined with the choria security provider"
            collector.refuse(Code.CHORIA_CONFLICT, problem=problem, at=values.ref(key))


def resolve_signers(context: Context, *, tls: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the signers of client and of server tokens, after a look at the files among them."""
    values, collector = context.values, context.collector
    if values.given(_SIGNING_ALIAS):
        at = values.ref(_SIGNING_ALIAS)
        effect = "it is ignored" if values.given(_CLIENT_SIGNERS) else "it is used as one signer of client tokens"
        collector.warn(
            Code.ALIAS_KEY,
            problem=f"an older name of {_CLIENT_SIGNERS}",
            effect=effect,
            remedy=f"write {_CLIENT_SIGNERS}",
            at=at,
        )
    clients, servers = client_signers(values), values.items(_SERVER_SIGNERS)
    source = _CLIENT_SIGNERS if values.given(_CLIENT_SIGNERS) else _SIGNING_ALIAS
    if tls:
        for key, signers in ((source, clients), (_SERVER_SIGNERS, servers)):
            for signer in signers:
                check_signer(context, key, signer)
    return clients, servers


def check_signer(context: Context, key: str, signer: str) -> None:
    """Refuse a signer that is neither a key nor a file with a key in it."""
    if is_hex_key(signer):
        return
    found = _signer_problem(context.facts.file(Path(signer)))
    if found is None:
        return
    code, problem = found
    at, told = context.values.ref(key, signer), f"{shown_file(signer)}: {problem}"
    remedy = "put the PEM certificate or public key there, or write a key of 64 hexadecimal digits"
    if context.served and context.served.signer_files.get(signer) is not None:
        context.collector.skip(
            code, problem=told, effect="the key that was read before stays in use", remedy=remedy, at=at
        )
    else:
        context.collector.refuse(code, problem=told, remedy=remedy, at=at)


def signer_files(context: Context, names: Iterable[str]) -> dict[str, bytes | None]:
    """Return the content of the files of signers; of one that turned bad, what a running broker serves.

    Args:
        context: inputs.
        names: entries that name files.
    """
    served = context.served.signer_files if context.served else {}
    found: dict[str, bytes | None] = {}
    for name in names:
        fact = context.facts.file(Path(name))
        problem = _signer_problem(fact)
        # A bad file without a predecessor is kept as it is, so that the policy can say what is wrong with it.
        found[name] = (served.get(name) if problem else None) or (None if fact.problem else fact.content)
    return found


def _signer_problem(fact: FileFact) -> tuple[Code, str] | None:
    """Return the code of a finding and what is wrong with the file of a signer, None when nothing is."""
    if fact.problem or not fact.content.strip():
        return Code.SIGNER_MISSING, fact.problem or "the file is empty"
    try:
        key_from_file(fact.content)
    except KeyFormError as error:
        return Code.BAD_SIGNER, str(error)
    return None


def check_client_anon_tls(context: Context, *, signed: bool) -> None:
    """Report what cannot work where clients with tokens are all that gets in.

    Args:
        context: inputs.
        signed: somebody is trusted to sign client tokens.
    """
    values, collector = context.values, context.collector
    if not values.flag(CLIENT_ANON_TLS):
        return
    at, other = values.ref(CLIENT_ANON_TLS), SECURITY + "client_anon_tls"
    if not signed:
        problem, remedy = (
            "nobody signs client tokens, so no client could log in",
            f"set {_CLIENT_SIGNERS}, or {_ISSUERS}",
        )
        collector.refuse(Code.CLIENT_ANON_TLS_WITHOUT_SIGNER, problem=problem, remedy=remedy, at=at)
    if values.flag(other):
        problem = f"cannot be combined with {other}, which is a different setting"
        collector.refuse(Code.CLIENT_ANON_TLS_TWICE, problem=problem, remedy=f"remove {other}", at=at)
    if values.given(_SERVER_SIGNERS):
        problem, effect = f"{CLIENT_ANON_TLS} refuses servers", "it has no effect"
        collector.warn(
            Code.NO_EFFECT,
            problem=problem,
            effect=effect,
            remedy="remove one of the two",
            at=values.ref(_SERVER_SIGNERS),
        )
    password = network_key("provisioning.client_password")
    if values.given(password) and not values.items(_ISSUERS):
        problem = f"the provisioner logs in with a certificate, but {CLIENT_ANON_TLS} turns certificates off"
        effect, remedy = "the provisioner is refused", "let the provisioner use another broker of the network"
        collector.warn(
            Code.PROVISIONER_WITHOUT_CERTIFICATE,
            problem=problem,
            effect=effect,
            remedy=remedy,
            at=values.ref(password),
        )
