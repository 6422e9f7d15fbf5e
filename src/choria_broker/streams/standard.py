"""The standard streams, exactly: what each is to be, from the settings and the number of peers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from choria_broker.access.verdict import CHORIA_ACCOUNT
from choria_broker.config.settings import Settings, StandardStream, Streams
from choria_broker.streams.replicas import copies

EVENTS = "CHORIA_EVENTS"
MACHINE = "CHORIA_MACHINE"
ADVISORIES = "CHORIA_STREAM_ADVISORIES"
EXECUTOR = "CHORIA_EXECUTOR"
LEADER_ELECTION = "KV_CHORIA_LEADER_ELECTION"

_NANOSECONDS = 1_000_000_000
_EXECUTOR_INPUT = "choria.submission.in.choria.executor.>"


@dataclasses.dataclass(frozen=True, slots=True)
class StreamConfiguration:
    """What one stream is to be.

    Attributes:
        name: of the stream.
        subjects: what it keeps.
        max_age: seconds a message is kept.
        replicas: copies, 1 to 5.
        description: for people, empty when there is none.
        discard: ``old`` or ``new``: what goes when a limit is reached.
        max_msgs_per_subject: messages kept of one subject, -1 for no limit.
        max_msg_size: bytes of a message, -1 for no limit.
        deny_delete: messages cannot be deleted by hand.
        allow_rollup: a message may replace all earlier ones of its subject.
        allow_direct: messages can be read from any copy.
        transform: subject to match and what it becomes in the stream, None when subjects stay.
    """

    name: str
    subjects: tuple[str, ...]
    max_age: float
    replicas: int
    description: str = ""
    discard: str = "old"
    max_msgs_per_subject: int = -1
    max_msg_size: int = -1
    deny_delete: bool = False
    allow_rollup: bool = False
    allow_direct: bool = False
    transform: tuple[str, str] | None = None

    def document(self) -> dict[str, object]:
        """Write the configuration as the Streams API takes it, complete but for the duplicate window.

        The engine chooses that window to fit the age; one that was sent could be too long once the age is lowered.
        """
        document: dict[str, object] = {
            "name": self.name,
            "subjects": list(self.subjects),
            "retention": "limits",
            "storage": "file",
            "discard": self.discard,
            "max_age": round(self.max_age * _NANOSECONDS),
            "max_msgs": -1,
            "max_msgs_per_subject": self.max_msgs_per_subject,
            "max_bytes": -1,
            "max_msg_size": self.max_msg_size,
            "max_consumers": -1,
            "num_replicas": self.replicas,
            "no_ack": False,
            "sealed": False,
            "deny_delete": self.deny_delete,
            "deny_purge": False,
            "allow_rollup_hdrs": self.allow_rollup,
            "allow_direct": self.allow_direct,
            "mirror_direct": False,
            "compression": "none",
        }
        if self.description:
            document["description"] = self.description
        if self.transform:
            document["subject_transform"] = dict(zip(("src", "dest"), self.transform, strict=True))
        return document


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of the standard streams of an account.

    Attributes:
        managed: the streams to make or update, in this order.
        left_alone: names of the others.
        wanted: the settings of how many copies the managed ones have.
        peers: members of the cluster, this broker included; 0 for a broker that is alone.
    """

    managed: tuple[StreamConfiguration, ...]
    left_alone: tuple[str, ...]
    wanted: tuple[int, ...]
    peers: int


def plan(streams: Streams, peers: int) -> Plan:
    """Decide what to make, update and leave alone.

    Args:
        streams: the settings.
        peers: members of the cluster, this broker included; 0 for a broker that is alone.
    """
    chosen = [(each, setting) for each, setting in _all(streams, peers) if _is_managed(streams, each.name, setting)]
    managed = tuple(each for each, _ in chosen)
    left_alone = tuple(each.name for each, _ in _all(streams, peers) if each not in managed)
    return Plan(managed, left_alone, tuple(setting.replicas for _, setting in chosen), peers)


def stream_accounts(settings: Settings) -> tuple[str, ...]:
    """Name the accounts that have streams: Choria's own first, then those of organizations.

    In operator mode that is the account chosen for it, when the broker can log in to it.
    """
    operator = settings.network.operator
    if not settings.network.streams.store:
        return ()
    if operator:
        return (operator.choria.name,) if operator.choria and operator.choria.credentials else ()
    return tuple(dict.fromkeys((CHORIA_ACCOUNT, *(issuer.account for issuer in settings.security.issuers))))


def _is_managed(streams: Streams, name: str, setting: StandardStream) -> bool:
    return streams.manage and (setting.retention > 0 or name == LEADER_ELECTION)


def _all(streams: Streams, peers: int) -> Iterator[tuple[StreamConfiguration, StandardStream]]:
    """Give each standard stream, in the order they are made, with its settings."""
    for name, subject, setting in (
        (EVENTS, "choria.lifecycle.>", streams.events),
        (MACHINE, "choria.machine.>", streams.machine),
        (ADVISORIES, "$JS.EVENT.ADVISORY.>", streams.advisories),
    ):
        yield StreamConfiguration(name, (subject,), setting.retention, copies(setting.replicas, peers)), setting
    setting = streams.executor
    yield (
        StreamConfiguration(
            EXECUTOR,
            (_EXECUTOR_INPUT,),
            setting.retention,
            copies(setting.replicas, peers),
            description="Choria Executor Events",
            allow_direct=True,
            transform=(_EXECUTOR_INPUT, "choria.executor.>"),
        ),
        setting,
    )
    setting = streams.leader_election
    yield (
        StreamConfiguration(
            LEADER_ELECTION,
            ("$KV.CHORIA_LEADER_ELECTION.>",),
            setting.retention,
            copies(setting.replicas, peers),
            description="Choria Leader Election Bucket",
            discard="new",
            max_msgs_per_subject=1,
            max_msg_size=1024,
            deny_delete=True,
            allow_rollup=True,
            allow_direct=True,
        ),
        setting,
    )
