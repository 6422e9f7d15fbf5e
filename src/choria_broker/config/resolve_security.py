"""Who is trusted and how TLS is used: provider, TLS files, issuers and signers."""

from __future__ import annotations

from pathlib import Path

from choria_broker.config.collector import Subject
from choria_broker.config.context import Context, network_key
from choria_broker.config.findings import Origin
from choria_broker.config.providers import ProviderFiles, ProviderInput, provider_files
from choria_broker.config.reading import Values
from choria_broker.config.resolve_accounts import organization_account
from choria_broker.config.settings import Issuer, Provider, Security, Tls, TlsFiles
from choria_broker.config.suites import CIPHER_SUITES, CURVES
from choria_broker.security.keys import KeyFormError, is_hex_key, key_from_file
from choria_broker.security.tls_files import Part, TlsProblem, inspect

_SECURITY = "plugin.security."
_PROVIDER = _SECURITY + "provider"
_TRUSTED = _SECURITY + "choria.trusted_signers"
_SIGNING_ALIAS = "plugin.choria.security.request_signing_certificate"
_CLIENT_SIGNERS = network_key("client_signer_cert")
_SERVER_SIGNERS = network_key("server_signer_cert")
_CLIENT_ANON_TLS = network_key("client_anon_tls")
_ISSUERS = _SECURITY + "issuer.names"
_NOT_WITH_CHORIA = (
    "plugin.choria.security.server.token_file",
    "plugin.choria.security.server.seed_file",
    "plugin.choria.security.request_signer.token_file",
    "plugin.choria.security.request_signer.seed_file",
    "plugin.choria.security.request_signer.url",
    "plugin.choria.security.request_signer.service",
)
_KEY_REMEDY = "write the ed25519 public key as 64 hexadecimal digits"
_COMMAND_LINE = Origin("command line")


def client_signers(values: Values) -> tuple[str, ...]:
    """Return the signers of client tokens, the older setting's file when only that is set."""
    signers = values.items(_CLIENT_SIGNERS)
    older = values.path(_SIGNING_ALIAS)
    return signers or ((str(older),) if older else ())


def chosen_provider(values: Values) -> Provider:
    """Return the security provider."""
    return Provider(values.text(_PROVIDER))


def chosen_files(values: Values, ssldir: Path | None, identity: str, certname: str) -> ProviderFiles:
    """Tell which files make up the broker's TLS identity."""
    provider = chosen_provider(values)
    explicit = provider in {Provider.FILE, Provider.CHORIA}
    paths = {part: values.path(f"{_SECURITY}{provider}.{part}") if explicit else None for part in Part}
    configured = values.path("plugin.choria.ssldir")
    if configured is None and provider is Provider.PUPPET:
        configured = ssldir
    return provider_files(
        ProviderInput(
            provider, certname or identity, configured, paths[Part.CERTIFICATE], paths[Part.KEY], paths[Part.CA]
        )
    )


def resolve_tls(context: Context) -> Tls:
    """Decide how listeners use TLS, and look into the files."""
    values, overrides = context.values, context.overrides
    everywhere = not overrides.disable_tls
    enabled = everywhere or values.flag(network_key("client_tls_force_required"))
    verification = _verification(context)
    files = _files(context, required=enabled)
    if overrides.disable_tls:
        effect = "every port is clear text" if not enabled else "every port but the client port is clear text"
        remedy = "start without the option"
        context.collector.warn(
            "tls-disabled", "TLS is off", effect, remedy, Subject("--disable-tls", "", _COMMAND_LINE)
        )
    return Tls(
        enabled=enabled,
        everywhere=everywhere,
        verify_clients=enabled and verification and files is not None and files.ca is not None,
        files=files,
        cipher_suites=_names(context, _SECURITY + "cipher_suites", CIPHER_SUITES),
        curves=_names(context, _SECURITY + "ecc_curves", CURVES),
        handshake_timeout=values.seconds(network_key("tls_timeout")),
    )


def _verification(context: Context) -> bool:
    values, collector = context.values, context.collector
    problem, effect = "client certificates are off", "nobody is asked for a certificate, so only tokens let anybody in"
    remedy = "remove it, unless every client and server has a token"
    on = True
    for key in (_SECURITY + "server_anon_tls", _SECURITY + "client_anon_tls"):
        if values.flag(key):
            collector.warn("verification-disabled", problem, effect, remedy, values.subject(key))
            on = False
    if context.overrides.disable_ssl_verification:
        at = Subject("--disable-ssl-verification", "", _COMMAND_LINE)
        collector.warn("verification-disabled", problem, effect, "start without the option", at)
        on = False
    if values.flag(_CLIENT_ANON_TLS):
        on = False
    signer = "plugin.choria.security.request_signer."
    if values.flag(_SECURITY + "client_anon_tls") and not (
        values.given(signer + "url") or values.flag(signer + "service")
    ):
        collector.refuse(
            "anon-tls-without-signer",
            "anonymous TLS needs a request signer",
            f"set {signer}url or {signer}service, or remove this setting",
            values.subject(_SECURITY + "client_anon_tls"),
        )
    return on


def _files(context: Context, *, required: bool) -> TlsFiles | None:
    values, facts = context.values, context.facts
    if values.is_bad(_PROVIDER):
        return None
    found = chosen_files(values, facts.ssldir, context.identity, facts.certname)
    for trouble in found.problems:
        at = values.subject(trouble.key) if values.given(trouble.key) else values.absent(trouble.key, _PROVIDER)
        _report(context, trouble.code, trouble.problem, trouble.remedy, at, required=required)
    files = found.files
    if files is None:
        return None
    paths = {Part.CERTIFICATE: files.certificate, Part.KEY: files.key}
    if files.ca:
        paths[Part.CA] = files.ca
    missing = False
    for part, path in paths.items():
        problem = facts.file(path).problem
        if problem:
            missing = True
            text = f"{path}: {problem} ({found.rule})"
            _report(context, "tls-file-missing", text, found.missing_remedy, _about(values, part), required=required)
    if missing:
        return files if required else None
    for bad in inspect(
        facts.file(files.certificate).content,
        facts.file(files.key).content,
        facts.file(files.ca).content if files.ca else None,
        facts.now,
        context.identity,
    ):
        _report_tls(context, bad, paths[bad.part], required=required)
    return files


def _report_tls(context: Context, bad: TlsProblem, path: Path, *, required: bool) -> None:
    at, problem = _about(context.values, bad.part), f"{path}: {bad.problem}"
    if bad.fatal:
        _report(context, bad.code, problem, bad.remedy, at, required=required)
    else:
        context.collector.warn(bad.code, problem, "the broker starts", bad.remedy, at)


def _report(context: Context, code: str, problem: str, remedy: str, at: Subject, *, required: bool) -> None:
    """Refuse when TLS needs the files, else warn."""
    if required:
        context.collector.refuse(code, problem, remedy, at)
    else:
        context.collector.warn(code, problem, "TLS is off, so the broker starts", remedy, at)


def _about(values: Values, part: Part) -> Subject:
    provider = chosen_provider(values)
    explicit = provider in {Provider.FILE, Provider.CHORIA}
    return values.subject(f"{_SECURITY}{provider}.{part}" if explicit else "plugin.choria.ssldir")


def _names(context: Context, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = context.values.items(key)
    for name in names:
        if name not in known:
            context.collector.refuse(
                "unknown-tls-name",
                "a name the engine does not know, or one it holds to be insecure",
                f"use names out of {', '.join(known)}",
                context.values.subject(key, name),
            )
    return names


def resolve_security(context: Context) -> Security:
    """Decide who is trusted."""
    values = context.values
    issuers = _issuers(context)
    if values.items(_ISSUERS):
        _refuse_signers_with_issuers(context)
    provider = chosen_provider(values)
    if provider is Provider.CHORIA:
        _check_choria(context)
    return Security(provider, issuers, choria_ca=values.given(_SECURITY + "choria.ca"))


def _issuers(context: Context) -> tuple[Issuer, ...]:
    issuers = []
    for name in context.distinct(_ISSUERS):
        key = f"{_SECURITY}issuer.{name}.public"
        public = context.values.text(key)
        account = organization_account(context, name)
        if is_hex_key(public):
            issuers.append(Issuer(name, public.lower(), account))
        elif public:
            context.collector.refuse(
                "bad-issuer-key", "not an ed25519 public key", _KEY_REMEDY, context.values.subject(key)
            )
        else:
            problem = f"issuer {name} has no public key"
            at = context.values.absent(key, _ISSUERS)
            context.collector.refuse("no-issuer-key", problem, f"set {key}", at)
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
                "issuer-with-signers",
                f"cannot set {what} using {key} when an issuer is configured",
                f"remove {key}, or {_ISSUERS}",
                context.values.subject(key),
            )


def _check_choria(context: Context) -> None:
    values, collector = context.values, context.collector
    trusted = values.items(_TRUSTED)
    at = values.subject(_PROVIDER)
    if not trusted and not values.items(_ISSUERS):
        problem = "the choria security provider needs issuers or trusted signers"
        collector.refuse("choria-without-signers", problem, f"set {_ISSUERS}, or {_TRUSTED}", at)
    for signer in trusted:
        if not is_hex_key(signer):
            collector.refuse(
                "bad-signer-key", "not an ed25519 public key", _KEY_REMEDY, values.subject(_TRUSTED, signer)
            )
    for name in ("token_file", "seed_file"):
        key = f"{_SECURITY}choria.{name}"
        if not values.given(key):
            problem = "the choria security provider needs it"
            collector.refuse(
                "choria-without-token", problem, "set it; the file may appear later", values.absent(key, _PROVIDER)
            )
    for key in (*_NOT_WITH_CHORIA, _SECURITY + "server_anon_tls", _SECURITY + "client_anon_tls"):
        if values.given(key) and values.text(key):
            problem = "cannot be combined with the choria security provider"
            collector.refuse("choria-conflict", problem, "remove one of the two", values.subject(key))


def resolve_signers(context: Context, *, tls: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the signers of client and of server tokens, after a look at the files among them."""
    values, collector = context.values, context.collector
    if values.given(_SIGNING_ALIAS):
        at = values.subject(_SIGNING_ALIAS)
        effect = "it is ignored" if values.given(_CLIENT_SIGNERS) else "it counts as one signer of client tokens"
        collector.warn("alias-key", f"an older name of {_CLIENT_SIGNERS}", effect, f"write {_CLIENT_SIGNERS}", at)
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
    fact = context.facts.file(Path(signer))
    code, problem = "signer-missing", fact.problem or ("" if fact.content.strip() else "the file is empty")
    if not problem:
        try:
            key_from_file(fact.content)
        except KeyFormError as error:
            code, problem = "bad-signer", str(error)
    if problem:
        remedy = "put the PEM certificate or public key there, or write a key of 64 hexadecimal digits"
        context.collector.refuse(code, f"{signer}: {problem}", remedy, context.values.subject(key, signer))


def resolve_client_anon_tls(context: Context, *, signed: bool) -> bool:
    """Tell whether clients with tokens are all that gets in, and report what cannot work beside that.

    Args:
        context: inputs.
        signed: somebody is trusted to sign client tokens.
    """
    values, collector = context.values, context.collector
    if not values.flag(_CLIENT_ANON_TLS):
        return False
    at, other = values.subject(_CLIENT_ANON_TLS), _SECURITY + "client_anon_tls"
    if not signed:
        problem, remedy = "nobody signs client tokens, so nobody could get in", f"set {_CLIENT_SIGNERS}, or {_ISSUERS}"
        collector.refuse("client-anon-tls-without-signer", problem, remedy, at)
    if values.flag(other):
        problem = f"cannot be combined with {other}, another setting with another meaning"
        collector.refuse("client-anon-tls-twice", problem, f"remove {other}", at)
    if values.given(_SERVER_SIGNERS):
        problem, effect = f"{_CLIENT_ANON_TLS} refuses servers", "it has no effect"
        collector.warn("no-effect", problem, effect, "remove one of the two", values.subject(_SERVER_SIGNERS))
    password = network_key("provisioning.client_password")
    if values.given(password) and not values.items(_ISSUERS):
        problem = f"the provisioner logs in with a certificate, which {_CLIENT_ANON_TLS} asks nobody for"
        effect, remedy = "the provisioner is refused", "let the provisioner use another broker of the network"
        collector.warn("provisioner-without-certificate", problem, effect, remedy, values.subject(password))
    return True
