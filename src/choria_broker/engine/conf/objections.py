"""From the engine's objection to the setting that produced what it objects to."""

from __future__ import annotations

from choria_broker.patterns import expression
from choria_broker.settings.broker import Settings
from choria_broker.settings.listeners import ENGINE_LISTENERS
from choria_broker.settings.network import NETWORK, Network

_PLACE = expression(r"\.conf:(\d+):\d+: |line (\d+)\b")
_LEAST = 4
"""Characters of a value below which finding it in a message means nothing."""

_KEYS = {
    **{name: NETWORK + name for name in Network.__struct_fields__},
    "server_name": "identity",
    "host": f"{NETWORK}listen_address",
    "client_advertise": f"{NETWORK}public_url",
    "debug": "loglevel",
    "tls": "plugin.security.provider",
    "jetstream": f"{NETWORK}stream.store",
    "system_account": f"{NETWORK}system_account",
    "accounts": f"{NETWORK}mapping.names",
    "authorization": f"{NETWORK}auth_timeout",
    "operator": f"{NETWORK}operator_account",
    "resolver_preload": f"{NETWORK}operator_account",
} | {listener.block: listener.wanted_by for listener in ENGINE_LISTENERS}
"""Blocks of the engine's configuration, and the setting that calls for them: one of the same name, unless said here."""


def setting_behind(objection: str, masked: str, settings: Settings) -> str:
    """Find the setting that an objection is about.

    A value of the configuration that the engine repeats tells most; else the line it names does.

    Args:
        objection: the engine's words.
        masked: its configuration, secrets masked, line by line as it was written.
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
    blocks = [line.partition(":")[0] for line in masked.splitlines()[:number] if line[:1].isalpha()]
    return _KEYS.get(blocks[-1], "") if blocks else ""
