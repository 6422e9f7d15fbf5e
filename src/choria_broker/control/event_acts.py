"""What the control socket answers about events."""

from __future__ import annotations

from collections.abc import Mapping

from choria_broker.audit.events import EventBook, EventPage
from choria_broker.control.protocol import EventsRequest
from choria_broker.control.server import Act, Who


def event_acts(book: EventBook, broker: str) -> Mapping[type, Act]:
    """Tell who answers which request.

    Args:
        book: remembers what has happened.
        broker: identity of this broker.
    """

    async def events(request: EventsRequest, _who: Who) -> EventPage:
        return book.page(request.wanted, broker)

    return {EventsRequest: events}
