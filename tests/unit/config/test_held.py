"""What a running broker keeps although the files say something else."""

from __future__ import annotations

from choria_broker.config.held import alone_or_not, hold, in_its_cluster
from choria_broker.config.table.schema import Apply
from choria_broker.config.text.syntax import Document, parse
from choria_broker.settings.served import Served
from choria_broker.values import replace
from support.scenario import NET, net, scenario


def texts(document: Document) -> dict[str, str]:
    return {entry.key: entry.value for entry in document.entries}


def document(text: str) -> Document:
    return parse(text.encode(), "broker.conf")


def test_settings_of_the_class_are_as_they_are_served_and_others_as_written() -> None:
    served = Served.of(net("websocket_port = 4333", "max_connections = 100").ok)
    written = document(f"identity = other.example.net\n{NET}leafnode_port = 7422\n{NET}max_connections = 200\n")
    found = texts(hold(written, served, Apply.RESTART))
    assert found[NET + "websocket_port"] == "4333"
    assert found[NET + "max_connections"] == "200"
    assert found["identity"] == served.identity
    assert NET + "leafnode_port" not in found


def test_what_is_kept_has_its_old_place() -> None:
    served = Served.of(net("websocket_port = 4333").ok)
    kept = {entry.key: entry.origin for entry in hold(Document(), served, Apply.RESTART).entries}
    assert kept[NET + "websocket_port"] == served.origin(NET + "websocket_port")


def test_the_name_of_the_machine_stays() -> None:
    served = Served.of(scenario("plugin.choria.broker_network = true\nplugin.choria.ssldir = /tls\n").ok)
    assert "identity" not in served.raw
    assert texts(hold(Document(), served, Apply.RESTART))["identity"] == served.identity


def test_unknown_keys_and_keys_of_others_are_left_alone() -> None:
    written = document("plugin.yaml = /x\nfoo = bar\n")
    found = texts(hold(written, Served.of(net().ok), Apply.ENGINE))
    assert (found["plugin.yaml"], found["foo"]) == ("/x", "bar")


PEERS = ("peers = a.example.net:5222, b.example.net:5222", "peer_port = 5222")


def test_further_keys_are_held_when_they_are_named() -> None:
    served = Served.of(net(*PEERS).ok)
    written = document(f"{NET}peers = c.example.net:5222\n")
    assert texts(hold(written, served, Apply.RESTART))[NET + "peers"] == "c.example.net:5222"
    assert texts(hold(written, served, Apply.RESTART, NET + "peers"))[NET + "peers"] == served.raw[NET + "peers"]


def test_a_broker_stays_in_its_cluster_or_on_its_own() -> None:
    alone, member = net().ok, net(*PEERS).ok
    other = net("peers = a.example.net:5222, c.example.net:5222", "peer_port = 5222").ok
    assert alone_or_not(alone, Served.of(member))
    assert not alone_or_not(member, Served.of(other))
    assert in_its_cluster(member, Served.of(alone)).network.cluster == alone.network.cluster
    assert in_its_cluster(alone, Served.of(member)).network.cluster == member.network.cluster
    assert in_its_cluster(other, Served.of(member)) is other


def test_where_the_cluster_was_not_told_it_is_as_the_files_say() -> None:
    member = net(*PEERS).ok
    served = replace(Served.of(member), cluster=None)
    assert not alone_or_not(member, served)
    assert in_its_cluster(member, served) is member
