"""What tests of leafnodes share: a hub, a spoke that joins it, and what is heard where."""

from __future__ import annotations

from pathlib import Path

from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from support.testbed import Authority, settled
from support.topology import Node, Setting, broker, carried

REMOTE = "network__leafnode_remote__"


def hub(folder: Path, authority: Authority, node: Node, **settings: Setting) -> NetworkBroker:
    """Make a broker that listens for leafnodes, its cluster called HQ."""
    usual: dict[str, Setting] = {"network__gateway_name": "HQ", "network__leafnode_port": node.leafnode}
    return broker(folder, authority, node, **(usual | settings))


def remote(name: str, url: str | int, **settings: Setting) -> dict[str, Setting]:
    """Write the settings of one remote, given by its port of 127.0.0.1 or its address; they do not list it."""
    address = f"127.0.0.1:{url}" if isinstance(url, int) else url
    return {f"{REMOTE}{name}__url": address} | {f"{REMOTE}{name}__{key}": value for key, value in settings.items()}


def spoke(folder: Path, authority: Authority, node: Node, **settings: Setting) -> NetworkBroker:
    """Make a broker with the remotes of its settings, its cluster called SITE."""
    keys = (key.removeprefix(REMOTE) for key in settings if key.startswith(REMOTE))
    names = dict.fromkeys(key.partition("__")[0] for key in keys)
    usual: dict[str, Setting] = {"network__gateway_name": "SITE", "network__leafnode_remotes": ", ".join(names)}
    return broker(folder, authority, node, **(usual | settings))


class Ears:
    """Hears what is said in the account of a client.

    Attributes:
        heard: subject and payload of every message so far.
    """

    def __init__(self, client: Client) -> None:
        """Prepare to listen; use ``ears``."""
        self._client = client
        self.heard: list[tuple[str, str]] = []

    async def take(self, message: Msg) -> None:
        """Remember a message."""
        self.heard.append((message.subject, message.data.decode(errors="replace")))

    async def of(self, payload: str) -> set[str]:
        """Return the subjects on which a payload was heard, of all messages that the broker holds by now."""
        await settled(self._client)
        return {subject for subject, text in self.heard if text == payload}


async def ears(client: Client, *subjects: str) -> Ears:
    """Have a client hear these subjects from now on, without any every one."""
    listening = Ears(client)
    for subject in subjects or (">",):
        await client.subscribe(subject, cb=listening.take)
    await settled(client)
    return listening


async def say(client: Client, payload: str, *subjects: str) -> None:
    """Publish a payload on subjects; on return the broker has passed it on to all its links."""
    for subject in subjects:
        await client.publish(subject, payload.encode())
    await settled(client)


async def meet(one: Client, other: Client) -> None:
    """Wait until messages cross both ways, which carry along all that was said before."""
    await carried(one, other)
    await carried(other, one)
