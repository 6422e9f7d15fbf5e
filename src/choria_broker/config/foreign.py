"""Keys the broker meets in real files but does not use: those of other Choria programs, and retired ones."""

from __future__ import annotations

from choria_broker.config.schema import Apply, Owner, Setting, Status
from choria_broker.config.values import Kind

_NOTHING = "has no effect on this broker"


def _keys(owner: Owner, names: str, **more: object) -> tuple[Setting, ...]:
    return tuple(_one(owner, key, **more) for key in names.split())  # type: ignore[arg-type] # fields by name


def _one(owner: Owner, key: str, kind: Kind = Kind.STRING, default: str = "", **more: object) -> Setting:
    doc = str(more.pop("doc", f"Belongs to the Choria {owner}; the broker does not use it."))
    return Setting(key, kind, default, "-", Apply.RESTART, doc, "Other keys", owner=owner, **more)  # type: ignore[arg-type] # fields by name


_SERVER = """
    registration registration_collective registerinterval registration_splay activate_agents classesfile rpcaudit
    rpcauditprovider rpcauthorization rpcauthprovider plugin.yaml plugin.rpcaudit.logfile plugin.scout.overrides
    plugin.scout.tags plugin.scout.agent_disabled plugin.choria.server.provision plugin.choria.status_file_path
    plugin.choria.status_update_interval plugin.choria.machine.store plugin.choria.machine.http_port
    plugin.choria.prometheus_textfile_directory plugin.choria.legacy_lifecycle_format plugin.choria.submission.spool
    plugin.choria.submission.max_spool_size plugin.choria.services.registry.enable
    plugin.choria.network.connect_timeout plugin.choria.registration.file_content.data
    plugin.choria.registration.file_content.target plugin.choria.registration.file_content.compression
    plugin.choria.registration.inventory_content.compression plugin.choria.registration.inventory_content.target
"""

_CLIENT = """
    color ttl discovery_timeout publish_timeout connection_timeout rpclimitmethod default_discovery_method
    default_batch_size default_batch_sleep_time threaded plugin.choria.require_client_filter
    plugin.choria.discovery.external.command plugin.choria.discovery.inventory.source
    plugin.choria.services.registry.client plugin.choria.security.request_signer.token_environment
    plugin.choria.security.certname_whitelist plugin.choria.security.privileged_users
    plugin.security.choria.sign_replies
"""

_RETIRED_CORE = """
    daemonize connector securityprovider direct_addressing direct_addressing_threshold logger_type keeplogs
    max_log_size logfacility factsource fact_cache_time helptemplatedir
"""

_RETIRED_PLUGINS = """
    plugin.choria.federation.instance plugin.choria.randomize_middleware_hosts plugin.choria.security.serializer
    plugin.security.file.cache plugin.security.always_overwrite_cache plugin.nats.ngs
"""

_PUPPET = """
    plugin.choria.puppetserver_host plugin.choria.puppetserver_port plugin.choria.puppetca_host
    plugin.choria.puppetca_port plugin.choria.puppetdb_host plugin.choria.puppetdb_port
"""

_CERTMANAGER = """
    plugin.security.certmanager.namespace plugin.security.certmanager.issuer plugin.security.certmanager.replace
    plugin.security.certmanager.alt_names plugin.security.certmanager.api_version
"""

_CREDENTIAL_FILES = """
    plugin.choria.security.server.token_file plugin.choria.security.server.seed_file
    plugin.choria.security.request_signer.token_file plugin.choria.security.request_signer.seed_file
    plugin.choria.security.request_signer.url
"""

FOREIGN = (
    *_keys(Owner.SERVER, _SERVER),
    *_keys(Owner.CLIENT, _CLIENT),
    *_keys(Owner.OTHER, _PUPPET, doc="Used when a certificate is requested from Puppet, which the broker never does."),
    *_keys(
        Owner.OTHER,
        _CERTMANAGER,
        doc="Used when a certificate is requested from cert-manager, which this version never does.",
    ),
    *_keys(
        Owner.OTHER,
        _CREDENTIAL_FILES,
        doc="Belongs to Choria servers and clients; must be unset with the choria provider.",
    ),
    *_keys(
        Owner.OTHER,
        _RETIRED_CORE + _RETIRED_PLUGINS,
        doc="No longer has an effect.",
        status=Status.IGNORED,
        note=_NOTHING,
    ),
    _one(Owner.SERVER, "libdir", Kind.PATHS),
    _one(Owner.CLIENT, "default_discovery_options", Kind.STRINGS),
    _one(Owner.CLIENT, "plugin.choria.security.request_signer.service", Kind.BOOLEAN, "false"),
    _one(
        Owner.CLIENT,
        "plugin.choria.federation.collectives",
        Kind.LIST,
        doc="Federated collectives of a client; the broker ignores it.",
        environment="CHORIA_FED_COLLECTIVE",
    ),
    _one(Owner.SERVER, "plugin.choria.services.registry.cache", environment="CHORIA_REGISTRY"),
    _one(
        Owner.OTHER,
        "soft_shutdown_timeout",
        Kind.INTEGER,
        "2",
        doc="Used by servers; brokers use plugin.choria.network.soft_shutdown_timeout.",
        status=Status.IGNORED,
        note="brokers use plugin.choria.network.soft_shutdown_timeout",
    ),
    _one(
        Owner.OTHER,
        "plugin.choria.network.monitor_port",
        doc="Stands in the sample file of go-choria's packages and is not read.",
        status=Status.RETIRED,
        note="use plugin.choria.stats_port",
    ),
    _one(
        Owner.BROKER,
        "plugin.choria.network.client_advertise_name",
        doc="Another name of plugin.choria.network.public_url, used when that is unset.",
        status=Status.ALIAS,
        note="use plugin.choria.network.public_url",
    ),
)
"""Rows of keys that are accepted and not used, aliases included."""
