"""What must be found out about machine and network before a configuration can be resolved."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from choria_broker.config.resolve.companion_token import SEED, TOKEN
from choria_broker.config.resolve.context import NETWORK_ON, network_key
from choria_broker.config.resolve.operator import is_store_name
from choria_broker.config.resolve.providers import chosen_provider
from choria_broker.config.resolve.revocation import crl_files, revocation_file
from choria_broker.config.resolve.security import client_signers
from choria_broker.config.surroundings.facts import FileGroup
from choria_broker.config.text.addresses import parse_endpoint
from choria_broker.config.text.reading import Values
from choria_broker.config.text.values import BadValueError
from choria_broker.security.keys import is_hex_key
from choria_broker.settings.hostnames import is_address
from choria_broker.settings.security import Provider
from choria_broker.settings.tls import TlsFiles

PEERS_RECORD = "_mcollective-broker._tcp"
"""SRV record of the members of a cluster."""

_PROVIDER = "plugin.security.provider"
_REMOTE_FILES = ("tls.cert", "tls.key", "tls.ca", "credentials", "credential")


def needs_ssldir(values: Values) -> bool:
    """Tell whether puppet must be asked for its directory of TLS files."""
    return (
        not values.is_bad(_PROVIDER)
        and chosen_provider(values) is Provider.PUPPET
        and values.path("plugin.choria.ssldir") is None
    )


def needs_peers(values: Values) -> bool:
    """Tell whether the SRV record of the peers is to be asked for."""
    return values.flag(NETWORK_ON) and values.flag("plugin.choria.use_srv")


def needs_domain(values: Values) -> bool:
    """Tell whether SRV records are asked for, of peers or of brokers that companions connect to."""
    return needs_peers(values) or (_companions(values) and values.flag("plugin.choria.use_srv"))


def _companions(values: Values) -> bool:
    return values.flag("plugin.choria.broker_federation") or bool(values.items("plugin.choria.adapters"))


def known_domain(values: Values, identity: str) -> str:
    """Return the domain of SRV records as far as the configuration and the identity tell it, else an empty text."""
    configured = values.text("plugin.choria.srv_domain").strip(".")
    if configured:
        return configured
    return "" if is_address(identity) else identity.partition(".")[2].strip(".")


def own_gateway_hosts(values: Values) -> tuple[str, ...]:
    """Return the hosts under which the own cluster is listed among the gateways, to find out which are this machine."""
    name = values.text(network_key("gateway_name"))
    if name not in values.items(network_key("gateway_remotes")):
        return ()
    hosts: list[str] = []
    for text in values.items(network_key(f"gateway_remote.{name}.urls")):
        with contextlib.suppress(BadValueError):
            hosts.append(parse_endpoint(text).endpoint.host)
    return tuple(dict.fromkeys(hosts))


def operator_store(values: Values, source: Path) -> Path | None:
    """Return the directory of the operator's store, None when there is no operator or its name cannot be one.

    Args:
        values: of the configuration.
        source: absolute path of the main configuration file.
    """
    name = values.text(network_key("operator_account"))
    return source.parent / "accounts" / "nats" / name if is_store_name(name) else None


def named_files(values: Values, identity_files: TlsFiles | None, ssldir: Path | None = None) -> tuple[FileGroup, ...]:
    """Return every file whose content matters, and what belongs together. They are read, and watched.

    TLS identity, signers, revocations, remotes' TLS files and credentials, the token of adapters and
    federation. A file that is named in two places keeps those together.

    Args:
        values: of the configuration.
        identity_files: the broker's TLS identity.
        ssldir: directory of Puppet's TLS files where none is configured.
    """
    alone = (*crl_files(values, ssldir), revocation_file(values))
    groups: list[tuple[bool, list[Path | None]]] = [(False, [path]) for path in alone]
    if identity_files:
        groups.append((True, [identity_files.certificate, identity_files.key, identity_files.ca]))
    signers = (*client_signers(values), *values.items(network_key("server_signer_cert")))
    groups += [(False, [Path(signer)]) for signer in signers if not is_hex_key(signer)]
    groups.append((False, [values.path(network_key("provisioning.signer_cert"))]))
    if _companions(values) and not values.is_bad(_PROVIDER) and chosen_provider(values) is Provider.CHORIA:
        groups.append((False, [values.path(TOKEN), values.path(SEED)]))
    for family, listed in (("gateway_remote", "gateway_remotes"), ("leafnode_remote", "leafnode_remotes")):
        for name in values.items(network_key(listed)):
            keys = [network_key(f"{family}.{name}.{suffix}") for suffix in _REMOTE_FILES]
            groups.append((True, [values.path(key) if values.given(key) else None for key in keys]))
    return _joined(FileGroup(tuple(path for path in paths if path), engine) for engine, paths in groups)


def _joined(groups: Iterable[FileGroup]) -> tuple[FileGroup, ...]:
    """Make one of groups that have a file in common."""
    joined: dict[int, dict[Path, None]] = {}
    place: dict[Path, int] = {}
    engines: set[int] = set()
    for number, group in enumerate(groups):
        joined[number] = dict.fromkeys(group.files)
        common = {number, *(place[path] for path in group.files if path in place)}
        # The small ones go into the largest: thousands of remotes may share one CA file.
        into = max(sorted(common), key=lambda each: len(joined[each]))
        for each in sorted(common - {into}):
            joined[into].update(joined[each])
            place.update(dict.fromkeys(joined.pop(each), into))
        place.update(dict.fromkeys(group.files, into))
        if group.engine or not engines.isdisjoint(common):
            engines.add(into)
    return tuple(FileGroup(tuple(files), number in engines) for number, files in joined.items() if files)
