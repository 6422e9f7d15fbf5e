"""The standard streams, field by field, and settings of them."""

from __future__ import annotations

from typing import Any

from choria_broker.settings import durations
from choria_broker.settings.streams import STANDARD_STREAMS, StandardStream
from choria_broker.values import replace

HOUR = 3_600_000_000_000


EVERYWHERE = {
    "retention": "limits",
    "storage": "file",
    "max_msgs": -1,
    "max_bytes": -1,
    "max_consumers": -1,
    "deny_purge": False,
    "mirror_direct": False,
    "sealed": False,
    "no_ack": False,
    "compression": "none",
    "num_replicas": 1,
}


PLAIN = EVERYWHERE | {
    "discard": "old",
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "deny_delete": False,
    "allow_rollup_hdrs": False,
    "allow_direct": False,
}


EXPECTED: dict[str, dict[str, Any]] = {
    "CHORIA_EVENTS": PLAIN | {"subjects": ["choria.lifecycle.>"], "max_age": 24 * HOUR},
    "CHORIA_MACHINE": PLAIN | {"subjects": ["choria.machine.>"], "max_age": 24 * HOUR},
    "CHORIA_STREAM_ADVISORIES": PLAIN | {"subjects": ["$JS.EVENT.ADVISORY.>"], "max_age": 168 * HOUR},
    "CHORIA_EXECUTOR": PLAIN
    | {
        "subjects": ["choria.submission.in.choria.executor.>"],
        "description": "Choria Executor Events",
        "max_age": 24 * HOUR,
        "allow_direct": True,
        "subject_transform": {"src": "choria.submission.in.choria.executor.>", "dest": "choria.executor.>"},
    },
    "KV_CHORIA_LEADER_ELECTION": EVERYWHERE
    | {
        "subjects": ["$KV.CHORIA_LEADER_ELECTION.>"],
        "description": "Choria Leader Election Bucket",
        "max_age": 60_000_000_000,
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_msg_size": 1024,
        "deny_delete": True,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
    },
}
"""In the order they are made. Whoever has to know all standard streams asks here."""

NAMES = tuple(EXPECTED)

ELECTION = "KV_CHORIA_LEADER_ELECTION"
"""The one that is always managed."""


def created() -> list[str]:
    """Return what the log says when all are made on a broker that is alone."""
    ages = {name: durations.in_go(float(fields["max_age"]) / 1e9) for name, fields in EXPECTED.items()}
    return [f"Created stream {name} with 1 replicas and {age} retention" for name, age in ages.items()]


def standard(**chosen: tuple[float, int]) -> tuple[StandardStream, ...]:
    """Return the table of standard streams with other retention and replicas, by the key of their settings."""
    assert chosen.keys() <= {each.key for each in STANDARD_STREAMS}
    return tuple(
        replace(each, retention=retention, replicas=replicas)
        for each in STANDARD_STREAMS
        for retention, replicas in [chosen.get(each.key, (each.retention, each.replicas))]
    )
