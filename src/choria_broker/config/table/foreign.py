"""Keys the broker meets in real files but does not use: those of other Choria programs, and retired ones."""

from __future__ import annotations

from choria_broker.config.table.schema import Apply, Owner, Setting, Shows, Status, ValueKind

_NOTHING = "has no effect on this broker"


def _keys(owner: Owner, names: str, **more: object) -> tuple[Setting, ...]:
    return tuple(_one(owner, key, **more) for key in names.split())  # type: ignore[arg-type] # fields by name


def _one(owner: Owner, key: str, kind: ValueKind = ValueKind.STRING, default: str = "", **more: object) -> Setting:
    doc = str(more.pop("doc", f"Belongs to the Choria {owner}; the broker does not use it."))
    apply = more.pop("apply", Apply.RESTART)
    return Setting(key, kind, default, "-", apply, doc, "Other keys", owner=owner, **more)  # type: ignore[arg-type] # fields by name


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
    plugin.choria.registration.size_interval plugin.choria.registration.size_trigger
    plugin.choria.agent_provider.mcorpc.agent_shim plugin.choria.agent_provider.mcorpc.config
    plugin.choria.executor.enabled plugin.choria.executor.spool plugin.choria.machine.signing_key
    plugin.choria.server.provision.allow_update plugin.choria.services.registry.store
    plugin.rpcaudit.logfile.group plugin.rpcaudit.logfile.mode
    plugin.scout.goss.denied_local_resources plugin.scout.goss.denied_remote_resources
    plugin.machines.bucket plugin.machines.key plugin.machines.download plugin.machines.purge
    plugin.machines.check_interval plugin.machines.poll_interval plugin.machines.signing_key
"""

_CLIENT = """
    color ttl discovery_timeout publish_timeout connection_timeout rpclimitmethod default_discovery_method
    default_batch_size default_batch_sleep_time threaded plugin.choria.require_client_filter
    plugin.choria.discovery.external.command plugin.choria.discovery.inventory.source
    plugin.choria.services.registry.client plugin.choria.security.request_signer.token_environment
    plugin.choria.security.certname_whitelist plugin.choria.security.privileged_users
    plugin.security.choria.sign_replies plugin.choria.discovery.broadcast.windowed_timeout
    plugin.login.aaasvc.login.url plugin.choria.aaasvc.login.url plugin.choria.tasks_cache
"""

_RETIRED_CORE = """
    daemonize connector securityprovider direct_addressing direct_addressing_threshold logger_type keeplogs
    max_log_size logfacility factsource fact_cache_time helptemplatedir rpchelptemplate soft_shutdown ssl_cipher
    topicprefix topicsep queueprefix
"""

_RETIRED_PLUGINS = """
    plugin.choria.federation.instance plugin.choria.randomize_middleware_hosts plugin.choria.security.serializer
    plugin.security.file.cache plugin.security.always_overwrite_cache plugin.nats.ngs
    plugin.choria.broker_discovery plugin.choria.discovery_host plugin.choria.discovery_port
    plugin.choria.discovery_proxy plugin.choria.registration.file plugin.choria.adapter.NAME.stream.clusterid
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
    _one(Owner.SERVER, "libdir", ValueKind.PATHS),
    _one(Owner.SERVER, "plugin.choria.agent_provider.mcorpc.libdir", ValueKind.PATHS),
    _one(Owner.CLIENT, "default_discovery_options", ValueKind.STRINGS),
    _one(Owner.CLIENT, "plugin.choria.security.request_signer.service", ValueKind.BOOLEAN, "false"),
    _one(
        Owner.CLIENT,
        "plugin.choria.federation.collectives",
        ValueKind.LIST,
        doc="Federated collectives of a client; the broker ignores it.",
        environment="CHORIA_FED_COLLECTIVE",
    ),
    _one(Owner.SERVER, "plugin.choria.services.registry.cache", environment="CHORIA_REGISTRY"),
    _one(
        Owner.OTHER,
        "soft_shutdown_timeout",
        ValueKind.INTEGER,
        "2",
        doc="Used by servers; brokers use plugin.choria.network.soft_shutdown_timeout.",
        status=Status.IGNORED,
        note="brokers use plugin.choria.network.soft_shutdown_timeout",
    ),
    _one(
        Owner.OTHER,
        "plugin.choria.network.monitor_port",
        doc="In the sample file of go-choria's packages, but never used.",
        status=Status.RETIRED,
        note="use plugin.choria.stats_port",
    ),
    _one(
        Owner.BROKER,
        "plugin.choria.network.client_advertise_name",
        doc="Another name of plugin.choria.network.public_url, used when that is unset.",
        status=Status.ALIAS,
        note="use plugin.choria.network.public_url",
        apply=Apply.ENGINE,
        shows=Shows.PLACES,
    ),
)
"""Rows of keys that are accepted and not used, aliases included."""
