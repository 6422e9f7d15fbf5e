"""The kinds of reasons that health has, with what each means and what to do."""

from __future__ import annotations

import enum
from typing import Self


class Reason(enum.StrEnum):
    """A stable name for one kind of reason; its sentence tells the details.

    Attributes:
        meaning: what it says of the broker.
        remedy: what to do.
        page: where more is, below the documentation's folder.
    """

    meaning: str
    remedy: str
    page: str

    def __new__(cls, name: str, meaning: str, remedy: str, page: str) -> Self:
        """Make a member out of a row."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning, member.remedy, member.page = meaning, remedy, page
        return member

    ENGINE_SILENT = (
        "engine-silent",
        "The engine does not answer: nobody can log in, and messages may not be passed on.",
        (
            "Look at the engine's last lines in the log. Under systemd the watchdog starts the broker anew; "
            "without it, restart the broker."
        ),
        "explanation/trouble.md",
    )
    STREAMS_OFF = (
        "streams-off",
        "Choria Streams should be there, and the engine has turned them off.",
        (
            "The sentence or the log has the reason, such as a full disk or a store that cannot be written: mend that, "
            "then restart the broker."
        ),
        "how-to/streams.md",
    )
    STREAM_DEGRADED = (
        "stream-degraded",
        (
            "A standard stream cannot be written, has no leader, lacks copies, or is not as the settings want it; or "
            "the store is short of room."
        ),
        "choria-broker streams shows each stream with its copies and its trouble.",
        "how-to/streams.md",
    )
    CERTIFICATE_EXPIRED = (
        "certificate-expired",
        "A certificate has ended. When it is the broker's own, or the last of its CA, nobody can connect any more.",
        "Put a new one in the place of the file: the broker takes it within seconds.",
        "how-to/rotate.md",
    )
    CERTIFICATE_EXPIRES = (
        "certificate-expires",
        "A certificate ends within two weeks.",
        "Put a new one in the place of the file; choria-broker certificates shows what hangs on it.",
        "how-to/rotate.md",
    )
    LINK_DOWN = (
        "link-down",
        "Another member, a gateway or a leafnode remote is not connected.",
        "The sentence has the cause where it is known: compare address, login and certificates on both sides.",
        "how-to/cluster.md",
    )
    MEMBERS_MISSING = (
        "members-missing",
        "Fewer members of the cluster are connected than are configured.",
        "Look at the brokers that are missing, and at the port for peers between them.",
        "how-to/cluster.md",
    )
    COMPANION_AILING = (
        "companion-ailing",
        "An adapter or the federation broker does not work: it waits for a broker, is started anew, or was given up.",
        "The log of its component has the cause; choria-broker status shows each of them.",
        "how-to/adapters.md",
    )
    NEARLY_USED = (
        "nearly-used",
        "Something that is limited is nearly used up: connections, descriptors, subscriptions, memory or store.",
        "Raise the limit that the sentence names, or have fewer.",
        "how-to/monitor.md",
    )
    KEYS_SHORT = (
        "keys-short",
        "Processes that hold the private key end again and again, so TLS has fewer to sign with.",
        "The log says how they end; too little memory is a usual cause.",
        "how-to/secure.md",
    )
    PROVISIONING_STALLED = (
        "provisioning-stalled",
        "Nodes have waited for provisioning for five minutes or more, and no provisioner is connected.",
        "Start the provisioner, and look for its refusals: choria-broker provisioning.",
        "how-to/provisioning.md",
    )
    FEATURES_LEFT_OUT = (
        "features-left-out",
        "Errors in the configuration keep features out; the rest runs.",
        "choria-broker check names each with file, line and remedy.",
        "reference/findings.md",
    )
    CRL_OVERDUE = (
        "crl-overdue",
        "A list of revoked certificates is past its next update: whoever was revoked since is not known here.",
        "Have the CA write a new list, and bring it to the place of the file.",
        "how-to/revoke.md",
    )
    RELOAD_REFUSED = (
        "reload-refused",
        "The last reload changed nothing, since what is in the files now cannot be used.",
        "Correct what the sentence names; choria-broker check shows all of it. Then reload again.",
        "how-to/reload.md",
    )
    FILE_NOT_USED = (
        "file-not-used",
        "A watched file was changed and cannot be used; the content from before stays in use.",
        "Put a whole and valid file in its place; the broker takes it by itself.",
        "how-to/rotate.md",
    )
    DRAINING = (
        "draining",
        "An operator asked for a drain: connections move to other brokers, and no new ones are taken.",
        "Nothing; choria-broker drain --cancel takes it back.",
        "how-to/drain.md",
    )
