"""The same network of servers several times: of brokers, of bare nats-servers and of twins.

Each server begins as a Choria configuration. A nats-server gets the file that the broker writes for its engine, word
for word, and beside it in words what the engine knows by itself: certificates are demanded, and who has one is in
account choria.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.building import MeasurementError
from bench.servers import BARE, OURS, TWIN, Command, Server, Site, broker_command, running, until_open
from choria_broker.config.load import load
from choria_broker.engine.conf.render import LEAFNODE_AUTH_TIMEOUT, render
from support.topology import Node, Setting, carried, client_of, configure

Plan = Callable[[], Mapping[Node, Mapping[str, Setting]]]
"""Makes nodes with ports of their own, and what each is told."""

_LEAFNODE_LOGIN = f"  authorization: {{\n    timeout: {LEAFNODE_AUTH_TIMEOUT}\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A server to be.

    Attributes:
        name: how tables call it.
        node: its ports.
        command: what runs it.
        environment: with these variables.
    """

    name: str
    node: Node
    command: Command
    environment: Mapping[str, str]

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """Run it; it is ready when its client port accepts."""
        with running(self.command, self.environment) as (process, began):
            seconds = until_open(self.node.client, process, began)
            yield Server(self.name, self.node.client, seconds, (process, *process.children()))


def networks(site: Site, plan: Plan) -> tuple[tuple[Member, ...], ...]:
    """Configure a network of brokers, one of bare nats-servers and one of twins, in this order."""
    return tuple(network(site, plan, name) for name in (OURS, BARE, TWIN))


def network(site: Site, plan: Plan, name: str) -> tuple[Member, ...]:
    """Configure a network of one kind of server."""
    folder = Path(tempfile.mkdtemp(dir=site.folder))
    made = []
    for node, settings in plan().items():
        path = configure(folder, site.authority, node, **settings)
        made.append(Member(name, node, _command(site, name, path), site.environment))
    return tuple(made)


def _command(site: Site, name: str, configuration: Path) -> Command:
    if name == OURS:
        return broker_command(configuration)
    loaded = load(configuration)
    if loaded.settings is None:
        raise MeasurementError("; ".join(map(str, loaded.findings)))
    path = configuration.with_suffix(".nats")
    path.write_text(_for_nats_server(render(loaded.settings).text), encoding="utf-8")
    return [site.bare_program if name == BARE else site.twin_program, "--config", path]


def _for_nats_server(text: str) -> str:
    text = text.replace("tls: {\n", "tls: {\n  verify: true\n")
    text = text.replace("  choria: {", '  choria: {\n    users: [ { user: "bench", password: "bench" } ]\n')
    text = text.replace(_LEAFNODE_LOGIN, f"{_LEAFNODE_LOGIN}    account: choria\n")
    return f"{text}no_auth_user: bench\n"


def wait_linked(site: Site, one: Member, other: Member) -> None:
    """Wait until messages cross from one server to another."""

    async def meet() -> None:
        context = site.authority.context(site.client)
        async with client_of(one.node, context) as sender, client_of(other.node, context) as receiver:
            await carried(sender, receiver)

    try:
        asyncio.run(meet())
    except TimeoutError:
        raise MeasurementError(f"no message crosses from one {one.name} to the other") from None
