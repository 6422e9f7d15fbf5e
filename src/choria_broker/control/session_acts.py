"""What the control socket answers and does about sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from choria_broker.access.selection import SelectionError
from choria_broker.control.peer_credentials import Peer
from choria_broker.control.protocol import ConnectionsRequest, FindRequest, KickRequest
from choria_broker.control.server import ActError
from choria_broker.errors import BrokerError
from choria_broker.sessions.desk import SessionDesk
from choria_broker.sessions.documents import Found, Kicked, Page

Act = Callable[[Any, Peer], Awaitable[object]]
"""Does what a request asks for, and returns the result."""


class Finder(Protocol):
    """Looks for somebody, here and elsewhere."""

    async def find(self, text: str) -> Found:
        """Tell where somebody is, or was."""
        ...


def session_acts(desk: SessionDesk, finder: Finder) -> Mapping[type, Act]:
    """Tell who answers which request.

    Args:
        desk: answers for this broker.
        finder: asks others too.
    """

    async def connections(request: ConnectionsRequest, _peer: Peer) -> Page:
        return await desk.page(request.selection, request.after)

    async def kick(request: KickRequest, peer: Peer) -> Kicked:
        return await desk.kick(request.selection, str(peer), dry_run=request.dry_run)

    async def find(request: FindRequest, _peer: Peer) -> Found:
        return await finder.find(request.text)

    return {ConnectionsRequest: _told(connections), KickRequest: _told(kick), FindRequest: _told(find)}


def _told(act: Act) -> Act:
    """Have an error of the broker be the answer."""

    async def told(request: object, peer: Peer) -> object:
        try:
            return await act(request, peer)
        except (BrokerError, SelectionError) as error:
            raise ActError(str(error)) from error

    return told
