"""What tokens may permit: the flag of the claim, the option that sets it, and what it means in words."""

from __future__ import annotations

import enum
from typing import Self


class _Permission(enum.StrEnum):
    """A permission flag of tokens, written as in the claim.

    Attributes:
        place: among those that ``jwt view`` lists.
        option: of the command that makes such a token, without dashes.
        can: what its holder can do, as ``jwt view`` shows it.
        help: what the command says of the option.
    """

    place: int
    option: str
    can: str
    help: str

    def __new__(cls, claim: str, place: int, option: str, can: str, condition: str = "") -> Self:
        flag = str.__new__(cls, claim)
        flag._value_ = claim
        flag.place, flag.option, flag.can = place, option, f"Can {can}"
        flag.help = f"May {can}{condition and f'; {condition}'}."
        return flag

    @property
    def parameter(self) -> str:
        """The option as a name in Python."""
        return self.option.replace("-", "_")


class ClientPermission(_Permission):
    """Permission flags of client tokens that mean something to a broker, in the order of the claim."""

    STREAMS_ADMIN = "streams_admin", 6, "stream-admin", "administer Choria Streams"
    STREAMS_USER = "streams_user", 5, "stream-user", "use Choria Streams"
    EVENTS_VIEWER = "events_viewer", 4, "event-viewer", "watch lifecycle and autonomous agent events"
    ELECTION_USER = "election_user", 3, "elections-user", "take part in leader elections"
    SYSTEM_USER = "system_user", 9, "system", "log in to the broker's system account"
    GOVERNOR = "governor", 7, "governor", "use Choria Governors"
    ORG_ADMIN = "org_admin", 8, "org-admin", "subscribe and publish to every subject, and log in to the system account"
    FLEET_MANAGEMENT = "fleet_management", 1, "fleet-management", "manage Choria fleet nodes"
    SIGNED_FLEET_MANAGEMENT = (
        *("signed_fleet_management", 2, "signed-fleet-management"),
        "manage Choria fleet nodes with countersigned requests only",
    )
    PROVISIONER = "provisioner", 12, "server-provisioner", "provision Choria servers"
    SERVICE = "service", 11, "service", "have a token that is valid for a long time"
    AUTHENTICATION_DELEGATOR = "authentication_delegator", 10, "auth-delegation", "sign requests for other users"


class ServerPermission(_Permission):
    """Permission flags of server tokens, in the order of the claim."""

    SUBMISSION = "submission", 2, "submission", "publish Choria Submission messages"
    STREAMS = "streams", 3, "stream-user", "use Choria Streams"
    GOVERNOR = "governor", 4, "governor", "use Choria Governors", "needs --stream-user"
    SERVICE_HOST = "service_host", 1, "service", "host services"
