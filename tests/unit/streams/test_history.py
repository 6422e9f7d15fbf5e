"""What a store was used as, against what it is to be used as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.settings.broker import Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding, Origin
from choria_broker.settings.links import Cluster, Gateway, GatewayRemote, LeafnodeRemote, Leafnodes
from choria_broker.settings.network import Network
from choria_broker.settings.operator import Operator, OperatorAccount
from choria_broker.settings.streams import Streams
from choria_broker.settings.tls import RemoteTls, Tls
from choria_broker.streams.history import Contents, Kept, judge, members_in, node_id
from choria_broker.streams.use import Joined, Use, read, use_of, written
from choria_broker.values import replace

ONE, TWO, THREE = (f"broker{number}.example.net" for number in (1, 2, 3))
STREAMS = (("choria", "ALONE"), ("choria", "CHORIA_EVENTS"))
RECORDS = {"system": frozenset({node_id(ONE), node_id(TWO)})}
ALONE = Use(ONE)
MEMBER = Use(ONE, "CHORIA", (TWO,))


def settings(*others: str, identity: str = ONE, name: str = "CHORIA", operator: Operator | None = None) -> Settings:
    routes = tuple(Endpoint("nats", host, 5222) for host in others)
    peers = (Endpoint("nats", identity, 5222), *routes) if routes else ()
    network = Network(
        streams=Streams(store=Path("/store")),
        cluster=Cluster(peers=peers, routes=routes, port=5222),
        gateway=Gateway(name=name),
        operator=operator,
    )
    return Settings(
        source=Path("/etc/choria/broker.conf"),
        identity=identity,
        tls=Tls(enabled=False, everywhere=False, verify_clients=False, files=None),
        network=network,
        origins={"plugin.choria.network.stream.store": Origin("broker.conf", 7), "identity": Origin("broker.conf", 1)},
    )


def codes(found: tuple[Finding, ...]) -> list[tuple[str, Severity]]:
    return [(each.code, each.severity) for each in found]


REFUSED = Severity.REFUSE


@pytest.mark.parametrize(
    ("now", "records", "last", "expected"),
    [
        # A broker that is alone.
        (settings(), {}, None, []),
        (settings(), {}, ALONE, []),
        (settings(identity="other"), {}, ALONE, []),
        (settings(), RECORDS, None, [("streams-of-cluster", Severity.WARN)]),
        (settings(), RECORDS, MEMBER, [("streams-of-cluster", Severity.WARN)]),
        (settings(), RECORDS, ALONE, []),
        # From alone to a cluster.
        (settings(TWO), {}, None, [("streams-before-cluster", REFUSED)]),
        (settings(TWO), {}, ALONE, [("streams-before-cluster", REFUSED)]),
        (settings(TWO), RECORDS, ALONE, [("streams-before-cluster", REFUSED)]),
        # A member that was removed from its cluster, or one of another system account.
        (settings(TWO), {}, MEMBER, [("streams-before-cluster", REFUSED)]),
        (settings(TWO), {"SYS": RECORDS["system"]}, MEMBER, [("streams-before-cluster", REFUSED)]),
        # The same cluster: as it was, larger, smaller, with one member replaced, renamed as a whole.
        (settings(TWO), RECORDS, None, []),
        (settings(TWO), RECORDS, MEMBER, []),
        (settings(TWO, THREE), RECORDS, MEMBER, []),
        (settings(TWO), RECORDS, Use(ONE, "CHORIA", (TWO, THREE)), []),
        (settings(TWO, "new.example.net"), RECORDS, Use(ONE, "CHORIA", (TWO, THREE)), []),
        (settings(TWO, name="OTHER"), RECORDS, MEMBER, [("streams-of-renamed-cluster", Severity.INFO)]),
        # Only addresses have changed, which the engine's records do not have.
        (settings(TWO), RECORDS, Use(ONE, "CHORIA", ("192.0.2.2",)), []),
        (settings("192.0.2.2"), RECORDS, Use(ONE, "CHORIA", ("192.0.2.2",)), []),
        # Records that cannot be read.
        (settings(TWO), {"system": frozenset()}, MEMBER, []),
        # Another broker, or another name of this one.
        (settings(TWO, identity=THREE), RECORDS, MEMBER, [("streams-of-other-broker", REFUSED)]),
        (settings(TWO, identity=THREE), RECORDS, None, [("streams-of-other-broker", REFUSED)]),
        (settings(ONE, identity=TWO), RECORDS, MEMBER, [("streams-of-other-broker", REFUSED)]),
        # Another cluster.
        (settings(THREE), RECORDS, MEMBER, [("streams-of-other-cluster", REFUSED)]),
        (
            settings(THREE, name="OTHER"),
            RECORDS,
            MEMBER,
            [("streams-of-other-cluster", REFUSED), ("streams-of-renamed-cluster", Severity.INFO)],
        ),
    ],
)
def test_every_change_of_mode(
    now: Settings, records: dict[str, frozenset[str]], last: Use | None, expected: list[tuple[str, Severity]]
) -> None:
    assert codes(judge(now, Contents(STREAMS, records, last))) == expected
    assert codes(judge(now, Contents((), records, last))) == []


def test_what_is_refused_names_the_streams_the_setting_and_what_to_do() -> None:
    (finding,) = judge(settings(TWO), Contents(STREAMS, RECORDS, ALONE))
    assert "2 streams in the store (choria > ALONE, choria > CHORIA_EVENTS)" in finding.problem
    assert "last used them without peers" in finding.problem
    assert "start once without plugin.choria.network.peers" in finding.remedy
    assert "move /store away" in finding.remedy
    assert str(finding).startswith("broker.conf:7: plugin.choria.network.stream.store = /store: ")
    (finding,) = judge(settings(TWO, identity=THREE), Contents(STREAMS, RECORDS, MEMBER))
    assert str(finding).startswith(f"broker.conf:1: identity = {THREE}: the store belongs to {ONE}")
    assert f"set identity = {ONE}" in finding.remedy


def test_without_an_answer_of_name_servers_a_member_does_not_become_a_lone_broker() -> None:
    found = judge(settings(), Contents(STREAMS, RECORDS, MEMBER), peers_unknown=True)
    assert codes(found) == [("streams-of-cluster", REFUSED)]
    assert "name servers did not answer" in found[0].problem
    assert judge(settings(), Contents(STREAMS, {}, ALONE), peers_unknown=True) == ()


def test_the_system_account_of_an_operator_is_known_by_its_key() -> None:
    system, fleet = (
        OperatorAccount(name="SYS", key="ASYS", token=""),
        OperatorAccount(name="FLEET", key="AFLEET", token=""),
    )
    operator = Operator(
        name="OPS", directory=Path("/ops"), token="", accounts=(system, fleet), system=system, choria=fleet
    )
    now, streams = settings(TWO, operator=operator), (("AFLEET", "X"),)
    assert judge(now, Contents(streams, {"ASYS": RECORDS["system"]}, MEMBER)) == ()
    assert codes(judge(now, Contents(streams, RECORDS, MEMBER))) == [("streams-before-cluster", REFUSED)]


def test_streams_of_accounts_that_are_gone_are_told() -> None:
    (finding,) = judge(settings(), Contents((*STREAMS, ("ACME", "X"), ("ACME", "Y")), {}, ALONE))
    assert (finding.code, finding.severity) == ("streams-of-no-account", Severity.WARN)
    assert "2 streams in the store (ACME > X, ACME > Y)" in finding.problem


def test_what_is_kept_is_told_with_its_place_and_size() -> None:
    kept = tuple(Kept(Path(f"/store/kept/choria.S{number}.T"), 10) for number in range(7))
    (finding,) = judge(settings(), Contents(kept=kept))
    assert (finding.code, finding.severity) == ("streams-kept", Severity.WARN)
    assert "/store/kept/choria.S0.T" in finding.problem
    assert "and 2 more" in finding.problem
    assert "70 bytes" in finding.effect


def test_damaged_files_that_are_kept_are_told_apart() -> None:
    streams, blocks = Kept(Path("/store/kept/choria.S.T"), 10), Kept(Path("/store/kept/choria.S.T.damaged"), 20)
    first, second = judge(settings(), Contents(kept=(streams, blocks)))
    assert (first.code, second.code) == ("streams-kept", "streams-kept")
    assert str(blocks.path) not in first.problem
    assert str(blocks.path) in second.problem
    assert "20 bytes" in second.effect
    assert "jetstream/ACCOUNT" not in second.remedy


def test_members_on_one_machine_are_told_apart_by_their_ports() -> None:
    cluster = Cluster(
        peers=(Endpoint("nats", "localhost", 1), Endpoint("nats", "::1", 2), Endpoint("nats", TWO, 3)),
        routes=(Endpoint("nats", "localhost", 1), Endpoint("nats", "::1", 2), Endpoint("nats", TWO, 3)),
    )
    now = settings()
    now = replace(now, network=replace(now.network, cluster=cluster))
    assert use_of(now) == Use(ONE, "CHORIA", ("::1:2", TWO, "localhost:1"))


@pytest.mark.parametrize(
    ("left_out", "members"),
    [(("b.example",), ("b.example",)), (("",), ()), (("localhost",), ()), (("b.example", ""), ("b.example",))],
)
def test_a_member_without_usable_addresses_stays_one(left_out: tuple[str, ...], members: tuple[str, ...]) -> None:
    own = Endpoint("nats", ONE, 5222)
    now = settings()
    now = replace(now, network=replace(now.network, cluster=Cluster(peers=(own,), left_out=left_out)))
    assert use_of(now) == Use(ONE, "CHORIA", members)
    last = Use(ONE, "CHORIA", (TWO,))
    kept = Contents((("choria", "S"),), {"system": frozenset()}, last)
    assert judge(now, kept) == (), "the others are not known, which makes this no other cluster"
    assert use_of(now).after(last, partly=True).members == tuple(sorted((TWO, *members)))
    assert use_of(now).after(last).members == members
    assert use_of(now).after(Use(ONE), partly=True) == use_of(now).after(None, partly=True) == use_of(now)
    alone = Contents((("choria", "S"),), {}, Use(ONE))
    assert [each.code for each in judge(now, alone)] == ["streams-before-cluster"]


LONDON, PARIS = Joined("gateway London", ("l1.example", "l2.example")), Joined("gateway Paris", ("p1.example",))
HQ = Joined("leafnode remote HQ", ("hq.example",))


def joining(
    *others: Joined, alone: bool = False, port: int = 0, account: str = "system", operator: Operator | None = None
) -> Settings:
    """Return the settings of a broker with gateways, and leafnode remotes of an account."""
    now = settings(*(() if alone else (TWO,)), name="Tokyo", operator=operator)
    tls = RemoteTls()

    def urls(each: Joined) -> tuple[Endpoint, ...]:
        return tuple(Endpoint("nats", host, 7222) for host in each.hosts)

    gateways = [each for each in others if each.name.startswith("gateway ")]
    remotes = tuple(
        GatewayRemote(name=each.name.removeprefix("gateway "), urls=urls(each), tls=tls) for each in gateways
    )
    leafnodes = tuple(
        LeafnodeRemote(name=each.name.rpartition(" ")[2], urls=urls(each), account=account, credentials=None, tls=tls)
        for each in others
        if each not in gateways
    )
    network = replace(
        now.network,
        gateway=Gateway(name="Tokyo", port=port or 7222 * bool(remotes), remotes=remotes),
        leafnodes=Leafnodes(port=0, remotes=leafnodes),
    )
    return replace(now, network=network)


def tokyo(*joined: Joined) -> Use:
    return Use(ONE, "Tokyo", (TWO,), joined)


@pytest.mark.parametrize(
    ("now", "records", "last", "refused"),
    [
        # Gateways are new, or lead to others.
        (joining(LONDON), RECORDS, tokyo(), True),
        (joining(LONDON, PARIS), RECORDS, tokyo(LONDON), True),
        (joining(PARIS), RECORDS, tokyo(LONDON), True),
        (joining(replace(LONDON, hosts=("new.example",))), RECORDS, tokyo(LONDON), True),
        # They are as they were, renamed, fewer, more brokers of the same cluster.
        (joining(LONDON), RECORDS, tokyo(LONDON), False),
        (joining(replace(LONDON, name="gateway LON")), RECORDS, tokyo(LONDON), False),
        (joining(LONDON), RECORDS, tokyo(LONDON, PARIS), False),
        (joining(port=7222), RECORDS, tokyo(LONDON), False),
        (joining(), RECORDS, tokyo(LONDON), False),
        (joining(replace(LONDON, hosts=("l2.example", "l3.example"))), RECORDS, tokyo(LONDON), False),
        # The own cluster in the list is no other.
        (joining(Joined("gateway Tokyo", (ONE,))), RECORDS, tokyo(), False),
        # The engine's records have them already, or nobody wrote anything down.
        (joining(LONDON), {"system": RECORDS["system"] | {node_id("l1.example")}}, tokyo(), False),
        (joining(LONDON), RECORDS, Use(ONE, "Tokyo", (TWO,), None), False),
        (joining(LONDON), RECORDS, None, False),
        # A leafnode of the system account extends the JetStream of the hub; one of another account does not.
        (joining(HQ), RECORDS, tokyo(), True),
        (joining(HQ), RECORDS, tokyo(HQ), False),
        (joining(HQ, account="choria"), RECORDS, tokyo(), False),
        (joining(HQ, alone=True), {}, ALONE, True),
        (joining(HQ, alone=True), {}, replace(ALONE, joined=(HQ,)), False),
        (joining(HQ, alone=True, account="choria"), {}, ALONE, False),
    ],
)
def test_what_joins_streams_of_others(
    now: Settings, records: dict[str, frozenset[str]], last: Use | None, *, refused: bool
) -> None:
    found = judge(now, Contents((("choria", "ALONE"),), records, last))
    assert codes(found) == ([("streams-before-joining", REFUSED)] if refused else [])
    assert judge(now, Contents((), records, last)) == ()


def test_who_joins_is_named_with_the_ways_out() -> None:
    (finding,) = judge(joining(LONDON, PARIS), Contents(STREAMS, RECORDS, tokyo()))
    assert "date from before gateway London and gateway Paris" in finding.problem
    assert "join them with leafnodes instead" in finding.remedy
    assert "remove /store/broker.json on the members that keep theirs" in finding.remedy
    assert "are empty" not in finding.remedy
    # Clusters that were joined before get another one, of which nobody can see from here whether it is empty.
    (finding,) = judge(joining(LONDON, PARIS), Contents(STREAMS, RECORDS, tokyo(LONDON)))
    assert "date from before gateway Paris" in finding.problem
    assert finding.remedy.startswith("if the stores of gateway Paris are empty, remove /store/broker.json")
    (finding,) = judge(joining(HQ), Contents(STREAMS, RECORDS, tokyo()))
    assert "another account than the system's" in finding.remedy


def test_the_system_account_of_an_operator_counts() -> None:
    key = "ASYSTEM"
    operator = Operator(
        name="OPS",
        directory=Path("/OPS"),
        token="token",
        accounts=(),
        system=OperatorAccount(name="SYS", key=key, token="token"),
    )
    records = {key: RECORDS["system"]}
    for account, expected in ((key, 1), ("system", 0)):
        now = joining(HQ, account=account, operator=operator)
        found = judge(now, Contents(((key, "S"),), records, tokyo()))
        assert sum(each.code == "streams-before-joining" for each in found) == expected


def test_what_is_joined_is_remembered_as_long_as_anything_is() -> None:
    assert use_of(joining(LONDON)).after(tokyo(PARIS)).joined == (LONDON, PARIS)
    assert use_of(joining(PARIS)).after(tokyo(PARIS)).joined == (PARIS,)
    assert use_of(joining(port=7222)).joined is None, "they are all left out"
    assert use_of(joining(port=7222)).after(tokyo(LONDON)).joined == (LONDON,)
    assert use_of(joining()).after(tokyo(LONDON)).joined == ()
    assert use_of(joining(LONDON)).after(Use(TWO, "Tokyo", (), (PARIS,))).joined == (LONDON,)


JOINED = st.none() | st.lists(st.builds(Joined, st.text(), st.lists(st.text()).map(tuple))).map(tuple)
USES = st.builds(Use, st.text(), st.text(), st.lists(st.text()).map(tuple), JOINED)


@given(USES)
def test_what_is_written_is_read(use: Use) -> None:
    assert read(written(use)) == use


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"identity": 1, "cluster": "", "members": []}', '{"members": 1}']
)
def test_a_damaged_file_says_nothing(text: str) -> None:
    assert read(text) is None


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["identity", "cluster", "members", "joined"]), inner)
        ),
    )
)
def test_no_content_is_too_much(content: object) -> None:
    found = read(json.dumps(content))
    assert found is None or isinstance(found.identity, str)


def test_members_are_read_from_the_engines_record() -> None:
    record = (2).to_bytes(4, "little") * 2 + b"DgU35efMGv0iWMkH\0\0"
    assert members_in(record) == {node_id(ONE), node_id(TWO)} == {"DgU35efM", "Gv0iWMkH"}


@given(st.binary(max_size=64))
def test_damaged_records_have_no_members_or_some(record: bytes) -> None:
    assert all(len(each) <= 8 for each in members_in(record))


def test_a_renamed_cluster_is_told_with_what_to_type() -> None:
    (finding,) = judge(settings(TWO, name="NEW"), Contents(STREAMS, RECORDS, MEMBER))
    assert (finding.code, finding.severity) == ("streams-of-renamed-cluster", Severity.INFO)
    assert "was CHORIA and is now NEW" in finding.problem
    assert "nats stream edit STREAM --cluster NEW" in finding.remedy


def test_who_starts_alone_is_told_what_only_he_has() -> None:
    one_copy = (("choria", "ALONE"),)
    (finding,) = judge(settings(), Contents(STREAMS, RECORDS, MEMBER, single=one_copy))
    assert "1 of its 2 streams (choria > ALONE) have their only copy here" in finding.problem
    (finding,) = judge(settings(), Contents(STREAMS, RECORDS, MEMBER, single=one_copy), peers_unknown=True)
    assert "only copy here" in finding.problem


def test_who_moves_a_store_away_is_told_of_the_streams_with_one_copy() -> None:
    for now, last in ((settings(THREE), MEMBER), (settings(TWO, identity=THREE), MEMBER), (settings(TWO), ALONE)):
        (finding,) = judge(now, Contents(STREAMS, RECORDS, last))
        assert "nats stream rm" in finding.remedy
