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
        "The engine does not answer: nobody can log in, and messages may not be delivered.",
        (
            "Look at the engine's last lines in the log. Under systemd the watchdog restarts the broker; without "
            "a watchdog, restart it yourself."
        ),
        "explanation/trouble.md",
    )
    STREAMS_OFF = (
        "streams-off",
        "Choria Streams are configured, but the engine has turned them off.",
        (
            "The health sentence or the log has the cause, such as a full disk or a store that cannot be written: fix "
            "it, then restart the broker."
        ),
        "how-to/streams.md",
    )
    STREAM_DEGRADED = (
        "stream-degraded",
        (
            "A standard stream cannot be written, has no leader, lacks copies, or does not match the settings; or the "
            "store is almost full."
        ),
        "choria-broker streams shows each stream with its copies and problems.",
        "how-to/streams.md",
    )
    CERTIFICATE_EXPIRED = (
        "certificate-expired",
        "A certificate has expired. If it is the broker's own, or the last one in its CA file, nobody can connect.",
        "Replace the file with a new certificate; the broker reads it within half a minute.",
        "how-to/rotate.md",
    )
    CERTIFICATE_EXPIRES = (
        "certificate-expires",
        "A certificate expires within two weeks.",
        "Replace the file with a new certificate; choria-broker certificates shows which connections depend on it.",
        "how-to/rotate.md",
    )
    LINK_DOWN = (
        "link-down",
        "Another member, a gateway or a leafnode remote is not connected.",
        "The health sentence has the cause if it is known: compare address, login and certificates on both sides.",
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
        "An adapter or the federation broker does not work: it waits for a broker, is restarted, or was given up.",
        "The log of its component has the cause; choria-broker status shows the state of each.",
        "how-to/adapters.md",
    )
    NEARLY_USED = (
        "nearly-used",
        "A limit is nearly reached: connections, open files, subscriptions, memory or store.",
        "Raise the limit that the health sentence names, or reduce the use.",
        "how-to/monitor.md",
    )
    KEYS_SHORT = (
        "keys-short",
        "Key processes, which hold the private key, end again and again, so fewer are left to sign for TLS.",
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
        "Features are not in use because of errors in the configuration; everything else works.",
        "choria-broker check shows each error with file, line and remedy.",
        "reference/findings.md",
    )
    CRL_OVERDUE = (
        "crl-overdue",
        "A list of revoked certificates is past its next update: the broker does not know what was revoked since then.",
        "Have the CA write a new list, and replace the file with it.",
        "how-to/revoke.md",
    )
    RELOAD_REFUSED = (
        "reload-refused",
        "The last reload changed nothing, because what is in the files now cannot be used.",
        "Correct what the health sentence names; choria-broker check shows all errors. Then reload again.",
        "how-to/reload.md",
    )
    FILE_NOT_USED = (
        "file-not-used",
        "A watched file was changed and cannot be used; its previous content stays in use.",
        "Replace it with a complete and valid file; the broker reads it by itself.",
        "how-to/rotate.md",
    )
    DRAINING = (
        "draining",
        "An operator asked for a drain: connections move to other brokers, and no new ones are accepted.",
        "Nothing to do; choria-broker drain --cancel cancels the drain.",
        "how-to/drain.md",
    )
