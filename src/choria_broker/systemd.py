"""Telling systemd how the broker is doing."""

from __future__ import annotations

import os
import socket


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
        channel.connect(address)
        channel.sendall(state.encode())
    return True
