"""From the engine's objection to the setting that produced what it objects to."""

from __future__ import annotations

import re

from choria_broker.config.settings import Settings

_NETWORK = "plugin.choria.network."
_PLACE = re.compile(r"\.conf:(\d+):\d+: |line (\d+)\b")
_LEAST = 4
"""Characters of a value below which finding it in a message means nothing."""

_KEYS = {
    "server_name": "identity",
    "host": f"{_NETWORK}listen_address",
    "port": f"{_NETWORK}client_port",
    "client_advertise": f"{_NETWORK}public_url",
    "write_deadline": f"{_NETWORK}write_deadline",
    "max_connections": f"{_NETWORK}max_connections",
    "debug": "loglevel",
    "prof_port": f"{_NETWORK}pprof_port",
    "tls": "plugin.security.provider",
    "cluster": f"{_NETWORK}peers",
    "gateway": f"{_NETWORK}gateway_remotes",
    "leafnodes": f"{_NETWORK}leafnode_remotes",
    "websocket": f"{_NETWORK}websocket_port",
    "jetstream": f"{_NETWORK}stream.store",
    "system_account": f"{_NETWORK}system_account",
    "accounts": f"{_NETWORK}mapping.names",
    "authorization": f"{_NETWORK}auth_timeout",
    "operator": f"{_NETWORK}operator_account",
    "resolver_preload": f"{_NETWORK}operator_account",
}
"""Blocks of the engine's configuration, and the setting that calls for them."""


def blamed(objection: str, shown: str, settings: Settings) -> str:
    """Find the setting that an objection is about.

    A value of the configuration that the engine repeats tells most; else the line it names does.

    Args:
        objection: the engine's words.
        shown: its configuration, secrets masked, line by line as it was written.
        settings: what that was made of.

    Returns:
        The full key, empty when nothing tells.
    """
    repeated = [key for key, value in settings.raw.items() if len(value) >= _LEAST and value in objection]
    if repeated:
        return max(repeated, key=lambda key: len(settings.raw[key]))
    place = _PLACE.search(objection)
    if not place:
        return ""
    number = int(place[1] or place[2])
    blocks = [line.partition(":")[0] for line in shown.splitlines()[:number] if line[:1].isalpha()]
    return _KEYS.get(blocks[-1], "") if blocks else ""
