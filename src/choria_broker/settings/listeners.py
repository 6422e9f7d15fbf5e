"""Where a broker listens: the one list of its listeners, and which of them its settings call for."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from choria_broker.settings.hostnames import authority
from choria_broker.settings.network import NETWORK, Network


class EngineListener(msgspec.Struct, frozen=True, kw_only=True):
    """A listener that the engine can have.

    Attributes:
        block: what it is called in the engine's configuration.
        key: setting of its port.
        wanted_by: setting that calls for it.
        door: what the engine calls it where it counts those who have not logged in, and their places; empty where
            nobody logs in.
        port: its port; 0 when there is none, or when any free one will do.
    """

    block: str
    key: str
    wanted_by: str
    door: str
    port: Callable[[Network], int]


def _listener(
    block: str, port_setting: str, door: str, port: Callable[[Network], int], *, wanted_by: str = ""
) -> EngineListener:
    return EngineListener(
        block=block, key=NETWORK + port_setting, wanted_by=NETWORK + (wanted_by or port_setting), door=door, port=port
    )


ENGINE_LISTENERS = (
    _listener("port", "client_port", "client", lambda network: network.client_port),
    _listener(
        "cluster",
        "peer_port",
        "cluster",
        lambda network: network.cluster.port if network.cluster.joined else 0,
        wanted_by="peers",
    ),
    _listener(
        "gateway",
        "gateway_port",
        "gateway",
        lambda network: network.gateway.port if network.gateway.enabled else 0,
        wanted_by="gateway_remotes",
    ),
    _listener(
        "leafnodes", "leafnode_port", "leafnode", lambda network: network.leafnodes.port, wanted_by="leafnode_remotes"
    ),
    _listener("websocket", "websocket_port", "websocket", lambda network: network.websocket.port),
    _listener("prof_port", "pprof_port", "", lambda network: network.pprof_port),
)
"""All of them. Whoever must know where the broker listens asks here."""

DOORS = tuple(each.door for each in ENGINE_LISTENERS if each.door)
"""The listeners that the engine opens to everybody."""


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the broker listens.

    Attributes:
        key: setting of its port.
        address_key: setting of its address.
        address: IP address, or a name.
        port: never 0.
    """

    key: str
    address_key: str
    address: str
    port: int

    @property
    def place(self) -> str:
        """``address:port``, with IPv6 in brackets."""
        return authority(self.address, self.port)


def engine_listeners(network: Network) -> tuple[Listener, ...]:
    """List the engine's listeners with a port of their own."""
    found = ((each.key, each.port(network)) for each in ENGINE_LISTENERS)
    return tuple(
        Listener(key=key, address_key=f"{NETWORK}listen_address", address=network.listen_address, port=port)
        for key, port in found
        if port
    )
