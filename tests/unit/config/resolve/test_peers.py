"""Who the members of a cluster are: what `peers` and DNS name, and which of them is this broker."""

from __future__ import annotations

import re

import pytest

from choria_broker.config.surroundings.facts import Overrides, SrvAnswer
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Severity
from support.scenario import BASE, IDENTITY, NET, base, net, scenario

PEERS = "peers = nats://broker1.example.net:5222, broker2.example.net:5222, broker3.example.net:5222"


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
