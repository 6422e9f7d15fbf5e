"""The first configuration of the pages about topologies, as it is printed: real brokers with it find each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from choria_broker.broker import NetworkBroker
from support.pages import ROOT, blocks
from support.testbed import Authority, client
from support.topology import Node, carried, formed, joined, nodes, running

PRINTED = "broker1.example.net"
"""The broker that pages show the configuration of."""
KIND = {"5222": "peer", "7222": "gateway"}


def printed(page: str) -> str:
    return next(block.text for block in blocks(ROOT / "docs/how-to" / page) if block.language == "ini")


def made(folder: Path, authority: Authority, text: str, node: Node, others: Mapping[str, Node]) -> NetworkBroker:
    """Make a broker of a printed configuration: names of hosts become places on this machine, the rest stays."""

    def here(match: re.Match[str]) -> str:
        return f"localhost:{getattr(others[match['name']], KIND[match['port']])}"

    own = authority.issue(node.identity, "localhost", "127.0.0.1")
    text = re.sub(r"(?P<name>[\w.]+):(?P<port>5222|7222)\b", here, text)
    text = re.sub(r"_port = (5222|7222)\b", lambda match: f"_port = {getattr(node, KIND[match[1]])}", text)
    text = text.replace(f"/etc/choria/ssl/{PRINTED}.pem", str(own.certificate))
    text = text.replace(f"/etc/choria/ssl/{PRINTED}.key", str(own.key))
    text = text.replace("/etc/choria/ssl/ca.pem", str(authority.ca))
    text = text.replace(f"identity = {PRINTED}", f"identity = {node.identity}")
    text += "plugin.choria.network.listen_address = 127.0.0.1\n"
    text += f"plugin.choria.network.client_port = {node.client}\nplugin.choria.stats_port = {node.statistics}\n"
    if "peers" in text and "peer_port" not in text:
        text += f"plugin.choria.network.peer_port = {node.peer}\n"
    path = folder / f"{node.identity}.conf"
    path.write_text(text, encoding="utf-8")
    return NetworkBroker.from_file(path)


async def test_the_cluster_of_the_page_forms(tmp_path: Path, authority: Authority) -> None:
    members = nodes(3)
    places = {node.identity: node for node in members}
    brokers = [made(tmp_path, authority, printed("cluster.md"), node, places) for node in members]
    bob = authority.context(authority.issue("bob.mcollective"))
    async with running(brokers), client(brokers[0], bob) as here, client(brokers[2], bob) as there:
        await formed(*members)
        await carried(here, there)


async def test_the_clusters_of_the_page_are_joined(tmp_path: Path, authority: Authority) -> None:
    tokyo = nodes(2)
    london = tuple(Node(f"london{number}.example.net") for number in (1, 2))
    places = {node.identity: node for node in (*tokyo, *london)}
    text = printed("gateways.md")
    brokers = [made(tmp_path, authority, text, node, places) for node in tokyo]
    text = text.replace("gateway_name = Tokyo", "gateway_name = London")
    text = re.sub(r"peers = .*", "peers = london1.example.net:5222, london2.example.net:5222", text)
    brokers += [made(tmp_path, authority, text, node, places) for node in london]
    bob = authority.context(authority.issue("bob.mcollective"))
    async with running(brokers), client(brokers[0], bob) as here, client(brokers[3], bob) as there:
        await formed(*tokyo)
        await formed(*london)
        for node in tokyo:
            await joined(node, "London")
        for node in london:
            await joined(node, "Tokyo")
        await carried(here, there)
        await carried(there, here)
