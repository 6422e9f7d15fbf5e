"""What the control socket answers and does about sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from choria_broker.control.protocol import ConnectionsRequest, FindRequest, KickRequest, TopRequest
from choria_broker.control.server import Act, Who
from choria_broker.sessions.desk import SessionDesk
from choria_broker.sessions.documents import Found, Kicked, Page, Top


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

    async def connections(request: ConnectionsRequest, _who: Who) -> Page:
        return await desk.page(request.selection, request.after)

    async def top(request: TopRequest, _who: Who) -> Top:
        return await desk.top(request.most, request.by)

    async def kick(request: KickRequest, who: Who) -> Kicked:
        return await desk.kick(request.selection, await who(), dry_run=request.dry_run)

    async def find(request: FindRequest, _who: Who) -> Found:
        return await finder.find(request.text)

    return {ConnectionsRequest: connections, TopRequest: top, KickRequest: kick, FindRequest: find}
