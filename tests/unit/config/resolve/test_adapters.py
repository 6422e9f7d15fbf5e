"""Adapters: what each reads, where it publishes, and what keeps one out."""

from __future__ import annotations

import pytest

from choria_broker.settings.companions import Side, SideTls
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.network import NETWORK
from choria_broker.settings.secret import Secret
from support.scenario import BASE, NET, base, scenario

A = "plugin.choria.adapter.x."
ADAPTER = ["plugin.choria.adapters = x", A + "type = choria_streams", A + "ingest.topic = t"]
ALONE = "plugin.choria.broker_network = no"
TLS = SideTls(certificate="/tls/cert.pem", key="/tls/key.pem", ca="/tls/ca.pem")


def test_an_adapter_beside_the_network_broker_uses_the_bridge() -> None:
    found = base(*ADAPTER)
    assert found.codes() == []
    (adapter,) = found.ok.adapters
    assert (adapter.name, adapter.topic, adapter.target, adapter.request) == ("x", "t", "x", False)
    assert (adapter.queue, adapter.ingest_workers, adapter.output_workers) == (1000, 10, 10)
    assert adapter.ingest == Side(name="ingest", bridge=True)
    assert adapter.output == Side(name="output", bridge=True)


def test_an_adapter_with_servers_of_its_own() -> None:
    lines = (A + "stream.servers = nats://a:4222, [::1]:4223", A + "stream.topic = meta.%s", A + "stream.workers = 3")
    (adapter,) = base(*ADAPTER, *lines, A + "queue_len = 7", A + "ingest.protocol = request").ok.adapters
    assert adapter.ingest.bridge
    assert adapter.output == Side(
        name="output", servers=("a:4222", "[::1]:4223"), tls=TLS, inbox="mcollective.reply", user="", password=None
    )
    assert (adapter.target, adapter.output_workers, adapter.queue, adapter.request) == ("meta.%s", 3, 7, True)


def test_alone_it_connects_to_the_middleware() -> None:
    (adapter,) = base(*ADAPTER, ALONE, "plugin.choria.middleware_hosts = m:4222").ok.adapters
    assert (adapter.ingest.servers, adapter.ingest.srv, adapter.ingest.last_resort) == (("m:4222",), (), ())
    assert adapter.output.servers == ("m:4222",)
    (adapter,) = base(*ADAPTER, ALONE).ok.adapters
    assert adapter.ingest.srv == ("_mcollective-server._tcp.example.net", "_x-puppet-mcollective._tcp.example.net")
    assert adapter.ingest.last_resort == ("puppet:4222",)
    (adapter,) = base(*ADAPTER, ALONE, "plugin.choria.use_srv = no").ok.adapters
    assert (adapter.ingest.srv, adapter.ingest.last_resort) == ((), ("puppet:4222",))


def test_what_it_logs_in_with() -> None:
    lines = ("plugin.nats.user = u", "plugin.nats.pass = p", "plugin.nats.credentials = /c.creds")
    (adapter,) = base(*ADAPTER, ALONE, *lines).ok.adapters
    side = adapter.ingest
    assert (side.user, side.password, side.credentials) == ("u", Secret("p"), "/c.creds")
    assert (side.token, side.seed) == ("", "")
    (adapter,) = base(*ADAPTER, ALONE, *lines, "plugin.choria.middleware_hosts = nats://v:q@m:4222").ok.adapters
    assert (adapter.ingest.user, adapter.ingest.password) == ("v", Secret("q"))
    choria = BASE.replace("provider = file", "provider = choria").replace("security.file", "security.choria")
    own = (
        "plugin.security.choria.token_file = /t.jwt",
        "plugin.security.choria.seed_file = /t.seed",
        f"plugin.security.choria.trusted_signers = {'a' * 64}",
    )
    (adapter,) = scenario(choria + "\n".join((*ADAPTER, ALONE, *own))).ok.adapters
    assert (adapter.ingest.token, adapter.ingest.seed) == ("/t.jwt", "/t.seed")
    assert adapter.ingest.inbox.startswith("choria.reply.")


def test_the_older_names_of_the_type() -> None:
    assert base(ADAPTER[0], ADAPTER[2], A + "type = jetstream").codes() == []
    found = base(ADAPTER[0], ADAPTER[2], A + "stream.type = jetstream")
    assert found.one("alias-key").severity is Severity.WARN
    assert len(found.ok.adapters) == 1


FAULTS = [
    ([ADAPTER[0], ADAPTER[2]], "adapter-without-type"),
    ([*ADAPTER[:2]], "adapter-without-topic"),
    ([ADAPTER[0], ADAPTER[2], A + "type = nats_stream"], "adapter-type"),
    ([ADAPTER[0], ADAPTER[2], A + "type = kafka"], "adapter-type"),
    ([ADAPTER[0], ADAPTER[2], A + "stream.type = kafka"], "adapter-type"),
    ([*ADAPTER, A + "queue_len = 0"], "bad-value"),
    ([*ADAPTER, A + "queue_len = 2000000"], "bad-value"),
    ([*ADAPTER, A + "ingest.workers = many"], "bad-value"),
    ([*ADAPTER, A + "stream.workers = -1"], "bad-value"),
    ([*ADAPTER, A + "stream.servers = a"], "bad-address"),
    ([ADAPTER[0], ADAPTER[1], A + "ingest.topic = a..b"], "adapter-subject"),
    ([*ADAPTER, A + "stream.topic = a.>"], "adapter-subject"),
    ([*ADAPTER, A + "stream.topic = a b"], "adapter-subject"),
    ([*ADAPTER, A + "stream.topic = " + "a" * 1001], "adapter-subject"),
    ([ADAPTER[0], ADAPTER[1], A + "ingest.topic = " + "a" * 1001], "adapter-subject"),
    ([line.replace(".x.", ".x*.").replace("= x", "= x*") for line in ADAPTER], "adapter-subject"),
]


@pytest.mark.parametrize(("lines", "code"), FAULTS)
def test_a_fault_leaves_out_the_one_adapter_beside_a_network_broker(lines: list[str], code: str) -> None:
    other = ["plugin.choria.adapter.y.type = choria_streams", "plugin.choria.adapter.y.ingest.topic = t"]
    lines = [line.replace("adapters = ", "adapters = y, ") for line in lines]
    found = base(*lines, *other)
    assert found.one(code).severity is Severity.SKIP
    assert (
        found.one(code).effect
        == "the adapters or the federation broker that need it are not started; everything else runs"
    )
    assert found.one(code).remedy
    assert found.one(code).key.startswith("plugin.choria.adapter")
    assert [adapter.name for adapter in found.ok.adapters] == ["y"]
    assert found.ok.network_enabled


@pytest.mark.parametrize(
    ("lines", "code"), [*FAULTS, ([*ADAPTER, "plugin.choria.middleware_hosts = a"], "bad-address")]
)
def test_alone_a_fault_is_refused(lines: list[str], code: str) -> None:
    found = base(*lines, ALONE)
    assert found.settings is None
    assert found.one(code).severity is Severity.REFUSE


def test_latin1_in_their_settings() -> None:
    text = BASE.encode() + b"plugin.choria.federation.cluster = K\xf6ln\nplugin.nats.user = K\xf6ln\n"
    found = scenario(text)
    assert found.codes(Severity.WARN) == ["not-utf8", "not-utf8"]
    assert found.ok.network_enabled
    assert scenario(text.replace(b"broker_network = true", b"adapters = x")).settings is None


def test_other_faults_still_refuse_the_network_broker() -> None:
    found = base(*ADAPTER, A + "stream.servers = a", NET + "peer_user = a")
    assert [finding.code for finding in found.findings if finding.severity is Severity.REFUSE] == ["half-login"]
    assert base("plugin.choria.broker_network = on it", "plugin.choria.broker_federation = enabled").settings is None


def test_without_a_network_broker_the_engines_ports_are_not_looked_at() -> None:
    settings = base(*ADAPTER, ALONE, f"{NETWORK}client_port = 4222", "plugin.choria.stats_port = 8222").ok
    assert [listener.port for listener in settings.listeners] == [8222]
