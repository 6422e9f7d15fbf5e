"""How TLS is used: by which listeners, with which files, and whether certificates of clients are verified."""

from __future__ import annotations

from pathlib import Path

from choria_broker.config.resolve.context import CLIENT_ANON_TLS, NETWORK_ON, PROVIDER, SECURITY, Context, network_key
from choria_broker.config.resolve.plain import plain
from choria_broker.config.resolve.providers import about_file, chosen_files
from choria_broker.config.table.suites import CIPHER_SUITES, CURVES
from choria_broker.config.text.collector import SettingRef
from choria_broker.config.text.shown_values import shown_file
from choria_broker.security.tls_files import inspect
from choria_broker.security.tls_problems import Part, TlsProblem
from choria_broker.security.verifier import Use
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.findings import Origin
from choria_broker.settings.tls import Tls, TlsFiles

_COMMAND_LINE = Origin("command line")


def resolve_tls(context: Context) -> Tls:
    """Decide how listeners use TLS, and look into the files."""
    values, overrides = context.values, context.overrides
    everywhere = not overrides.disable_tls
    enabled = everywhere or values.flag(network_key("client_tls_force_required"))
    verification = _verification(context)
    files = _files(context, required=enabled)
    if overrides.disable_tls:
        effect = "every port is clear text" if not enabled else "every port except the client port is clear text"
        context.collector.warn(
            Code.TLS_DISABLED,
            problem="TLS is off",
            effect=effect,
            at=SettingRef("--disable-tls", "", _COMMAND_LINE),
        )
    return Tls(
        enabled=enabled,
        everywhere=everywhere,
        verify_clients=enabled and verification and files is not None and files.ca is not None,
        files=files,
        cipher_suites=_names(context, SECURITY + "cipher_suites", CIPHER_SUITES),
        curves=_names(context, SECURITY + "ecc_curves", CURVES),
        **plain(context, Tls),
    )


def _verification(context: Context) -> bool:
    values, collector = context.values, context.collector
    problem, effect = (
        "client certificates are off",
        "no certificates are requested, so only connections with tokens are accepted",
    )
    remedy = "remove it, unless every client and server has a token"
    on = True
    for key in (SECURITY + "server_anon_tls", SECURITY + "client_anon_tls"):
        if values.flag(key):
            collector.warn(
                Code.VERIFICATION_DISABLED, problem=problem, effect=effect, remedy=remedy, at=values.ref(key)
            )
            on = False
    if context.overrides.disable_ssl_verification:
        at = SettingRef("--disable-ssl-verification", "", _COMMAND_LINE)
        collector.warn(
            Code.VERIFICATION_DISABLED, problem=problem, effect=effect, remedy="start without the option", at=at
        )
        on = False
    if values.flag(CLIENT_ANON_TLS):
        on = False
    signer = "plugin.choria.security.request_signer."
    if values.flag(SECURITY + "client_anon_tls") and not (
        values.given(signer + "url") or values.flag(signer + "service")
    ):
        collector.refuse(
            Code.ANON_TLS_WITHOUT_SIGNER,
            problem="anonymous TLS needs a request signer",
            remedy=f"set {signer}url or {signer}service, or remove this setting",
            at=values.ref(SECURITY + "client_anon_tls"),
        )
    return on


def _files(context: Context, *, required: bool) -> TlsFiles | None:
    values, facts = context.values, context.facts
    if values.is_bad(PROVIDER):
        return None
    found = chosen_files(values, facts.ssldir, context.identity, facts.certname)
    for trouble in found.problems:
        at = values.ref(trouble.key) if values.given(trouble.key) else values.absent(trouble.key, PROVIDER)
        _report(context, trouble.code, problem=trouble.problem, remedy=trouble.remedy, at=at, required=required)
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
            text = f"{shown_file(path)}: {problem} ({found.rule})"
            _report(
                context,
                Code.TLS_FILE_MISSING,
                problem=text,
                remedy=found.missing_remedy,
                at=about_file(values, part),
                required=required,
            )
    if missing:
        return files if required else None
    # Without a network broker nobody connects to it: the certificate is shown to other brokers only.
    serves = values.flag(NETWORK_ON) or values.is_bad(NETWORK_ON)
    for bad in inspect(
        facts.file(files.certificate).content,
        facts.file(files.key).content,
        facts.file(files.ca).content if files.ca else None,
        facts.now,
        context.identity if serves else "",
        Use.SERVER if serves else Use.CLIENT,
    ):
        _report_tls(context, bad, paths[bad.part], required=required)
    return files


def _report_tls(context: Context, bad: TlsProblem, path: Path, *, required: bool) -> None:
    at, problem = about_file(context.values, bad.part), f"{shown_file(path)}: {bad.problem}"
    if bad.fatal:
        _report(context, bad.code, problem=problem, remedy=bad.remedy, at=at, required=required)
    else:
        tell = context.collector.info if bad.idle else context.collector.warn
        tell(bad.code, problem=problem, effect=bad.effect, remedy=bad.remedy, at=at)


def _report(context: Context, code: Code, problem: str, remedy: str, at: SettingRef, *, required: bool) -> None:
    """Refuse when TLS needs the files, else warn."""
    if required:
        context.collector.refuse(code, problem=problem, remedy=remedy, at=at)
    else:
        context.collector.warn(code, problem=problem, effect="TLS is off, so the broker starts", remedy=remedy, at=at)


def _names(context: Context, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = context.values.items(key)
    for name in names:
        if name not in known:
            context.collector.refuse(
                Code.UNKNOWN_TLS_NAME,
                problem="not known to the engine, or considered insecure by it",
                remedy=f"use one of {', '.join(known)}",
                at=context.values.ref(key, name),
            )
    return names
