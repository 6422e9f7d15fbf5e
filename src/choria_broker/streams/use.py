"""What a broker uses a store of streams as, and how that is written in the store."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import msgspec

from choria_broker.settings.broker import Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.values import replace

_SYSTEM = "system"


class Joined(msgspec.Struct, frozen=True):
    """Brokers elsewhere with which this one has its JetStream in common, if both have Streams.

    Attributes:
        name: what they are called in the settings, as ``gateway London``.
        hosts: where they are.
    """

    name: str
    hosts: tuple[str, ...]


class Use(msgspec.Struct, frozen=True):
    """What a broker uses a store as.

    Attributes:
        identity: of the broker.
        cluster: name of the cluster, empty for a broker that is alone.
        members: the other members, by which they are told from those of another cluster.
        joined: what is beyond gateways, and leafnode remotes of the system account; None when that is not known.
    """

    identity: str
    cluster: str = ""
    members: tuple[str, ...] = ()
    joined: tuple[Joined, ...] | None = ()

    def after(self, last: Use | None, *, partly: bool = False) -> Use:
        """Keep of the last time what is still so.

        What was joined counts as joined as long as anything is: a remote that is left out today comes back another day.

        Args:
            last: what the store was used as last.
            partly: some addresses of members are not known this time.
        """
        if last is None or last.identity != self.identity:
            return self
        members = self.members
        if partly and last.cluster == self.cluster:
            members = tuple(sorted({*members, *last.members}))
        names = {each.name for each in self.joined or ()}
        before = tuple(each for each in last.joined or () if each.name not in names)
        joined = last.joined if self.joined is None else (*self.joined, *before) if self.joined else ()
        return replace(self, members=members, joined=joined)


def use_of(settings: Settings) -> Use:
    """Tell what a broker with these settings uses its store as."""
    cluster = settings.network.cluster
    if not cluster.joined:
        return Use(settings.identity, joined=joined_by(settings))
    hosts = (host for host in cluster.left_out if host and not _is_loopback(host))
    members = tuple(sorted({*(place_of(route) for route in cluster.routes), *hosts}))
    return Use(settings.identity, settings.network.gateway.name, members, joined_by(settings))


def joined_by(settings: Settings) -> tuple[Joined, ...] | None:
    """Tell what a broker joins with these settings, None when that is not known."""
    network = settings.network
    hubs = [remote for remote in network.leafnodes.remotes if remote.account == system_account(settings)]
    if network.gateway.port and not network.gateway.remotes:
        return None  # They are all left out, for mistakes in their settings.
    return (
        *(
            Joined(f"gateway {remote.name}", tuple(place_of(url) for url in remote.urls))
            for remote in network.gateway.others
        ),
        *(Joined(f"leafnode remote {remote.name}", tuple(place_of(url) for url in remote.urls)) for remote in hubs),
    )


def system_account(settings: Settings) -> str:
    """Return the system account as the engine calls it, empty when an operator has none."""
    operator = settings.network.operator
    return (operator.system.key if operator.system else "") if operator else _SYSTEM


def written(use: Use) -> str:
    """Write a use as the content of its file."""
    about = "Written by choria-broker at each start; says whose streams these are."
    return json.dumps({"about": about} | msgspec.to_builtins(use), indent=2) + "\n"


def read(text: str) -> Use | None:
    """Read the content of that file, None when it says nothing that can be used."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("members"), list):
        return None
    identity, cluster, members = found.get("identity"), found.get("cluster"), found["members"]
    if not isinstance(identity, str) or not isinstance(cluster, str):
        return None
    return Use(identity, cluster, tuple(str(member) for member in members), _read_joined(found.get("joined")))


def _read_joined(found: Any) -> tuple[Joined, ...] | None:
    try:
        return tuple(Joined(str(each["name"]), tuple(str(host) for host in each["hosts"])) for each in found)
    except (TypeError, KeyError):
        return None


def place_of(member: Endpoint) -> str:
    """Name a member so that another port does not make it another one, but for several on one machine."""
    return f"{member.host}:{member.port}" if _is_loopback(member.host) else member.host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
