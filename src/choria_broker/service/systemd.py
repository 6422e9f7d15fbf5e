"""Telling systemd how the broker is doing."""

from __future__ import annotations

import os
import socket

from choria_broker.log.structured import component

_WITHIN = 0.5
"""Seconds that the manager has to take a line."""

_log = component("broker")


def tell(state: str) -> None:
    """Send one state line to the service manager; when its socket cannot be reached, say so in the log and go on."""
    try:
        notify(state)
    except OSError as error:
        what = state.partition("\n")[0]
        _log.warning(
            f"Cannot notify the service manager of {what}: NOTIFY_SOCKET is not a listening socket", why=str(error)
        )


def notify(state: str) -> bool:
    """Send one state line, such as ``READY=1``, to the service manager.

    Returns:
        True when it was sent, False when no service manager asked for it.

    Raises:
        OSError: the service manager's socket could not be reached.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(_WITHIN)
        channel.connect(address)
        channel.sendall(state.encode())
    return True
