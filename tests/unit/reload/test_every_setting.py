"""Every setting of the broker, changed alone: a reload tells of it, and somebody takes it over, or it waits."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import trustme

from choria_broker.access.policy import Policy
from choria_broker.companions.spec import specs
from choria_broker.config.held import hold
from choria_broker.config.table.rows import SETTINGS
from choria_broker.config.table.schema import Apply, Owner
from choria_broker.config.text.syntax import parse
from choria_broker.engine.running import Limits, hello_for
from choria_broker.host.facts import FileFact
from choria_broker.reload.desired import Desired, desire
from choria_broker.reload.plan import pending, plan
from choria_broker.security.keys import ed25519_verifies
from choria_broker.settings.broker import Settings
from choria_broker.settings.served import Served
from choria_broker.settings.streams import STANDARD_STREAMS
from choria_broker.values import replace
from support.minting import ORGANIZATION, OTHER_ORGANIZATION, hex_of
from support.revoking import crl
from support.scenario import BASE, IDENTITY, NET, Result, scenario

KEY, OTHER_KEY = hex_of(ORGANIZATION), hex_of(OTHER_ORGANIZATION)
ADAPTER, GATEWAY, LEAFNODE = "plugin.choria.adapter.x.", NET + "gateway_remote.FAR.", NET + "leafnode_remote.hub."

ALONE = "plugin.choria.broker_network = false"
CLUSTER = f"{NET}peers = broker1.example.net:5222, b.example.net:5222\n{NET}peer_port = 5222"
GATEWAYS = f"{NET}gateway_port = 7222\n{NET}gateway_remotes = FAR\n{GATEWAY}urls = far.example.net:7222"
HUB = f"{NET}leafnode_remotes = hub\n{LEAFNODE}url = hub.example.net:7422"
ADAPTERS = f"plugin.choria.adapters = x\n{ADAPTER}type = choria_streams\n{ADAPTER}ingest.topic = t"
FEDERATION = (
    "plugin.choria.broker_federation = true\nplugin.choria.middleware_hosts = m:4222\n"
    "plugin.choria.federation_middleware_hosts = f:4222"
)
STREAMS = NET + "stream.store = /var/lib/choria"
ISSUER = f"plugin.security.issuer.names = one\nplugin.security.issuer.one.public = {KEY}"
PASSWORD = NET + "provisioning.client_password = hush"
CHORIA = BASE.replace("provider = file", "provider = choria").replace("security.file", "security.choria")
CHORIA_LOGIN = (
    "plugin.security.choria.token_file = /token\nplugin.security.choria.seed_file = /seed\n"
    f"plugin.security.choria.trusted_signers = {KEY}"
)
PUPPET = "\n".join(line for line in BASE.splitlines() if "security" not in line) + "\nplugin.choria.ssldir = /tls"
MAPPING = f"{NET}mapping.names = one\n{NET}mapping.one.source = a.*\n{NET}mapping.one.destination = b"
WEBSOCKET = NET + "websocket_port = 4333"
CREDENTIALS = "plugin.nats.user = u\nplugin.nats.pass = p"


class Change(NamedTuple):
    """A setting that changes.

    Attributes:
        new: its value after the change.
        around: what else is set, so that it counts; what has the key itself is its value before the change.
        base: the configuration with it.
    """

    new: str
    around: str = ""
    base: str = BASE


def of(text: str, around: str = "", base: str = BASE) -> dict[str, Change]:
    """Read lines of keys and new values, which all have the same around them."""
    found = {}
    for line in text.strip().splitlines():
        key, _, new = map(str.strip, line.partition("="))
        full = key.replace("~", NET).replace("A:", ADAPTER).replace("G:", GATEWAY).replace("L:", LEAFNODE)
        found[full] = Change(new, around, base)
    return found


CHANGES = {
    **of("""
        loglevel = debug
        ~soft_shutdown_timeout = 30
        ~drain_on_stop = 20s
        plugin.choria.adapters =
        plugin.choria.broker_network = false
        A:queue_len = 7
        A:ingest.topic = u
        A:ingest.protocol = request
        A:ingest.workers = 3
        A:stream.topic = v
        A:stream.workers = 3
        A:stream.servers = e:4222
        """, ADAPTERS),
    **of("plugin.choria.broker_federation = false\nplugin.choria.federation.cluster = other", FEDERATION),
    **of("plugin.choria.middleware_hosts = n:4222\nplugin.choria.federation_middleware_hosts = g:4222", FEDERATION),
    **of("plugin.nats.user = v\nplugin.nats.pass = q\nplugin.nats.credentials = /creds",
         f"{ALONE}\n{ADAPTERS}\n{CREDENTIALS}"),
    **of("A:type = other", ADAPTERS),
    **of("A:stream.type = other", ADAPTERS.replace(".x.type", ".x.stream.type")),
    **of("""
        identity = other.example.net
        logfile = stderr
        collectives = one
        main_collective = two
        plugin.choria.stats_address = ::1
        plugin.choria.stats_port = 8222
        plugin.choria.stats_ui = true
        plugin.choria.use_srv = false
        plugin.choria.srv_domain = example.com
        ~listen_address = 192.0.2.7
        ~client_port = 4300
        ~public_url = other.example.net:4222
        ~client_advertise_name = other.example.net:4222
        ~write_deadline = 12s
        ~tls_timeout = 3s
        ~tls_key_processes = always
        ~auth_timeout = 4s
        ~max_connections = 900
        ~max_unauthenticated = 90
        ~max_handshakes = 90
        ~max_subscriptions = 900
        ~client_tls_force_required = true
        ~pprof_port = 6060
        ~accounts = more
        ~publish_events = true
        ~client_hosts = 10.0.0.0/8
        ~deny_server_connections = true
        ~client_signer_cert = """ + OTHER_KEY + """
        ~server_signer_cert = """ + OTHER_KEY + """
        ~reload_sessions = end
        ~crl = /tls/list.pem
        ~crl_expired = refuse
        ~revocations = /etc/revoked
        ~enforce_expiry = true
        ~operator_account = OPS
        ~system_account = SYS
        ~choria_account = FLEET
        ~leafnode_port = 7422
        ~websocket_port = 4333
        ~gateway_name = HERE
        ~stream.store = /var/lib/choria
        plugin.security.cipher_suites = TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        plugin.security.ecc_curves = CurveP384
        plugin.security.support_legacy_certificates = true
        plugin.security.server_anon_tls = true
        plugin.security.client_anon_tls = true
        plugin.security.pkcs11.driver_file = /lib/driver.so
        plugin.security.pkcs11.slot = 1
        plugin.security.provider = choria
        plugin.security.file.certificate = /new/cert.pem
        plugin.security.file.key = /new/key.pem
        plugin.security.file.ca = /new/ca.pem
        """, f"{NET}accounts = further\n{NET}client_signer_cert = {KEY}\n{NET}server_signer_cert = {KEY}"),
    **of("~client_anon_tls = true\n~unverified_account = further",
         f"{NET}accounts = further\n{NET}client_signer_cert = {KEY}"),
    **of("plugin.choria.security.request_signing_certificate = /new/signer.pem",
         "plugin.choria.security.request_signing_certificate = /old/signer.pem"),
    **of("~system.user = other\n~system.password = other", f"{NET}system.user = admin\n{NET}system.password = hush"),
    **of("~provisioning.signer_cert = /new/signer.pem\n~provisioning.client_password = other", PASSWORD),
    **of("~provisioning.provisioner_without_token = true", f"{PASSWORD}\n{ISSUER}"),
    **of("~peers = broker1.example.net:5222, c.example.net:5222\n~peer_port = 5333\n~peer_tls = false\n"
         "~peer_user = b\n~peer_password = q", f"{CLUSTER}\n{NET}peer_user = a\n{NET}peer_password = p"),
    **of("~gateway_port = 7333\n~gateway_remotes = FAR, NEAR\n~gateway_tls = false\nG:urls = farther.example.net:7222\n"
         "G:tls.verify = no\nG:tls.disable = yes\nG:tls.ca = /new/ca.pem", GATEWAYS),
    **of("G:tls.cert = /new/cert.pem\nG:tls.key = /new/key.pem",
         f"{GATEWAYS}\n{GATEWAY}tls.cert = /old/cert.pem\n{GATEWAY}tls.key = /old/key.pem"),
    **of("~leafnode_remotes =\nL:url = hub.example.com:7422\nL:account = further\nL:credentials = /creds\n"
         "L:credential = /creds\nL:tls.verify = no\nL:tls.disable = yes\nL:tls.ca = /new/ca.pem",
         f"{HUB}\n{NET}accounts = further"),
    **of("L:tls.cert = /new/cert.pem\nL:tls.key = /new/key.pem",
         f"{HUB}\n{LEAFNODE}tls.cert = /old/cert.pem\n{LEAFNODE}tls.key = /old/key.pem"),
    **of("~websocket_advertise = other.example.net:443\n~websocket_origins = https://example.com", WEBSOCKET),
    **of("~mapping.names =\n~mapping.one.source = c.*\n~mapping.one.destination = d", MAPPING),
    **of("~stream.manage_streams = false\n~stream.sync = always\n" + "\n".join(
         f"~stream.{each.retention_key} = {'90s' if each.elects else '2h'}\n~stream.{each.replicas_key} = 1"
         for each in STANDARD_STREAMS), STREAMS),
    **of("plugin.choria.ssldir = /new", base=PUPPET),
    **of("""
        plugin.security.choria.certificate = /new/cert.pem
        plugin.security.choria.key = /new/key.pem
        plugin.security.choria.ca = /new/ca.pem
        plugin.security.choria.token_file = /new/token
        plugin.security.choria.seed_file = /new/seed
        plugin.security.choria.trusted_signers = """ + OTHER_KEY,
        CHORIA_LOGIN, CHORIA),
    **of("plugin.security.issuer.names =\nplugin.security.issuer.one.account = ORG\n"
         f"plugin.security.issuer.one.public = {OTHER_KEY}", ISSUER),
}  # fmt: skip
"""How each setting changes, by its key."""

CA = trustme.CA()
ISSUED = CA.issue_cert(IDENTITY)
FILES = {"/tls/list.pem": FileFact(crl(CA))} | {
    f"/{directory}/{name}.pem": FileFact(blob.bytes())
    for directory in ("tls", "new")
    for name, blob in (
        ("cert", ISSUED.cert_chain_pems[0]),
        ("key", ISSUED.private_key_pem),
        ("ca", CA.cert_pem),
    )
}

WHERE_USED = {
    NET + "soft_shutdown_timeout": "service/stopping, engine/life, companions/troop: each stop",
    NET + "drain_on_stop": "service/stopping: each stop",
    NET + "publish_events": "audit/publishing, after each reload",
    NET + "reload_sessions": "sessions/followup, after each reload",
    "plugin.choria.stats_ui": "web/host_guard, at each request",
    "plugin.security.choria.trusted_signers": "nobody: as in the original it has to be there, and is only judged",
}
"""Live settings that no part of a state is made of, and who looks them up in the settings in force, when."""


def settings_of(key: str, *, new: bool) -> Result:
    """Resolve the configuration around a setting, before or after its change."""
    change = CHANGES[key]
    lines = [*change.base.splitlines(), *change.around.splitlines()]
    if new:
        lines = [line for line in lines if not line.startswith(f"{key} =")]
        lines += [f"{key} = {change.new}"] if change.new else []
    return scenario("\n".join(lines), files=FILES)


def state(settings: Settings) -> Desired:
    return desire(settings, (), ed25519_verifies, generation=1)


def parts(made: Desired) -> dict[str, object]:
    """Return what the parts of a broker are told of a state, but for the settings as a whole."""
    settings, revocation = made.settings, made.settings.network.revocation
    # What holds the revocations compares by identity, and is made of nothing but these.
    policy = {name: getattr(made.policy, name) for name in Policy.__struct_fields__ if name != "revocations"}
    return {
        "policy": (policy, revocation),
        "engine's file": made.engine,
        "engine's first frame": hello_for(settings, made.engine, "", Limits(), ""),
        "key processes": settings.tls.outside,
        "companions": specs(settings),
        "standard streams": made.standard_streams,
    }


def rows(*classes: Apply) -> list[str]:
    found = {key: SETTINGS.find(key) for key in CHANGES}
    return [key for key, match in found.items() if match and match.setting.apply in classes]


def test_every_setting_is_here() -> None:
    known = {match.setting.key for match in map(SETTINGS.find, CHANGES) if match}
    assert known == {row.key for row in SETTINGS.rows if row.owner is Owner.BROKER}
    assert set(WHERE_USED) <= set(rows(Apply.LIVE))


@pytest.mark.parametrize("key", rows(Apply.LIVE, Apply.ENGINE))
def test_what_a_reload_changes_is_told_and_taken_over(key: str) -> None:
    match = SETTINGS.find(key)
    assert match is not None
    before, after = (state(settings_of(key, new=new).ok) for new in (False, True))
    told = plan(before, after)
    assert [(each.key, each.apply) for each in told.changes] == [(key, match.setting.apply)]
    assert told.pending == ()
    old, new = parts(before), parts(after)
    taken = {name for name in old if old[name] != new[name]}
    assert bool(taken) is (key not in WHERE_USED), taken
    if match.setting.apply is Apply.ENGINE:
        assert taken & {"engine's file", "engine's first frame", "key processes"}, taken


@pytest.mark.parametrize("key", rows(Apply.RESTART))
def test_what_only_a_restart_changes_stays_and_waits(key: str) -> None:
    before = settings_of(key, new=False).ok
    served = replace(before, raw=before.raw, origins={})
    change = CHANGES[key]
    written = parse(f"{change.base}\n{change.around}\n{key} = {change.new}\n".encode(), "broker.conf")
    held = hold(written, Served.of(before), Apply.RESTART)
    after = scenario("\n".join(f"{each.key} = {each.value}" for each in held.entries), files=FILES).ok
    assert replace(after, origins={}, raw={}) == replace(served, raw={})
    wanted = replace(before, raw={**before.raw, key: change.new})
    (waits,) = pending(replace(state(before), wanted=wanted))
    assert (waits.key, waits.apply) == (key, Apply.RESTART)
