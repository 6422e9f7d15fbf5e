"""Unknown keys: which are warned of, and what they were likely meant to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.table.rows import BROKER_SETTINGS, SETTINGS
from choria_broker.config.table.schema import Owner
from choria_broker.config.text.near_misses import Belongs, NearMisses, belongs
from choria_broker.config.text.syntax import parse
from choria_broker.settings.finding_codes import Severity
from choria_broker.wording import plain
from support.scenario import BASE, base, read_findings

NETWORK = "plugin.choria.network."
PORT = NETWORK + "client_port"

MEANT = [
    # Two letters changed places, one is missing, one is too many, one is wrong.
    ("plugin.choria.srv_domian", "plugin.choria.srv_domain"),
    ("plugin.chroia.network.client_port", PORT),
    ("plugin.secuirty.provider", "plugin.security.provider"),
    ("plugin.choria.netwrok.client_port", PORT),
    ("plugin.choria.networks.client_port", PORT),
    ("plugins.choria.network.client_port", PORT),
    ("plugn.choria.network.client_port", PORT),
    ("plugin.choria.network.client_prt", PORT),
    ("plugin.choria.network.peer_pasword", NETWORK + "peer_password"),
    ("plugin.choria.network.max_connection", NETWORK + "max_connections"),
    ("plugin.choria.machine.stroe", "plugin.choria.machine.store"),
    ("plugin.nats.password", "plugin.nats.pass"),
    ("identiy", "identity"),
    ("colectives", "collectives"),
    ("main_colective", "main_collective"),
    ("loglvl", "loglevel"),
    # Case, separators, letters that look alike, letters nobody sees.
    ("plugin.choria.Network.client_port", PORT),
    ("PLUGIN.CHORIA.NETWORK.CLIENT_PORT", PORT),
    ("Identity", "identity"),
    ("log_level", "loglevel"),
    ("pluginchoria.network.client_port", PORT),
    ("plugin.choria.network.clientport", PORT),
    ("plugin.choria.network.client-port", PORT),
    ("plugin.choria.network client_port", PORT),
    ("plugin.choria.network.client_port.", PORT),
    ("plugin..choria.network.client_port", PORT),
    (".plugin.choria.network.client_port", PORT),
    ("plugin.choria.stats.port", "plugin.choria.stats_port"),
    ("plugin.choria.network.stream_store", NETWORK + "stream.store"),
    ("plugin.\N{CYRILLIC SMALL LETTER ES}horia.network.client_port", PORT),
    ("plugin.choria.netw\N{ZERO WIDTH SPACE}ork.client_port", PORT),
    ("\N{FULLWIDTH LATIN SMALL LETTER P}lugin.choria.network.client_port", PORT),
    ("plugin.choria.network.client_p\N{LATIN SMALL LETTER O WITH DIAERESIS}rt", PORT),
    # Words in another order, parts that are missing.
    ("plugin.choria.network_broker", "plugin.choria.broker_network"),
    ("plugin.choria.network.port_client", PORT),
    ("choria.network.client_port", PORT),
    ("network.client_port", PORT),
    ("client_port", PORT),
    ("plugin.network.client_port", PORT),
    ("plugin.client_port", PORT),
    ("plugin.choria.client_port", PORT),
    ("plugin.choria.stream.store", NETWORK + "stream.store"),
    ("security.provider", "plugin.security.provider"),
    # Keys that belong elsewhere, and keys that were written whole in a file that adds their beginning.
    ("plugin.choria.identity", "identity"),
    ("plugin.choria.plugin.choria.network.client_port", PORT),
    ("plugin.choria.plugin.chroia.network.client_port", PORT),
    ("plugin.security.plugin.security.provider", "plugin.security.provider"),
    ("plugin.foo.plugin.choria.network.client_port", PORT),
    # Families of keys.
    ("plugin.choria.network.gateway_remote.London.url", NETWORK + "gateway_remote.London.urls"),
    ("plugin.choria.network.leafnode_remote.HQ.urls", NETWORK + "leafnode_remote.HQ.url"),
    ("plugin.choria.network.leafnode_remotes.HQ.url", NETWORK + "leafnode_remote.HQ.url"),
    ("plugin.choria.network.leafnode.HQ.url", NETWORK + "leafnode_remote.HQ.url"),
    ("plugin.choria.network.leafnode_remote.my.site.tls.crt", NETWORK + "leafnode_remote.my.site.tls.cert"),
    ("plugin.choria.network.mapping.x.dest", NETWORK + "mapping.x.destination"),
    ("plugin.security.issuer.acme.pubic", "plugin.security.issuer.acme.public"),
    ("plugin.security.issuers.names", "plugin.security.issuer.names"),
    ("plugin.choria.adapters.x.type", "plugin.choria.adapter.x.type"),
    ("plugin.chroia.adapter.x.typ", "plugin.choria.adapter.x.type"),
]


@pytest.mark.parametrize(("key", "meant"), MEANT)
def test_what_was_likely_meant(key: str, meant: str) -> None:
    found = base(f"{key} = 1").one("unknown-key")
    assert (found.severity, found.key, found.value) == (Severity.WARN, plain(key), "")
    assert meant in found.remedy


@pytest.mark.parametrize(
    "key",
    [
        "plugin.choria.foo",
        "plugin.choria.something.else.entirely.different",
        "plugin.choria.network.zzz",
        "plugin.choria.",
        "plugin.security.vault.token",
        "plugin.security.a",
        "plugin.chroia.foo",
        "plugins.choria.foo",
        "pluginchoria.foo",
        "choria.foo",
        "plugin.Security.foo",
        "plugin.choria." + "x" * 5000,
    ],
)
def test_unknown_keys_without_a_likely_meaning_are_warned_of(key: str) -> None:
    found = base(f"{key} = s3cret").one("unknown-key")
    assert (found.severity, found.value) == (Severity.WARN, "")
    assert "did you mean" not in found.remedy
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    "key",
    [
        "plugin.package.provider",
        "plugin.service.provider",
        "plugin.puppet.command",
        "plugin.rpcutil.activate_agent",
        "plugin.choria_util.activate_agent",
        "plugin.choria_registry.activate_agent",
        "plugin.nettest.fqdn",
        "plugin.psk",
        "plugin.activemq.pool.1.host",
        "plugin.ssl_server_private",
        "plugin.actionpolicy.allow_unconfigured",
        "plugin.regopolicy.tracing",
        "plugin.foo.identity",
        "plugin.foo.loglevel",
        "plugin.file.key",
        "plugin.puppetca.host",
        "plugin.nats.foo",
        "plugin.",
    ],
)
def test_other_plugins_have_keys_of_their_own(key: str) -> None:
    assert base(f"{key} = 1").codes() == []


@pytest.mark.parametrize("key", ["something_else", "x", "a.b.c", "plugin"])
def test_what_is_no_key_of_plugins_is_mentioned(key: str) -> None:
    assert base(f"{key} = 1").one("unknown-key").severity is Severity.INFO


def test_a_key_written_whole_in_a_file_that_adds_its_beginning() -> None:
    text = b"plugin.choria.network.client_port = 4333\nplugin.chroia.srv_domain = x\n"
    found = read_findings(parse(text, "plugin.d/choria.cfg", prefix="plugin.choria."))
    problem = "no such key: plugin.choria. is added to each key in this file"
    assert [finding.problem for finding in found] == [problem] * 2
    assert found[0].remedy == f"write network.client_port here, which becomes {PORT}"
    (other,) = read_findings(parse(text[:41], "plugin.d/foo.cfg", prefix="plugin.foo.", typed=False))
    assert other.remedy == f"move it to the main file, as {PORT}"


PUPPET = """
logfile = /var/log/choria-broker.log
loglevel = warn
identity = broker1.example.net
plugin.choria.srv_domain = example.net
plugin.choria.stats_address = localhost
plugin.choria.stats_port = 8222
plugin.choria.broker_network = true
plugin.choria.network.listen_address = ::
plugin.choria.network.client_port = 4222
plugin.choria.network.websocket_port = 4333
plugin.choria.network.tls_timeout = 2
plugin.choria.network.peer_port = 5222
plugin.choria.network.peers = nats://broker1.example.net:5222, nats://broker2.example.net:5222
plugin.choria.network.client_hosts = 10.0.0.0/8
plugin.choria.ssldir = /etc/puppetlabs/puppet/ssl
plugin.choria.network.system.user = system
plugin.choria.network.system.password = s3cret
plugin.choria.network.stream.store = /var/lib/choria
plugin.choria.network.stream.advisory_retention = 168h
plugin.choria.network.stream.event_retention = 24h
plugin.choria.network.stream.machine_retention = 24h
plugin.choria.broker_federation = true
plugin.choria.federation.cluster = london
plugin.choria.federation.instance = broker1.example.net
plugin.choria.federation_middleware_hosts = hub.example.net:4222
plugin.choria.middleware_hosts = broker1.example.net:4222
plugin.choria.adapters = discovery
plugin.choria.adapter.discovery.type = nats_stream
plugin.choria.adapter.discovery.stream.servers = stan.example.net:4222
plugin.choria.adapter.discovery.stream.clusterid = prod
plugin.choria.adapter.discovery.stream.topic = discovery
plugin.choria.adapter.discovery.stream.workers = 10
plugin.choria.adapter.discovery.ingest.topic = mcollective.broadcast.agent.discovery
plugin.choria.adapter.discovery.ingest.protocol = request
plugin.choria.adapter.discovery.ingest.workers = 10
plugin.choria.network.leafnode_port = 7422
plugin.choria.network.leafnode_remotes = hq
plugin.choria.network.leafnode_remote.hq.url = hq.example.net:7422
plugin.choria.network.leafnode_remote.hq.account = choria
plugin.choria.network.leafnode_remote.hq.credentials = /etc/choria/hq.creds
plugin.choria.network.leafnode_remote.hq.tls.cert = /etc/choria/cert.pem
plugin.choria.network.leafnode_remote.hq.tls.key = /etc/choria/key.pem
plugin.choria.network.leafnode_remote.hq.tls.ca = /etc/choria/ca.pem
plugin.choria.network.leafnode_remote.hq.tls.verify = false
plugin.choria.network.leafnode_remote.hq.tls.disable = true
"""
"""Every key that the Puppet module of Choria can write for a broker."""

SERVER = """
collectives = mcollective
main_collective = mcollective
connector = nats
securityprovider = choria
libdir = /opt/puppetlabs/mcollective/plugins
logger_type = console
daemonize = 1
factsource = yaml
plugin.yaml = /etc/puppetlabs/mcollective/generated-facts.yaml
classesfile = /opt/puppetlabs/puppet/cache/state/classes.txt
rpcaudit = 1
rpcauditprovider = choria
plugin.rpcaudit.logfile = /var/log/choria-audit.log
rpcauthorization = 1
rpcauthprovider = action_policy
registerinterval = 300
registration = file_content
direct_addressing = 1
ttl = 60
soft_shutdown = 1
plugin.choria.agent_provider.mcorpc.agent_shim = /usr/bin/choria_mcollective_agent_compat.rb
plugin.choria.agent_provider.mcorpc.config = /etc/choria/choria-shim.cfg
plugin.choria.agent_provider.mcorpc.libdir = /opt/puppetlabs/mcollective/plugins
plugin.choria.security.serializer = json
plugin.choria.puppetserver_host = puppet
plugin.choria.discovery_proxy = false
plugin.choria.machine.store = /etc/choria/machine
plugin.choria.executor.enabled = true
plugin.choria.registration.size_trigger = 1024
plugin.machines.bucket = CHORIA_PLUGINS
plugin.scout.overrides = /etc/choria/overrides.json
"""
"""Keys of servers and clients that share a file with brokers."""


@pytest.mark.parametrize("text", [PUPPET, SERVER])
def test_files_of_real_sites_are_not_warned_of(text: str) -> None:
    found = read_findings(parse(text.encode(), "broker.conf"))
    assert [str(finding) for finding in found if finding.code == "unknown-key"] == []


def test_every_known_key_is_what_it_is_meant_to_be() -> None:
    near = NearMisses(SETTINGS.rows)
    for row in BROKER_SETTINGS:
        key = row.of("x") if row.keyed else row.key
        # A letter too many at the end is no other key.
        assert near.meant(key + "q") == key
        assert row.owner is not Owner.BROKER or belongs(key) is not Belongs.PLUGIN or key.startswith("plugin.nats.")


@given(st.text(max_size=80), st.sampled_from(["", "plugin.", "plugin.choria.", "plugin.choria.network.", "choria."]))
def test_any_key_gets_an_answer(text: str, start: str) -> None:
    meant = NearMisses(SETTINGS.rows).meant(start + text)
    assert meant == "" or SETTINGS.find(meant)
    assert isinstance(belongs(start + text), Belongs)


@pytest.mark.untraced
def test_many_unknown_keys_take_time_in_proportion() -> None:
    text = BASE.encode() + b"".join(b"plugin.choria.network.client_prt%d = 1\n" % number for number in range(5000))
    found = read_findings(parse(text, "broker.conf"))
    assert sum(finding.times for finding in found if finding.code == "unknown-key") == 5000
    assert "client_port?" in next(finding.remedy for finding in found if finding.code == "unknown-key")
