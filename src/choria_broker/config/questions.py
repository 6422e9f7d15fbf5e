"""What must be found out about machine and network before a configuration can be resolved."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from choria_broker.config.context import network_key
from choria_broker.config.endpoints import parse_endpoint
from choria_broker.config.facts import SrvAnswer
from choria_broker.config.reading import Values
from choria_broker.config.resolve_operator import is_store_name
from choria_broker.config.resolve_security import chosen_provider, client_signers
from choria_broker.config.settings import Provider, TlsFiles
from choria_broker.config.values import BadValueError
from choria_broker.security.keys import is_hex_key

NETWORK_ON = "plugin.choria.broker_network"
PEERS_RECORD = "_mcollective-broker._tcp"
"""SRV record of the members of a cluster."""

_REMOTE_FILES = ("tls.cert", "tls.key", "tls.ca", "credentials", "credential")


def needs_ssldir(values: Values) -> bool:
    """Tell whether puppet must be asked for its directory of TLS files."""
    provider = "plugin.security.provider"
    return (
        not values.is_bad(provider)
        and chosen_provider(values) is Provider.PUPPET
        and values.path("plugin.choria.ssldir") is None
    )


def needs_peers(values: Values) -> bool:
    """Tell whether the SRV record of the peers is to be asked for."""
    return values.flag(NETWORK_ON) and values.flag("plugin.choria.use_srv")


def known_domain(values: Values, identity: str) -> str:
    """Return the domain of SRV records as far as the configuration and the identity tell it, else an empty text."""
    configured = values.text("plugin.choria.srv_domain").strip(".")
    if configured:
        return configured
    try:
        ipaddress.ip_address(identity)
    except ValueError:
        return identity.partition(".")[2].strip(".")
    return ""


def peer_hosts(values: Values, srv: SrvAnswer | None) -> tuple[str, ...]:
    """Return the host names of the peers, to find out which of them is this machine."""
    if srv and srv.targets:
        return tuple(dict.fromkeys(host for host, _ in srv.targets))
    hosts: dict[str, None] = {}
    for text in values.items(network_key("peers")):
        try:
            hosts[parse_endpoint(text).endpoint.host] = None
        except BadValueError:
            continue
    return tuple(hosts)


def operator_store(values: Values, source: Path) -> Path | None:
    """Return the directory of the operator's store, None when there is no operator or its name cannot be one.

    Args:
        values: of the configuration.
        source: absolute path of the main configuration file.
    """
    name = values.text(network_key("operator_account"))
    return source.parent / "accounts" / "nats" / name if is_store_name(name) else None


def named_files(values: Values, identity_files: TlsFiles | None) -> tuple[Path, ...]:
    """Return every file whose content matters: TLS identity, signers, remotes' TLS files and credentials."""
    wanted: list[Path | None] = []
    if identity_files:
        wanted += [identity_files.certificate, identity_files.key, identity_files.ca]
    signers = (*client_signers(values), *values.items(network_key("server_signer_cert")))
    wanted += [Path(signer) for signer in signers if not is_hex_key(signer)]
    wanted.append(values.path(network_key("provisioning.signer_cert")))
    for family, listed in (("gateway_remote", "gateway_remotes"), ("leafnode_remote", "leafnode_remotes")):
        for name in values.items(network_key(listed)):
            for suffix in _REMOTE_FILES:
                key = network_key(f"{family}.{name}.{suffix}")
                wanted.append(values.path(key) if values.given(key) else None)
    return tuple(dict.fromkeys(path for path in wanted if path))
