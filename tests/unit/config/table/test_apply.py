"""What it takes to bring a changed setting into force: of each key, as the operations of the broker promise it."""

from __future__ import annotations

import itertools

import pytest

from choria_broker.config.table.rows import BROKER_SETTINGS, SETTINGS
from choria_broker.config.table.schema import Apply, Owner, Status
from choria_broker.settings.streams import STANDARD_STREAMS

LIVE = {
    "federation, adapters and their connections": """
        plugin.choria.middleware_hosts plugin.choria.federation_middleware_hosts plugin.choria.federation.cluster
        plugin.nats.user plugin.nats.pass plugin.nats.credentials
        plugin.choria.broker_federation plugin.choria.adapters plugin.choria.adapter.NAME.type
        plugin.choria.adapter.NAME.queue_len
        plugin.choria.adapter.NAME.ingest.topic plugin.choria.adapter.NAME.ingest.protocol
        plugin.choria.adapter.NAME.ingest.workers plugin.choria.adapter.NAME.stream.servers
        plugin.choria.adapter.NAME.stream.topic plugin.choria.adapter.NAME.stream.workers
        plugin.choria.adapter.NAME.stream.type
    """,
    "log level": "loglevel",
    "time for an orderly stop": "plugin.choria.network.soft_shutdown_timeout plugin.choria.network.drain_on_stop",
    "signers": """
        plugin.choria.network.client_signer_cert plugin.choria.network.server_signer_cert
        plugin.choria.security.request_signing_certificate plugin.security.choria.trusted_signers
    """,
    "issuers": "plugin.security.issuer.names plugin.security.issuer.NAME.public",
    "client_hosts": "plugin.choria.network.client_hosts",
    "sessions after a reload": "plugin.choria.network.reload_sessions",
    "events that are published": "plugin.choria.network.publish_events",
    "deny_server_connections": "plugin.choria.network.deny_server_connections",
    "provisioning login": """
        plugin.choria.network.provisioning.signer_cert plugin.choria.network.provisioning.client_password
        plugin.choria.network.provisioning.provisioner_without_token
    """,
    "system user": "plugin.choria.network.system.user plugin.choria.network.system.password",
    "client_anon_tls": "plugin.choria.network.client_anon_tls",
    "unverified account": "plugin.choria.network.unverified_account",
    "certificates and CA of every listener": """
        plugin.choria.ssldir plugin.security.file.certificate plugin.security.file.key plugin.security.file.ca
        plugin.security.choria.certificate plugin.security.choria.key plugin.security.choria.ca
    """,
    "certificates and CA of every remote": """
        plugin.choria.network.gateway_remote.NAME.tls.cert plugin.choria.network.gateway_remote.NAME.tls.key
        plugin.choria.network.gateway_remote.NAME.tls.ca plugin.choria.network.leafnode_remote.NAME.tls.cert
        plugin.choria.network.leafnode_remote.NAME.tls.key plugin.choria.network.leafnode_remote.NAME.tls.ca
    """,
    "retention and limits of the standard streams": " ".join(
        f"plugin.choria.network.stream.{name}"
        for name in (
            "manage_streams",
            *(key for each in STANDARD_STREAMS for key in (each.retention_key, each.replicas_key)),
        )
    ),
    "status settings": "plugin.choria.stats_ui",
    "CRLs": "plugin.choria.network.crl plugin.choria.network.crl_expired",
    "revocations": "plugin.choria.network.revocations plugin.choria.network.enforce_expiry",
}

ENGINE = {
    "accounts": "plugin.choria.network.accounts plugin.security.issuer.NAME.account",
    "mappings": """
        plugin.choria.network.mapping.names plugin.choria.network.mapping.NAME.source
        plugin.choria.network.mapping.NAME.destination
    """,
    "limits": """
        plugin.choria.network.max_connections plugin.choria.network.max_unauthenticated
        plugin.choria.network.max_handshakes plugin.choria.network.max_subscriptions
    """,
    "deadlines": """
        plugin.choria.network.write_deadline plugin.choria.network.tls_timeout plugin.choria.network.auth_timeout
        plugin.choria.network.tls_key_processes
    """,
    "peers and routes": """
        plugin.choria.network.peers plugin.choria.network.peer_user plugin.choria.network.peer_password
    """,
    "leafnode remotes": """
        plugin.choria.network.leafnode_remotes plugin.choria.network.leafnode_remote.NAME.url
        plugin.choria.network.leafnode_remote.NAME.account plugin.choria.network.leafnode_remote.NAME.credentials
        plugin.choria.network.leafnode_remote.NAME.credential plugin.choria.network.leafnode_remote.NAME.tls.verify
        plugin.choria.network.leafnode_remote.NAME.tls.disable
    """,
    "advertised names": "plugin.choria.network.public_url plugin.choria.network.client_advertise_name",
    "what TLS offers": "plugin.security.cipher_suites plugin.security.ecc_curves",
}

RESTART = {
    "listen addresses and ports": """
        plugin.choria.network.listen_address plugin.choria.network.client_port plugin.choria.network.peer_port
        plugin.choria.network.leafnode_port plugin.choria.network.pprof_port plugin.choria.stats_address
        plugin.choria.stats_port
    """,
    "whether listeners have TLS": """
        plugin.choria.network.client_tls_force_required plugin.choria.network.peer_tls
        plugin.security.server_anon_tls plugin.security.client_anon_tls
    """,
    "gateway set-up": """
        plugin.choria.network.gateway_port plugin.choria.network.gateway_tls plugin.choria.network.gateway_remotes
        plugin.choria.network.gateway_remote.NAME.urls plugin.choria.network.gateway_remote.NAME.tls.verify
        plugin.choria.network.gateway_remote.NAME.tls.disable
    """,
    "websocket set-up": """
        plugin.choria.network.websocket_port plugin.choria.network.websocket_advertise
        plugin.choria.network.websocket_origins
    """,
    "store": "plugin.choria.network.stream.store plugin.choria.network.stream.sync",
    "cluster and gateway names": "plugin.choria.network.gateway_name",
    "operator mode on or off": """
        plugin.choria.network.operator_account plugin.choria.network.system_account
        plugin.choria.network.choria_account
    """,
    "security provider": """
        plugin.security.provider plugin.security.pkcs11.driver_file plugin.security.pkcs11.slot
        plugin.security.support_legacy_certificates
    """,
    "identity": "identity plugin.choria.use_srv plugin.choria.srv_domain",
    "the process": """
        logfile collectives main_collective plugin.choria.broker_network
    """,
    "tokens of outgoing connections": "plugin.security.choria.token_file plugin.security.choria.seed_file",
}

EXPECTED = [
    (key, apply)
    for apply, families in ((Apply.LIVE, LIVE), (Apply.ENGINE, ENGINE), (Apply.RESTART, RESTART))
    for keys in families.values()
    for key in keys.split()
]


def test_the_classes_have_their_names() -> None:
    assert [each.value for each in Apply] == ["live", "engine", "restart"]


@pytest.mark.parametrize(("key", "apply"), EXPECTED)
def test_a_key_takes_what_is_promised(key: str, apply: Apply) -> None:
    (row,) = (row for row in SETTINGS.rows if row.key == key)
    assert row.apply is apply


def test_no_key_is_forgotten_or_named_twice() -> None:
    keys = [key for key, _ in EXPECTED]
    assert len(keys) == len(set(keys))
    owned = {row.key for row in SETTINGS.rows if row.owner is Owner.BROKER}
    assert {row.key for row in BROKER_SETTINGS} <= owned
    assert owned == set(keys)


def test_another_name_of_a_setting_takes_what_the_setting_takes() -> None:
    classes = dict(EXPECTED)
    network = "plugin.choria.network."
    others = {
        f"{network}client_advertise_name": f"{network}public_url",
        f"{network}leafnode_remote.NAME.credential": f"{network}leafnode_remote.NAME.credentials",
        "plugin.choria.security.request_signing_certificate": f"{network}client_signer_cert",
        "plugin.choria.adapter.NAME.stream.type": "plugin.choria.adapter.NAME.type",
    }
    rows = [row for row in SETTINGS.rows if row.owner is Owner.BROKER and row.status is Status.ALIAS]
    assert {row.key for row in rows} == set(others)
    assert all(classes[key] is classes[meant] for key, meant in others.items())


def test_members_of_a_family_of_keys_take_the_same_but_for_certificates() -> None:
    for family, rows in itertools.groupby(
        (row for row in BROKER_SETTINGS if "_remote.NAME." in row.key), key=lambda row: row.key.partition("NAME.")[0]
    ):
        classes = {row.apply for row in rows if not row.key.endswith(("tls.cert", "tls.key", "tls.ca"))}
        assert len(classes) == 1, family
