"""Clusters, gateways and leafnodes."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from choria_broker.config.surroundings.facts import Overrides, SrvAnswer
from choria_broker.host.facts import FileFact
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.secret import MASK
from support.scenario import BASE, IDENTITY, NET, base, net, pems, scenario

PEERS = "peers = nats://broker1.example.net:5222, broker2.example.net:5222, broker3.example.net:5222"
MISSING = FileFact(problem="no such file or directory")


def test_a_cluster_of_three() -> None:
    cluster = net(PEERS, "peer_user = u", "peer_password = p").ok.network.cluster
    assert [peer.host for peer in cluster.peers] == [f"broker{number}.example.net" for number in (1, 2, 3)]
    assert [route.host for route in cluster.routes] == ["broker2.example.net", "broker3.example.net"]
    assert (cluster.port, cluster.user, cluster.tls, cluster.source) == (5222, "u", True, "setting")
    assert cluster.password is not None
    assert cluster.password.reveal() == "p"


def test_peer_port() -> None:
    assert net(PEERS, "peer_port = 4223").ok.network.cluster.port == 4223
    assert net("peer_port = 4223").ok.network.cluster.port == 0


def test_self_is_found_by_address_and_port() -> None:
    facts = {
        "addresses": {"one": ("192.0.2.1",), "two": ("192.0.2.1",), "three": ("192.0.2.3",)},
        "local_addresses": frozenset({"192.0.2.1"}),
    }
    found = net("peers = one:5222, two:5223, three:5222", facts=facts)
    assert [route.authority for route in found.ok.network.cluster.routes] == ["two:5223", "three:5222"]


def test_unresolvable_peers_are_kept_and_mentioned() -> None:
    found = net("peers = nowhere.example:5222")
    finding = found.one("peer-unresolvable")
    assert (finding.severity, finding.key) == (Severity.INFO, NET + "peers")
    assert "nowhere.example:5222" in finding.problem
    assert len(found.ok.network.cluster.routes) == 1


@pytest.mark.parametrize(
    ("line", "key"), [("plugin.choria.srv_domain = example.net", "srv_domain"), ("color = true", "use_srv")]
)
def test_findings_about_dns_are_at_the_setting_that_has_it_asked(line: str, key: str) -> None:
    found = base(line, facts={"srv": SrvAnswer("r", (("nowhere.example", 5222),))})
    assert found.one("peer-unresolvable").key == f"plugin.choria.{key}"
    found = base(line, facts={"srv": SrvAnswer("r", problem="no such record")})
    assert found.one("srv-lookup-failed").key == f"plugin.choria.{key}"


def test_logins_of_peers_are_kept() -> None:
    (route,) = net("peers = nats://u:p@other:5222").ok.network.cluster.routes
    assert route.user == "u"


@pytest.mark.parametrize("text", ["broker2", "http://a:1", "a:0", "a:65536", "a:", "a:x", "a b:1", ".:1", "a..b:1"])
@pytest.mark.parametrize("own", ["", "broker1.example.net:5222, "])
@pytest.mark.parametrize("store", ["", "stream.store = /store"])
@pytest.mark.parametrize("lenient", [False, True])
def test_no_bad_address_ends_a_membership(text: str, own: str, store: str, *, lenient: bool) -> None:
    found = net(f"peers = {own}{text}", *([store] if store else []), overrides=Overrides(lenient=lenient))
    finding = found.one("bad-peer")
    assert (finding.severity, finding.key) == (Severity.SKIP, NET + "peers")
    assert "stays a member of its cluster" in finding.effect
    assert not found.codes(Severity.REFUSE)
    cluster = found.ok.network.cluster
    assert cluster.joined
    assert (cluster.routes, cluster.port, cluster.source) == ((), 5222, "setting")
    assert (cluster.size, cluster.expected, cluster.unreachable) == (2 if own else 1, 2, True)


@pytest.mark.parametrize(
    ("peers", "left_out"),
    [
        ("b.example:0", ("b.example",)),
        ("nats://B.example.:0", ("b.example",)),
        ("[2001:DB8::1]:0", ("2001:db8::1",)),
        ("nats://u:p@b.example:x?q", ("b.example",)),
        ("b.example", ("b.example",)),
        ("http://b.example:1", ("b.example",)),
        ("a b:1, b:0", ("", "b")),
        ("broker1.example.net:0", ()),
        ("broker1.example.net:0, b:0", ("b",)),
        ("broker1.example.net:0, b:5222", ()),
        ("broker1.example.net:5222, broker1.example.net:0", ("broker1.example.net",)),
        ("192.0.2.1:0, b:5222", ()),
    ],
)
def test_whose_bad_address_it_is(peers: str, left_out: tuple[str, ...]) -> None:
    facts = {"addresses": {"192.0.2.1": ("192.0.2.1",)}, "local_addresses": frozenset({"192.0.2.1"})}
    cluster = net(f"peers = {peers}", facts=facts).ok.network.cluster
    assert cluster.left_out == left_out
    assert cluster.size == peers.count(",") + 1
    own_is_bad = "broker1.example.net:0" in peers or "192.0.2.1:0" in peers
    assert cluster.itself_left_out is (own_is_bad and "broker1.example.net:5222" not in peers)


def test_a_broker_whose_peers_have_bad_addresses_lets_in_by_name_as_before() -> None:
    assert "open-peer-port" not in net("peers = broker1.example.net:5222, b.example:0").codes()
    assert "open-peer-port" not in net("peers = broker1.example.net:5222, a b:0").codes()
    assert "open-peer-port" in net("peers = broker1.example.net:5222, 192.0.2.9:0").codes()


@pytest.mark.parametrize("store", ["", "stream.store = /store"])
@pytest.mark.parametrize(
    ("targets", "left_out"),
    [
        ((("broker1.example.net.", 5222), ("b.", 0)), ("b",)),
        ((("b.", 0),), ("b",)),
        ((("b c.", 0), ("b.", 0)), ("", "b")),
    ],
)
def test_no_bad_target_ends_a_membership(
    targets: tuple[tuple[str, int], ...], left_out: tuple[str, ...], store: str
) -> None:
    found = net(*([store] if store else []), facts={"srv": SrvAnswer("_r", targets)})
    assert not found.codes(Severity.REFUSE)
    cluster = found.ok.network.cluster
    assert (cluster.routes, cluster.left_out, cluster.source) == ((), left_out, "_r")
    for finding in found.findings:
        if finding.code == "bad-srv-target":
            assert "stays a member of its cluster" in finding.effect
            assert "SRV record _r" in str(finding)
        assert "only peers from the configuration are used" not in finding.effect


def test_one_malformed_peer_is_named_and_left_out() -> None:
    result = net("peers = a, b:1, http://c:1, d:1")
    found = [finding for finding in result.findings if finding.code == "bad-peer"]
    assert [(finding.value, finding.severity) for finding in found] == [
        ("a", Severity.SKIP),
        ("http://c:1", Severity.SKIP),
    ]
    cluster = result.ok.network.cluster
    assert [peer.authority for peer in cluster.peers] == ["b:1", "d:1"]
    assert cluster.size == 4, "copies of streams are not fewer because of a mistake"


def test_srv_records_win_over_the_setting() -> None:
    srv = SrvAnswer("_mcollective-broker._tcp.example.net", (("b", 5222), ("a", 5222)))
    found = net("peers = c:5222", facts={"srv": srv})
    cluster = found.ok.network.cluster
    assert cluster.peers == (Endpoint("nats", "a", 5222), Endpoint("nats", "b", 5222))
    assert cluster.source == srv.record
    finding = found.one("srv-overrides-peers")
    assert finding.severity is Severity.WARN
    for word in (srv.record, "a:5222, b:5222", NET + "peers", "plugin.choria.use_srv = false"):
        assert word in str(finding)


def test_srv_records_that_agree_are_no_news() -> None:
    srv = SrvAnswer("r", (("b", 5222), ("a", 5222)))
    assert "srv-overrides-peers" not in net("peers = a:5222, B:5222", facts={"srv": srv}).codes()
    found = net(facts={"srv": srv})
    assert found.ok.network.cluster.source == "r"
    finding = found.one("srv-peers")
    assert (finding.severity, finding.effect) == (Severity.INFO, "the peers are a:5222, b:5222")


def test_bad_srv_targets_are_named_and_left_out() -> None:
    targets = (("b.", 5222), ("B", 5222), ("a\\032b.", 5222), ("c.", 0), (".", 5222), ("[x", 1), ("d.", 5222))
    found = net(facts={"srv": SrvAnswer("r", targets)})
    assert [peer.authority for peer in found.ok.network.cluster.peers] == ["b:5222", "d:5222"]
    bad = [finding for finding in found.findings if finding.code == "bad-srv-target"]
    assert all(finding.severity is Severity.SKIP for finding in bad)
    for text in ("a\\032b.:5222", "c.:0", ".:5222", "[x:1"):
        assert any(finding.problem.startswith(f"{text} is not a usable address: ") for finding in bad)


def test_many_of_one_kind_are_summed_up() -> None:
    targets = tuple((f"n{number}.example.", 5222) for number in range(60))
    found = net(facts={"srv": SrvAnswer("_r", (*targets, *((f"z{number}.", 0) for number in range(30))))})
    for code, count in (("peer-unresolvable", 55), ("bad-srv-target", 25)):
        told = [finding for finding in found.findings if finding.code == code]
        assert len(told) == 6
        assert told[-1].problem.startswith(f"{count} more ")
        assert sum(finding.times for finding in told) == count + 5
    found = net("peers = " + ", ".join(f"b{number}:0" for number in range(30)))
    assert len([finding for finding in found.findings if finding.code == "bad-peer"]) == 6


@pytest.mark.parametrize(
    ("peers", "addresses", "repeats"),
    [
        ("b:1, c:1", {"b": ("192.0.2.1",), "c": ("192.0.2.1",)}, ["peers b:1 and c:1"]),
        ("b:1, c:2", {"b": ("192.0.2.1",), "c": ("192.0.2.1",)}, []),
        ("192.0.2.1:1, c:1", {"192.0.2.1": ("192.0.2.1",), "c": ("::5", "192.0.2.1")}, ["peers c:1 and 192.0.2.1:1"]),
        ("b:1, c:1", {"b": ("192.0.2.1", "192.0.2.2"), "c": ("192.0.2.2", "192.0.2.3")}, []),
        ("b:1, c:1", {}, []),
        ("b:1, c:1, d:1", dict.fromkeys("bcd", ("::1",)), ["peers b:1 and c:1", "peers b:1 and d:1"]),
        # A name of all members, and two of them.
        (
            "b:1, c:1, all:1",
            {"b": ("::1",), "c": ("::2",), "all": ("::1", "::2")},
            ["peers all:1 and b:1", "peers all:1 and c:1"],
        ),
    ],
)
def test_entries_with_one_address_and_port_are_repeats(
    peers: str, addresses: dict[str, tuple[str, ...]], repeats: list[str]
) -> None:
    found = net(f"peers = {peers}", facts={"addresses": addresses})
    told = [finding for finding in found.findings if finding.code == "repeated-peer"]
    assert [finding.problem.removesuffix(" are the same address and port") for finding in told] == repeats
    assert {finding.severity for finding in told} <= {Severity.WARN}
    assert found.ok.network.cluster.size == len(peers.split(","))


def test_long_hosts_are_shortened() -> None:
    name = ".".join(letter * 60 for letter in "abcd")
    targets = ((f"{name}.", 5222), ("u" * 300 + ".", 5222), *((f"{n}.{name[:150]}.", 5222) for n in range(40)))
    for found in (
        net(facts={"srv": SrvAnswer("_r", tuple(targets))}),
        net(f"peers = {name}:5222, {'u' * 300}:5222, {name}:5222"),
        net(f"peers = {IDENTITY}:1, {name}:5222", facts={"srv": SrvAnswer("_r", targets[:1])}),
    ):
        assert found.findings
        for finding in found.findings:
            assert not re.search(r"[\w.]{160}", str(finding))
            assert len(str(finding)) < 1500


def test_findings_about_peers_of_dns_name_the_record() -> None:
    targets = tuple((f"n{number}.example.", 5223) for number in range(6))
    found = net("stream.store = /s", facts={"srv": SrvAnswer("_r.example", (*targets, ("192.0.2.9.", 5222)))})
    codes = ("many-peers", "not-in-peers", "peer-unresolvable", "open-peer-port")
    told = [finding for finding in found.findings if finding.code in codes]
    assert {finding.code for finding in told} == set(codes)
    for finding in told:
        assert str(finding).startswith("SRV record _r.example: plugin.choria.use_srv: ")


def test_an_srv_record_can_say_that_there_is_no_such_service() -> None:
    found = net("peers = a:5222", facts={"srv": SrvAnswer("r", ((".", 0),))})
    assert found.one("srv-no-service").severity is Severity.WARN
    assert found.ok.network.cluster.source == "setting"
    found = net("peers = a:5222", facts={"srv": SrvAnswer("r", (("c.", 0),))})
    assert found.one("bad-srv-target").severity is Severity.SKIP
    assert found.ok.network.cluster.source == "setting"


ODD_SPELLINGS = "Broker1.Example.NET.:5222, nats://BROKER2.example.net.:5222, [::ffff:192.0.2.3]:5222"


def test_spellings_of_peers_do_not_matter() -> None:
    found = net(f"peers = {ODD_SPELLINGS}, 192.0.2.3:5222, [FE80::1%eth0]:5222, b\u00fccher.example:5222")
    cluster = found.ok.network.cluster
    assert [route.authority for route in cluster.routes] == [
        "broker2.example.net:5222",
        "192.0.2.3:5222",
        "[fe80::1%eth0]:5222",
        "xn--bcher-kva.example:5222",
    ]
    assert str(cluster.routes[2]) == "nats://[fe80::1%25eth0]:5222"
    assert found.one("repeated-item").value == "192.0.2.3:5222"


@pytest.mark.parametrize("identity", ["broker1.example.net.", "BROKER1.example.net"])
def test_self_is_found_by_any_spelling_of_the_identity(identity: str) -> None:
    found = scenario(BASE.replace(IDENTITY, identity) + NET + PEERS)
    assert len(found.ok.network.cluster.routes) == 2
    assert found.ok.identity == identity.removesuffix(".")
    assert "not-in-peers" not in found.codes()


@pytest.mark.parametrize(
    ("peers", "code"),
    [
        ("broker1.example.net:5222, b:5222", ""),
        ("broker1.example.net:5223, b:5222", "peer-port-differs"),
        ("broker1.example.net:5222, broker1.example.net:5223, b:5222", ""),
        ("a:5222, b:5222", "not-in-peers"),
        ("b:5222", "not-in-peers"),
        ("192.0.2.1:5223, b:5222", "not-in-peers"),
        ("192.0.2.1:5222, b:5222", ""),
    ],
)
def test_peers_that_contradict_this_broker(peers: str, code: str) -> None:
    addresses = {"a": ("192.0.2.7",), "192.0.2.1": ("192.0.2.1",), "b": ("192.0.2.8",)}
    facts = {"addresses": addresses, "local_addresses": frozenset({"192.0.2.1"})}
    found = net(f"peers = {peers}", facts=facts)
    contradictions = [each for each in found.findings if each.code in {"peer-port-differs", "not-in-peers"}]
    assert [each.code for each in contradictions] == ([code] if code else [])
    for finding in contradictions:
        assert (finding.severity, finding.key) == (Severity.WARN, NET + "peers")
        assert "5222" in finding.remedy or "5223" in finding.remedy


def test_another_broker_of_the_same_host_is_not_this_one() -> None:
    found = net("peers = broker1.example.net:5222, broker1.example.net:5223")
    assert [route.port for route in found.ok.network.cluster.routes] == [5223]


def test_without_srv_answer_the_setting_counts() -> None:
    found = net("peers = a:5222", facts={"srv": SrvAnswer("r", problem="no such record")})
    assert found.one("srv-lookup-failed").severity is Severity.INFO
    assert found.ok.network.cluster.source == "setting"
    found = net(facts={"srv": SrvAnswer("r", problem="timeout", failed=True)})
    assert found.one("srv-lookup-failed").severity is Severity.WARN
    assert net(facts={"no_domain": True}).one("no-srv-domain").severity is Severity.INFO


def test_more_than_five_peers() -> None:
    peers = ", ".join(f"p{number}:5222" for number in range(6))
    assert net(f"peers = {peers}").one("many-peers").severity is Severity.WARN


def test_a_peer_twice() -> None:
    found = net("peers = a:5222, b:5222, nats://b:5222")
    finding = found.one("repeated-item")
    assert (finding.severity, finding.value) == (Severity.WARN, "nats://b:5222")
    assert "b:5222" in finding.problem
    assert len(found.ok.network.cluster.peers) == 2


@pytest.mark.parametrize("line", ["peer_user = u", "peer_password = p"])
def test_half_a_cluster_login(line: str) -> None:
    assert net(PEERS, line).one("half-login").severity is Severity.REFUSE


def test_clear_text_links_are_warned_about() -> None:
    found = net(PEERS, "peer_tls = false")
    assert found.one("clear-text-cluster").severity is Severity.WARN
    assert not found.ok.network.cluster.tls
    assert "clear-text-cluster" not in net("peer_tls = false").codes()
    found = net("gateway_port = 7222", "gateway_remotes = x", "gateway_remote.x.urls = a:1", "gateway_tls = no")
    assert found.one("clear-text-gateway").severity is Severity.WARN
    assert not found.ok.network.gateway.tls


CHORIA = """
identity = broker1.example.net
plugin.choria.broker_network = true
plugin.security.provider = choria
plugin.security.choria.certificate = /tls/cert.pem
plugin.security.choria.key = /tls/key.pem
plugin.security.choria.token_file = /t
plugin.security.choria.seed_file = /s
plugin.security.choria.trusted_signers = 9b0b5c1f1f2bb2a0c1c6a4f4c2a0b1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c
"""
ONE_GATEWAY = ["gateway_port = 7222", "gateway_remotes = x", "gateway_remote.x.urls = a:1"]


@pytest.mark.parametrize(
    ("lines", "key", "way_out"),
    [([PEERS], "peers", "peer_tls = false"), (ONE_GATEWAY, "gateway_remotes", "gateway_tls = false")],
)
def test_links_that_verify_need_a_ca(lines: list[str], key: str, way_out: str) -> None:
    text = CHORIA + "".join(f"{NET}{line}\n" for line in lines)
    finding = scenario(text).one("links-without-ca")
    assert (finding.severity, finding.key) == (Severity.REFUSE, NET + key)
    for remedy in ("plugin.security.choria.ca", NET + way_out):
        assert remedy in finding.remedy
    for other in (
        scenario(text + "plugin.security.choria.ca = /tls/ca.pem"),
        scenario(text + NET + way_out),
        scenario(text, overrides=Overrides(disable_tls=True)),
        scenario(CHORIA),
    ):
        assert other.settings is not None
        assert "links-without-ca" not in other.codes()


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("leafnode_remote.x.account = choria", True),
        ("leafnode_remote.x.tls.ca = /hub-ca.pem", False),
        ("leafnode_remote.x.tls.disable = yes", False),
    ],
)
def test_a_remote_that_cannot_be_verified_without_a_ca(line: str, *, warned: bool) -> None:
    text = CHORIA + "".join(f"{NET}{each}\n" for each in (*LEAFNODE, line))
    found = scenario(text)
    assert len(found.ok.network.leafnodes.remotes) == 1
    assert ("remote-not-verified" in found.codes(Severity.WARN)) is warned
    assert "remote-not-verified" not in scenario(text + "plugin.security.choria.ca = /tls/ca.pem").codes()


def test_leafnodes_that_cannot_log_in_are_warned_about() -> None:
    text = CHORIA + NET + "leafnode_port = 7422\n"
    assert scenario(text).one("leafnodes-without-certificates").severity is Severity.WARN
    assert scenario(text + "plugin.security.choria.ca = /tls/ca.pem").findings == ()
    found = net("leafnode_port = 7422", overrides=Overrides(disable_tls=True))
    assert found.one("leafnodes-without-certificates").severity is Severity.WARN


def test_gateways() -> None:
    gateway = net(
        "gateway_port = 7222",
        "gateway_name = NewYork",
        "gateway_remotes = Tokyo, London",
        "gateway_remote.Tokyo.urls = nats://a:1, b:2",
        "gateway_remote.London.urls = c:3",
        "gateway_remote.London.tls.cert = /l/cert.pem",
        "gateway_remote.London.tls.key = /l/key.pem",
        "gateway_remote.London.tls.ca = ~/ca.pem",
    ).ok.network.gateway
    assert (gateway.name, gateway.port, gateway.tls) == ("NewYork", 7222, True)
    tokyo, london = gateway.remotes
    assert [url.authority for url in tokyo.urls] == ["a:1", "b:2"]
    assert not tokyo.tls.custom
    assert london.tls.custom
    assert str(london.tls.ca) == "/root/ca.pem"


@pytest.mark.parametrize("lines", [["gateway_port = 7222"], ["gateway_remotes = x", "gateway_remote.x.urls = a:1"]])
def test_half_a_gateway(lines: list[str]) -> None:
    found = net(*lines)
    assert found.one("half-gateway").severity is Severity.WARN
    assert (found.ok.network.gateway.port, found.ok.network.gateway.remotes) == (0, ())


def test_a_cluster_name_with_blanks() -> None:
    assert net("gateway_name = New York").one("bad-value").severity is Severity.REFUSE


GATEWAY = ["gateway_port = 7222", "gateway_remotes = x", "gateway_remote.x.urls = a:1"]
LEAFNODE = ["leafnode_remotes = x", "leafnode_remote.x.url = a:1"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["gateway_port = 7222", "gateway_remotes = x"], "remote-without-url"),
        ([*GATEWAY, "gateway_remote.x.urls = a"], "bad-url"),
        ([*GATEWAY, "gateway_remote.x.tls.cert = /x/cert.pem"], "remote-half-identity"),
        ([*GATEWAY, "gateway_remote.x.tls.key = /x/key.pem"], "remote-half-identity"),
        ([*GATEWAY, "gateway_remote.x.tls.ca = /missing"], "remote-file-missing"),
        ([*GATEWAY, "gateway_remote.x.tls.ca = /empty"], "tls-no-pem"),
        ([*GATEWAY, "gateway_remote.x.tls.cert = /other", "gateway_remote.x.tls.key = /key.pem"], "tls-key-mismatch"),
        ([*GATEWAY, "gateway_remote.x.tls.ca = /missing", "gateway_remote.x.tls.disable = yes"], "remote-file-missing"),
        (["leafnode_remotes = x"], "remote-without-url"),
        ([*LEAFNODE, "leafnode_remote.x.url = http://a:1"], "bad-url"),
        ([*LEAFNODE, "leafnode_remote.x.url = a:1, wss://b:2"], "mixed-urls"),
        ([*LEAFNODE, "leafnode_remote.x.account = nobody"], "unknown-account"),
        ([*LEAFNODE, "leafnode_remote.x.account = provisioning"], "unknown-account"),
        ([*LEAFNODE, "leafnode_remote.x.credentials = /missing"], "bad-credentials"),
        ([*LEAFNODE, "leafnode_remote.x.credentials = /empty"], "bad-credentials"),
        ([*LEAFNODE, "leafnode_remote.x.tls.ca = /missing"], "remote-file-missing"),
    ],
)
def test_a_remote_that_cannot_work_is_left_out(lines: list[str], code: str) -> None:
    files = {"/missing": MISSING, "/empty": FileFact(b"\n"), "/other": FileFact(pems("other.example").certificate)}
    found = net(*lines, files=files)
    assert found.one(code).severity is Severity.SKIP
    network = found.ok.network
    assert network.gateway.remotes == ()
    assert network.leafnodes.remotes == ()


@pytest.mark.parametrize("family", ["gateway_remote", "leafnode_remote"])
def test_verification_can_be_off_without_own_files(family: str) -> None:
    lines = GATEWAY if family == "gateway_remote" else LEAFNODE
    found = net(*lines, f"{family}.x.tls.verify = no")
    assert found.one("remote-not-verified").severity is Severity.WARN
    network = found.ok.network
    (tls,) = [remote.tls for remote in network.gateway.remotes] + [remote.tls for remote in network.leafnodes.remotes]
    assert not tls.verify
    assert not tls.custom


def test_words_that_go_choria_reads_otherwise() -> None:
    found = net(*LEAFNODE, "leafnode_remote.x.tls.disable = False")
    assert found.one("switch-read-differently").severity is Severity.WARN
    assert not found.ok.network.leafnodes.remotes[0].tls.disabled
    assert net(*LEAFNODE, "leafnode_remote.x.tls.disable = nope").one("bad-value").severity is Severity.REFUSE


def test_clear_text_remote() -> None:
    found = net(*LEAFNODE, "leafnode_remote.x.tls.disable = on")
    assert found.one("remote-clear-text").severity is Severity.WARN
    assert found.ok.network.leafnodes.remotes[0].tls.disabled


def test_leafnodes() -> None:
    leafnodes = net(
        "leafnode_port = 7422",
        "leafnode_remotes = my.site",
        "leafnode_remote.my.site.url = hub:7422",
        "leafnode_remote.my.site.credentials = ~/hub.creds",
        "leafnode_remote.my.site.account = edge",
        "accounts = edge",
    ).ok.network.leafnodes
    assert leafnodes.port == 7422
    (remote,) = leafnodes.remotes
    assert (remote.name, remote.account, str(remote.credentials)) == ("my.site", "edge", "/root/hub.creds")
    assert remote.urls == (Endpoint("nats-leaf", "hub", 7422),)


def test_the_provisioning_account_exists_with_its_password() -> None:
    found = net(*LEAFNODE, "leafnode_remote.x.account = provisioning", "provisioning.client_password = p")
    assert len(found.ok.network.leafnodes.remotes) == 1


@pytest.mark.parametrize(
    ("lines", "path", "effect"),
    [
        (["leafnode_remote.x.credential = /a.creds"], "/a.creds", "it is used"),
        (
            ["leafnode_remote.x.credential = /a.creds", "leafnode_remote.x.credentials = /b.creds"],
            "/b.creds",
            "ignored",
        ),
    ],
)
def test_both_spellings_of_credentials(lines: list[str], path: str, effect: str) -> None:
    found = net(*LEAFNODE, *lines)
    assert str(found.ok.network.leafnodes.remotes[0].credentials) == path
    assert effect in found.one("alias-key").effect


def test_logins_and_paths_in_remote_addresses_are_dropped_with_a_word() -> None:
    found = net("leafnode_remotes = x", "leafnode_remote.x.url = nats://u:p@a:1/path")
    assert found.ok.network.leafnodes.remotes[0].urls == (Endpoint("nats-leaf", "a", 1),)
    assert found.one("address-login").severity is Severity.WARN
    assert found.one("address-path").severity is Severity.WARN


STREAMS = [*GATEWAY, "stream.store = /store"]


def test_gateways_with_streams_need_peers() -> None:
    finding = net(*STREAMS).one("gateway-streams-without-peers")
    assert finding.severity is Severity.REFUSE
    assert "gateway-streams-without-peers" in net(*STREAMS, "peers = broker1.example.net:5222").codes()
    assert "gateway-streams-without-peers" not in net(*STREAMS, PEERS).codes()
    by_leafnode = [*LEAFNODE, "leafnode_remote.x.account = system"]
    assert "gateway-streams-without-peers" not in net(*STREAMS, *by_leafnode).codes()


def test_a_remote_named_twice_counts_once() -> None:
    found = net("leafnode_remotes = x, x", "leafnode_remote.x.url = a:1")
    assert found.one("repeated-item").severity is Severity.WARN
    assert len(found.ok.network.leafnodes.remotes) == 1


def test_own_files_over_their_date_are_used_with_a_warning() -> None:
    later = {"now": dt.datetime(9999, 1, 1, tzinfo=dt.UTC)}
    found = base(
        "plugin.choria.ssldir = /ssl",
        *(NET + line for line in LEAFNODE),
        NET + "leafnode_remote.x.tls.ca = /ca.pem",
        NET + "leafnode_remote.x.tls.cert = /cert.pem",
        NET + "leafnode_remote.x.tls.key = /key.pem",
        facts=later,
        overrides=Overrides(disable_tls=True),
    )
    assert len(found.ok.network.leafnodes.remotes) == 1
    assert {finding.severity for finding in found.findings if finding.code == "tls-expired"} == {Severity.WARN}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["peers = b1:5222, b2:5222"], ""),
        (["peers = 192.0.2.1:5222, 192.0.2.2:5222"], "open-peer-port"),
        (["peers = broker1.example.net:5222"], "open-peer-port"),
        (["peers = broker1.example.net:5222, b2:5222"], ""),
        (["peers = 192.0.2.1:5222, 192.0.2.2:5222", "peer_user = u", "peer_password = p"], ""),
        (["peers = b1:5222, b2:5222", "peer_tls = false"], "open-peer-port"),
        (["gateway_port = 7001", "gateway_remotes = A", "gateway_remote.A.urls = a:7001"], ""),
        (["gateway_port = 7001", "gateway_remotes = A", "gateway_remote.A.urls = 192.0.2.1:7001"], "open-gateway-port"),
        (
            ["gateway_port = 7001", "gateway_remotes = A", "gateway_remote.A.urls = a:7001", "gateway_tls = false"],
            "open-gateway-port",
        ),
    ],
)
def test_a_port_that_any_certificate_opens_is_a_warning(lines: list[str], code: str) -> None:
    found = [each for each in net(*lines).codes() if each.startswith("open-")]
    assert found == ([code] if code else [])


def test_a_peer_password_that_the_engine_would_take_for_a_hash_is_refused() -> None:
    finding = net("peers = b1:5222", "peer_user = u", "peer_password = $2a$11$abcdefghijklmnopqrstuv").one("half-login")
    assert (finding.severity, finding.value) == (Severity.REFUSE, MASK)
