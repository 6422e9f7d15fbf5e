"""A CA is replaced in a network of brokers: links outlive each reload, and come back when the other side restarts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from support.testbed import Authority
from support.topology import (
    DEADLINE,
    Node,
    Setting,
    configure,
    gateways,
    joined,
    leafnodes,
    linked,
    logged,
    page,
    peers,
)


class Site:
    """A broker to be, with a certificate and a CA file of its own that are replaced."""

    def __init__(self, folder: Path, name: str, **settings: Setting) -> None:
        """Give it a name; the rest with ``settle``."""
        self.node = Node(f"{name}.example.net")
        self.folder = folder / name
        self.folder.mkdir()
        self.settings = settings

    def trusts(self, *authorities: Authority) -> None:
        """Replace its CA file."""
        (self.folder / "ca.pem").write_bytes(b"".join(each.ca.read_bytes() for each in authorities))

    def certified_by(self, authority: Authority) -> None:
        """Replace its certificate and key."""
        made = authority.issue(self.node.identity, *self.node.names)
        (self.folder / "cert.pem").write_bytes(made.certificate.read_bytes())
        (self.folder / "key.pem").write_bytes(made.key.read_bytes())

    def broker(self, authority: Authority) -> NetworkBroker:
        """Make the broker of what is there; the authority only keeps house."""
        files: dict[str, Setting] = {
            "plugin__security__file__certificate": self.folder / "cert.pem",
            "plugin__security__file__key": self.folder / "key.pem",
            "plugin__security__file__ca": self.folder / "ca.pem",
        }
        return NetworkBroker.from_file(configure(self.folder, authority, self.node, **files, **self.settings))


class Network:
    """One broker with a link of every kind: a member, another cluster, a hub, and a leafnode that joins it."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        """Write down who is linked with whom."""
        self.authority = authority
        self.one, self.two, self.far = (Site(folder, name) for name in ("one", "two", "far"))
        self.hub, self.leaf = Site(folder, "hub"), Site(folder, "leaf")
        one, two, far, hub, leaf = self.one, self.two, self.far, self.hub, self.leaf
        members = peers(one.node, two.node)
        two.settings = {**members, "network__gateway_name": "HERE"}
        far.settings = gateways(far.node, "FAR", HERE=[one.node])
        hub.settings = {"network__gateway_name": "HUB", "network__leafnode_port": hub.node.leafnode}
        leaf.settings = {"network__gateway_name": "LEAF", **_joins(one.node)}
        one.settings = {
            **members,
            **gateways(one.node, "HERE", FAR=[far.node]),
            **_joins(hub.node),
            "network__leafnode_port": one.node.leafnode,
        }
        self.others = (two, far, hub, leaf)

    @contextlib.asynccontextmanager
    async def others_running(self, certified_by: Authority, *trusted: Authority) -> AsyncIterator[None]:
        """Start all but the one with new certificates."""
        async with contextlib.AsyncExitStack() as stack:
            for each in self.others:
                each.certified_by(certified_by)
                each.trusts(*trusted)
                await stack.enter_async_context(each.broker(self.authority))
            yield

    async def linked(self) -> None:
        """Wait until every link stands."""
        await linked(self.one.node, self.two.node)
        await joined(self.one.node, "FAR")
        await joined(self.far.node, "HERE")
        await leafnodes(self.one.node, 2)

    async def links(self) -> set[str]:
        """Name every connection of the one with its number, which another connection would not have."""
        found = {f"route {each['rid']}" for each in (await page(self.one.node, "/routez"))["routes"]}
        found |= {f"leafnode {each['id']}" for each in (await page(self.one.node, "/leafz"))["leafs"]}
        gateway = await page(self.one.node, "/gatewayz")
        found |= {f"to gateway {each['connection']['cid']}" for each in gateway["outbound_gateways"].values()}
        inbound = [each for ones in gateway["inbound_gateways"].values() for each in ones]
        return found | {f"gateway {each['connection']['cid']}" for each in inbound}


def _joins(hub: Node) -> dict[str, Setting]:
    return {"network__leafnode_remotes": "up", "network__leafnode_remote__up__url": f"localhost:{hub.leafnode}"}


async def hanging(broker: NetworkBroker, *kinds: set[str]) -> None:
    """Wait until the CAs of the file, in their order, have links of just these kinds."""
    found: tuple[set[str], ...] = ()
    try:
        async with asyncio.timeout(DEADLINE):
            while found != kinds:
                await broker.statistics.read_certificates()
                uses = broker.statistics.authorities
                assert uses
                # Of two members each dials the other, and one connection is left.
                found = tuple(
                    {kind.removeprefix("to_clu").replace("cluster", "ster") for kind in each.connections}
                    for each in uses.authorities
                )
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{kinds} became {found}") from None


ALL = {"ster", "gateway", "to_gateway", "leafnode", "to_leafnode"}


@pytest.mark.slow
async def test_links_stay_and_come_back_while_the_ca_is_replaced(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    new = Authority(tmp_path, "new")
    network = Network(tmp_path, authority)
    one = network.one
    one.certified_by(authority)
    one.trusts(authority)
    async with one.broker(authority) as broker:

        async def reload() -> None:
            before = await network.links()
            await broker.reload()
            assert await network.links() == before

        async with network.others_running(authority, authority):
            await network.linked()
            await hanging(broker, ALL)
            one.trusts(authority, new)
            await reload()
            await hanging(broker, ALL, set())
        async with network.others_running(new, authority, new):
            await network.linked()
            await hanging(broker, set(), ALL)
            one.certified_by(new)
            await reload()
        async with network.others_running(new, new):
            await network.linked()
            one.trusts(new)
            await reload()
            await hanging(broker, ALL)
        caplog.clear()
        async with network.others_running(authority, authority, new):
            await logged(caplog, "TLS leafnode handshake error", "unknown authority")
            await logged(caplog, "TLS gateway handshake error", "unknown authority")
            await logged(caplog, "TLS route handshake error", "unknown authority")
            await hanging(broker, set())
