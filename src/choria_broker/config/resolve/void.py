"""Settings that another one makes void: nobody would notice, and the operator would look for the reason elsewhere.

What breaks something by that has a finding of its own where it is resolved. Here is the rest, as one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from choria_broker.config.resolve.context import NETWORK_ON, PROVIDER, SECURITY, Context, network_key
from choria_broker.config.resolve.remotes import CHORIA_CA
from choria_broker.security.keys import KeyFormError, key_from_file
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.network import NETWORK
from choria_broker.settings.security import Provider
from choria_broker.settings.streams import STANDARD_STREAMS

_PLUGIN, _STREAM = "plugin.choria.", network_key("stream.")
_ISSUERS = SECURITY + "issuer.names"
_FEDERATION, _ADAPTERS = _PLUGIN + "broker_federation", _PLUGIN + "adapters"
_SIGNER, _PASSWORD = network_key("provisioning.signer_cert"), network_key("provisioning.client_password")
_WITHOUT_TOKEN = network_key("provisioning.provisioner_without_token")
_OPERATOR, _GATEWAY_TLS = network_key("operator_account"), network_key("gateway_tls")
_GRACE = network_key("soft_shutdown_timeout")
_OWN_TLS = ("tls.cert", "tls.key", "tls.ca", "tls.verify")


class _Void(msgspec.Struct, frozen=True):
    """A rule by which settings are void.

    Attributes:
        keys: of the settings.
        when: tells whether they are.
        because: of what, as the problem of the finding.
        remedy: what to do.
        effect: of them, none usually.
    """

    keys: tuple[str, ...]
    when: Callable[[Context, Settings], bool]
    because: str
    remedy: str = "remove it"
    effect: str = "it has no effect"


def _without(*keys: str) -> Callable[[Context, Settings], bool]:
    """Tell whether none of these is set to anything."""
    return lambda context, _: not any(context.values.value(key) for key in keys)


def _other_provider(*providers: Provider) -> Callable[[Context, Settings], bool]:
    return lambda _, settings: settings.security.provider not in providers


def _alone(context: Context, _: Settings) -> bool:
    """Tell whether no setting says that there are peers: those of DNS may be missing only today."""
    return not context.values.items(network_key("peers")) and not context.values.flag(_PLUGIN + "use_srv")


def _rules() -> Iterator[_Void]:
    none = "is not set"
    yield _Void(
        (
            *(_PLUGIN + name for name in ("middleware_hosts",)),
            *("plugin.nats." + name for name in ("user", "pass", "credentials")),
            *("collectives", "main_collective", SECURITY + "support_legacy_certificates"),
        ),
        _without(_FEDERATION, _ADAPTERS),
        "only adapters and the federation broker use it, and there are none",
    )
    yield _Void(
        (_PLUGIN + "federation_middleware_hosts", _PLUGIN + "federation.cluster"),
        _without(_FEDERATION),
        f"{_FEDERATION} {none}",
    )
    port = _PLUGIN + "stats_port"
    yield _Void((_PLUGIN + "stats_address",), _without(port), f"{port} {none}", f"set {port}, or remove it")
    yield _Void(
        (_PLUGIN + "stats_ui",),
        _without(port),
        f"{port} {none}",
        f"set {port}, or remove it",
        "it is used only by programs that embed the broker and serve its pages",
    )
    srv = _PLUGIN + "use_srv"
    yield _Void((_PLUGIN + "srv_domain",), _without(srv), f"{srv} is false", f"set {srv} = true, or remove it")
    cluster = tuple(network_key(f"peer_{name}") for name in ("port", "user", "password", "tls"))
    yield _Void(cluster, _alone, "this broker has no peers", f"set {network_key('peers')}, or remove it")
    gateways = network_key("gateway_remotes")
    yield _Void((_GATEWAY_TLS,), _without(gateways), f"{gateways} {none}", f"set {gateways}, or remove it")
    yield _Void(
        (network_key("enforce_expiry"),),
        lambda context, _: context.values.given(_OPERATOR),
        f"with {_OPERATOR} the engine ends the sessions of users whose tokens expire",
    )
    crl = network_key("crl")
    yield _Void(
        (network_key("crl_expired"),),
        lambda context, settings: not settings.network.revocation.crls and not context.values.given(crl),
        "there are no lists of revoked certificates",
        f"set {crl}, or remove it",
    )
    yield _Void((_WITHOUT_TOKEN,), _without(_PASSWORD), f"{_PASSWORD} {none}", f"set {_PASSWORD}, or remove it")
    yield from _of_streams()
    yield from _of_providers()


def _of_streams() -> Iterator[_Void]:
    manage, store = _STREAM + "manage_streams", _STREAM + "store"
    for each in STANDARD_STREAMS:
        retention, replicas = _STREAM + each.retention_key, _STREAM + each.replicas_key
        yield _Void(
            (retention, replicas),
            lambda context, _: context.values.given(store) and not context.values.flag(manage),
            f"{manage} is false, so this broker does not change the stream",
        )
        if not each.elects:
            yield _Void(
                (replicas,),
                lambda context, _, retention=retention: (  # type: ignore[misc] # the loop's value, as it is now
                    context.values.given(store)
                    and context.values.flag(manage)
                    and not context.values.seconds(retention)
                ),
                f"{retention} is 0, so there is no such stream",
            )


def _of_providers() -> Iterator[_Void]:
    files = tuple(f"{SECURITY}file.{part}" for part in ("certificate", "key", "ca"))
    yield _Void(files, _other_provider(Provider.FILE), f"{PROVIDER} is not file")
    choria = tuple(
        f"{SECURITY}choria.{part}" for part in ("certificate", "key", "token_file", "seed_file", "trusted_signers")
    )
    yield _Void(choria, _other_provider(Provider.CHORIA), f"{PROVIDER} is not choria")
    yield _Void(
        (CHORIA_CA,),
        lambda context, settings: (
            settings.security.provider is not Provider.CHORIA and not context.values.items(_ISSUERS)
        ),
        f"{PROVIDER} is not choria, and there are no issuers",
    )
    hardware = (SECURITY + "pkcs11.driver_file", SECURITY + "pkcs11.slot")
    yield _Void(hardware, _other_provider(Provider.PKCS11), f"{PROVIDER} is not pkcs11")
    yield _Void(
        (_PLUGIN + "ssldir",),
        lambda _, settings: not settings.security.provider.in_ssldir,
        f"{PROVIDER} names its files one by one",
    )


_RULES = tuple(_rules())
_WITHOUT_NETWORK = _Void((), lambda *_: True, f"{NETWORK_ON} is not true", f"set {NETWORK_ON} = true, or remove it")


def report_void(context: Context, settings: Settings) -> None:
    """Report what was set and has no effect because of another setting.

    Args:
        context: inputs.
        settings: what they came to.
    """
    for rule in _RULES:
        given = [key for key in rule.keys if context.values.given(key)]
        if not settings.network_enabled:
            given = [key for key in given if not _is_of_network(key)]  # They are told of below.
        if given and rule.when(context, settings):
            for key in given:
                _tell(context, key, rule)
    if settings.network_enabled:
        _report_remotes(context)
        _report_signer(context, settings)
    elif not context.values.is_bad(NETWORK_ON):
        for key in filter(_is_of_network, context.values.set_keys()):
            _tell(context, key, _WITHOUT_NETWORK)


def _is_of_network(key: str) -> bool:
    return key.startswith(NETWORK) and key != _GRACE


def _tell(context: Context, key: str, rule: _Void) -> None:
    at = context.values.ref(key)
    context.collector.info(Code.NO_EFFECT, problem=rule.because, effect=rule.effect, remedy=rule.remedy, at=at)


def _report_remotes(context: Context) -> None:
    """Report files of remotes that use none."""
    values = context.values
    keys: tuple[str, ...]
    for family, listed in (("gateway_remote.", "gateway_remotes"), ("leafnode_remote.", "leafnode_remotes")):
        for name in dict.fromkeys(values.items(network_key(listed))):
            prefix = network_key(f"{family}{name}.")
            if family.startswith("gateway") and not values.flag(_GATEWAY_TLS):
                because, keys = f"{_GATEWAY_TLS} is false", (*_OWN_TLS, "tls.disable")
            elif family.startswith("leafnode") and _always_encrypted(values.items(prefix + "url")):
                because, keys = "all its URLs are wss, which is TLS", ("tls.disable",)
            elif values.flag(prefix + "tls.disable"):
                because, keys = f"{prefix}tls.disable turns TLS off for it", _OWN_TLS
            else:
                continue
            rule = _Void(tuple(prefix + key for key in keys), lambda *_: True, because)
            for key in filter(values.given, rule.keys):
                _tell(context, key, rule)


def _always_encrypted(urls: Sequence[str]) -> bool:
    return bool(urls) and all(url.startswith("wss:") for url in urls)


def _report_signer(context: Context, settings: Settings) -> None:
    """Report a signer of provisioning tokens beside issuers, whose keys count for all tokens but those of RSA keys."""
    values, signer = context.values, settings.network.provisioning.signer
    if signer is None or not values.items(_ISSUERS):
        return
    problem, at = f"with {_ISSUERS} the issuers sign provisioning tokens", values.ref(_SIGNER)
    try:
        rsa = isinstance(key_from_file(context.facts.file(signer).content), RSAPublicKey)
    except KeyFormError:
        rsa = False
    if rsa:
        effect, remedy = "it counts only for tokens that its RSA key signed", "remove it once no node has such a token"
        context.collector.info(Code.NO_EFFECT, problem=problem, effect=effect, remedy=remedy, at=at)
    else:
        remedy = "sign provisioning tokens with the key of an issuer, and remove this setting"
        context.collector.warn(
            Code.NO_EFFECT, problem=problem, effect="tokens that it signed are refused", remedy=remedy, at=at
        )
