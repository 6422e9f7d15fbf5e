"""What a federation broker makes of a request and of a reply.

A request keeps the reply subject of its client in its federation object, and asks for replies to the federation broker.
A reply loses its federation object, and goes to the subject that was kept there.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from choria_broker.companions.subjects import may_publish, may_publish_all
from choria_broker.federation.transport import Cause, Transport


class Outgoing(msgspec.Struct, frozen=True):
    """A message to publish.

    Attributes:
        transport: the message, edited.
        targets: subjects to publish it to, in order; never none.
        refused: how many other targets it has, to which nothing may be published.
    """

    transport: Transport
    targets: tuple[str, ...]
    refused: int = 0


class Subjects(msgspec.Struct, frozen=True):
    """The subjects of a federation broker's own.

    Attributes:
        federation: where it takes requests.
        collective: where it takes replies.
    """

    federation: str
    collective: str

    @classmethod
    def of(cls, cluster: str) -> Subjects:
        """Return those of a cluster."""
        return cls(f"choria.federation.{cluster}.federation", f"choria.federation.{cluster}.collective")

    def allow(self, subject: str) -> bool:
        """Tell whether a message may be published to a subject that came with it; never to the broker's own."""
        return may_publish(subject) and subject not in (self.federation, self.collective)

    def allowed(self, targets: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of many subjects that ``allow`` allows."""
        if may_publish_all(targets) and self.federation not in targets and self.collective not in targets:
            return targets
        return tuple(target for target in targets if self.allow(target))


def request(transport: Transport, subjects: Subjects) -> Outgoing | Cause:
    """Edit a request of a client.

    Args:
        transport: as received.
        subjects: of this federation broker.

    Returns:
        What is to be published to the servers, or why it is dropped.
    """
    federation = transport.federation
    if federation is None:
        return Cause.NOT_FEDERATED
    if not federation.targets:
        return Cause.NO_TARGETS
    if not transport.reply:
        return Cause.NO_REPLY
    if not subjects.allow(transport.reply):
        return Cause.BAD_REPLY
    allowed = subjects.allowed(federation.targets)
    if not allowed:
        return Cause.BAD_TARGETS
    kept = replace(federation, reply=transport.reply, targets=())
    edited = replace(transport, reply=subjects.collective, federation=kept)
    return Outgoing(edited, allowed, len(federation.targets) - len(allowed))


def reply(transport: Transport, subjects: Subjects) -> Outgoing | Cause:
    """Edit a reply of a server.

    Args:
        transport: as received.
        subjects: of this federation broker.

    Returns:
        What is to be published to the client, or why it is dropped.
    """
    federation = transport.federation
    if federation is None:
        return Cause.NOT_FEDERATED
    if not federation.reply:
        return Cause.NO_REPLY
    if not subjects.allow(federation.reply):
        return Cause.BAD_REPLY
    return Outgoing(replace(transport, federation=None), (federation.reply,))
