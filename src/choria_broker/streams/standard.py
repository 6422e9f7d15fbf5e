"""The standard streams, exactly: what each is to be, from the settings and the number of peers."""

from __future__ import annotations

import msgspec

from choria_broker.settings.broker import Settings
from choria_broker.settings.streams import StandardStream, Streams
from choria_broker.streams.replicas import copies
from choria_broker.values import replace

_NANOSECONDS = 1_000_000_000


def document(stream: StandardStream) -> dict[str, object]:
    """Write a stream as the Streams API takes it, complete but for the duplicate window.

    The engine chooses that window to fit the age; one that was sent could be too long once the age is lowered.
    """
    written: dict[str, object] = {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": "limits",
        "storage": "file",
        "discard": stream.discard,
        "max_age": round(stream.retention * _NANOSECONDS),
        "max_msgs": -1,
        "max_msgs_per_subject": stream.max_msgs_per_subject,
        "max_bytes": -1,
        "max_msg_size": stream.max_msg_size,
        "max_consumers": -1,
        "num_replicas": stream.replicas,
        "no_ack": False,
        "sealed": False,
        "deny_delete": stream.deny_delete,
        "deny_purge": False,
        "allow_rollup_hdrs": stream.allow_rollup,
        "allow_direct": stream.allow_direct,
        "mirror_direct": False,
        "compression": "none",
    }
    if stream.description:
        written["description"] = stream.description
    if stream.transform:
        written["subject_transform"] = dict(zip(("src", "dest"), stream.transform, strict=True))
    return written


class Plan(msgspec.Struct, frozen=True):
    """What is to become of the standard streams of an account.

    Attributes:
        managed: the streams to make or update, in this order, each with as many copies as it gets.
        left_alone: names of the others.
        wanted: the settings of how many copies the managed ones have.
        peers: members of the cluster, this broker included; 0 for a broker that is alone.
        cluster: its name, empty for a broker that is alone.
    """

    managed: tuple[StandardStream, ...]
    left_alone: tuple[str, ...]
    wanted: tuple[int, ...]
    peers: int
    cluster: str = ""


def plan(streams: Streams, peers: int, cluster: str = "") -> Plan:
    """Decide what to make, update and leave alone.

    Args:
        streams: the settings.
        peers: members of the cluster, this broker included; 0 for a broker that is alone.
        cluster: its name.
    """
    managed = tuple(each for each in streams.standard if streams.manage and (each.retention > 0 or each.elects))
    return Plan(
        managed=tuple(replace(each, replicas=copies(each.replicas, peers)) for each in managed),
        left_alone=tuple(each.name for each in streams.standard if each not in managed),
        wanted=tuple(each.replicas for each in managed),
        peers=peers,
        cluster=cluster if peers else "",
    )


def stream_accounts(settings: Settings) -> tuple[str, ...]:
    """Name the accounts that have streams: Choria's own first, then those of organizations.

    In operator mode that is the account chosen for it, when the broker can log in to it.
    """
    operator = settings.network.operator
    if not settings.network.streams.store:
        return ()
    if operator:
        return (operator.choria.name,) if operator.choria and operator.choria.credentials else ()
    return settings.stream_account_names
