"""Security providers: which files make up the broker's TLS identity, and by which rule."""

from __future__ import annotations

from pathlib import Path

import msgspec

from choria_broker.config.resolve.context import SECURITY
from choria_broker.config.text.collector import SettingRef
from choria_broker.config.text.reading import Values
from choria_broker.security.tls_problems import Part
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.security import Provider
from choria_broker.settings.tls import TlsFiles

_ASK_SSLDIR = "set plugin.choria.ssldir to the directory that holds certs and private_keys"


class ProviderInput(msgspec.Struct, frozen=True):
    """What the paths depend on; unset paths are None.

    Attributes:
        provider: the chosen provider.
        name: certificate name of the puppet provider.
        ssldir: configured directory, or the one puppet told.
        certificate, key, ca: paths configured for this provider.
    """

    provider: Provider
    name: str
    ssldir: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


class ProviderProblem(msgspec.Struct, frozen=True):
    """Why a provider gives no files.

    Attributes:
        code: stable name of the class of problem.
        key: setting to look at.
        problem: what is wrong, without a final full stop.
        remedy: what to do; empty is that of the code.
    """

    code: Code
    key: str
    problem: str
    remedy: str = ""


class ProviderFiles(msgspec.Struct, frozen=True):
    """The files of a provider, or why there are none.

    Attributes:
        files: certificate, key and CA; None when a path is not known.
        rule: how the paths came about, for messages about files that are missing.
        missing_remedy: what to do when one of the files does not exist.
        problems: why ``files`` is None.
    """

    files: TlsFiles | None
    rule: str
    missing_remedy: str = "put the file there, or correct the setting"
    problems: tuple[ProviderProblem, ...] = ()


def provider_files(given: ProviderInput) -> ProviderFiles:
    """Tell where certificate, private key and CA are."""
    if given.provider is Provider.PUPPET:
        return _puppet(given)
    if given.provider is Provider.CERTMANAGER:
        return _certmanager(given)
    if given.provider is Provider.PKCS11:
        return _pkcs11()
    return _explicit(given)


def _puppet(given: ProviderInput) -> ProviderFiles:
    rule = f"security provider puppet, certificate name {given.name}"
    if not given.ssldir:
        problem = "the directory of Puppet's TLS files is not known: puppet could not be asked"
        return _nothing(
            rule, ProviderProblem(code=Code.NO_SSLDIR, key="plugin.choria.ssldir", problem=problem, remedy=_ASK_SSLDIR)
        )
    files = TlsFiles(
        certificate=given.ssldir / "certs" / f"{given.name}.pem",
        key=given.ssldir / "private_keys" / f"{given.name}.pem",
        ca=given.ssldir / "certs" / "ca.pem",
    )
    remedy = "run puppet agent once so that it requests the certificate, or correct identity or plugin.choria.ssldir"
    return ProviderFiles(files, rule, remedy)


def _certmanager(given: ProviderInput) -> ProviderFiles:
    rule = "security provider certmanager"
    if not given.ssldir:
        problem = "the certmanager provider needs a directory"
        remedy = "set plugin.choria.ssldir to the directory with cert.pem, key.pem and ca.pem"
        return _nothing(
            rule, ProviderProblem(code=Code.NO_SSLDIR, key="plugin.choria.ssldir", problem=problem, remedy=remedy)
        )
    files = TlsFiles(certificate=given.ssldir / "cert.pem", key=given.ssldir / "key.pem", ca=given.ssldir / "ca.pem")
    remedy = (
        "put the files there: this version cannot request certificates from cert-manager, so mount its "
        "secret under these names"
    )
    return ProviderFiles(files, rule, remedy)


def _explicit(given: ProviderInput) -> ProviderFiles:
    name = given.provider.value
    rule = f"security provider {name}"
    ca_required = given.provider is Provider.FILE
    wanted = {"certificate": given.certificate, "key": given.key} | ({"ca": given.ca} if ca_required else {})
    problems = tuple(
        ProviderProblem(
            code=Code.NO_TLS_FILE,
            key=f"plugin.security.{name}.{part}",
            problem=f"not set, but the {name} provider needs it for TLS",
            remedy=f"set it to the path of the {'CA' if part == 'ca' else part} file",
        )
        for part, path in wanted.items()
        if path is None
    )
    if problems or given.certificate is None or given.key is None:
        return ProviderFiles(None, rule, problems=problems)
    return ProviderFiles(TlsFiles(certificate=given.certificate, key=given.key, ca=given.ca), rule)


def _pkcs11() -> ProviderFiles:
    problem = "a broker cannot use a key that is inside a token"
    return _nothing(
        "security provider pkcs11",
        ProviderProblem(code=Code.PKCS11, key="plugin.security.provider", problem=problem),
    )


def _nothing(rule: str, problem: ProviderProblem) -> ProviderFiles:
    return ProviderFiles(None, rule, problems=(problem,))


def chosen_provider(values: Values) -> Provider:
    """Return the security provider."""
    return Provider(values.text(SECURITY + "provider"))


def chosen_files(values: Values, ssldir: Path | None, identity: str, certname: str) -> ProviderFiles:
    """Tell which files make up the broker's TLS identity."""
    provider = chosen_provider(values)
    paths = {part: values.path(f"{SECURITY}{provider}.{part}") if provider.named else None for part in Part}
    configured = values.path("plugin.choria.ssldir")
    if configured is None and provider is Provider.PUPPET:
        configured = ssldir
    return provider_files(
        ProviderInput(
            provider, certname or identity, configured, paths[Part.CERTIFICATE], paths[Part.KEY], paths[Part.CA]
        )
    )


def about_file(values: Values, part: Part) -> SettingRef:
    """Return the setting that a file of the broker's own TLS comes from."""
    provider = chosen_provider(values)
    return values.ref(f"{SECURITY}{provider}.{part}" if provider.named else "plugin.choria.ssldir")
