"""The metrics of streams and of the store they lie in."""

from __future__ import annotations

from collections.abc import Callable, Collection

from choria_broker.stats.families import Values
from choria_broker.stats.measured import YES_NO, Measured, Take, counter, gauge
from choria_broker.stats.standings import Standings
from choria_broker.streams.report import State


def _states(at: Measured) -> Values:
    return {
        (account, stream, state.value): float(state is report.state)
        for (account, stream), report in dict(at.streams.reports).items()
        for state in State
    }


def _standing(values: Callable[[Standings, Collection[tuple[str, str]]], Values]) -> Take:
    """Take how streams stand; nothing while that was not read."""
    return lambda at: (
        values(at.readings.standings, set(at.streams.reports)) if at.readings and at.readings.standings else None
    )


def _writable(found: Standings, standard: Collection[tuple[str, str]]) -> Values:
    return {key: float(not each.obstacle) for each in found.streams if (key := (each.account, each.stream)) in standard}


def _copies(found: Standings, standard: Collection[tuple[str, str]]) -> Values:
    return {
        (each.account, each.stream, state.value): count
        for each in found.streams
        if (each.account, each.stream) in standard
        for state, count in each.counts.items()
    }


def _lags(found: Standings, standard: Collection[tuple[str, str]]) -> Values:
    return {
        (each.account, each.stream, copy.member): copy.lag
        for each in found.streams
        if (each.account, each.stream) in standard and each.counts
        for copy in each.copies
    }


def _others(found: Standings, standard: Collection[tuple[str, str]]) -> Values:
    counted = dict.fromkeys(YES_NO, 0)
    for each in found.streams:
        if (each.account, each.stream) not in standard:
            counted[YES_NO[not each.obstacle]] += 1
    return counted


STREAMS = (
    gauge(
        "choria_broker_stream_state",
        "1 for the state that a standard stream is in, 0 for the others.",
        _states,
        "account stream state",
    ),
    *(
        gauge(name, text, _standing(values), labels)
        for name, text, values, labels in (
            (
                "choria_broker_stream_writable",
                "1 while a standard stream accepts messages, as far as this broker knows, otherwise 0.",
                _writable,
                "account stream",
            ),
            (
                "choria_broker_stream_copies",
                "Copies of a standard stream by state, told by the leader.",
                _copies,
                "account stream state",
            ),
            (
                "choria_broker_stream_lag",
                "Operations that the copy of a standard stream on another member is behind, told by the leader.",
                _lags,
                "account stream member",
            ),
            (
                "choria_broker_other_streams",
                "Other streams with a copy on this broker, by whether they accept messages.",
                _others,
                "writable",
            ),
            (
                "choria_broker_streams_cluster_leader",
                "1 while the cluster has a leader for its streams, otherwise 0.",
                lambda found, _standard: None if found.meta is None else float(not found.meta.obstacle),
                "",
            ),
        )
    ),
    gauge(
        "choria_broker_store_free_bytes",
        "Free bytes on the disk of the store.",
        lambda at: {at.store: at.store_free} if at.store and at.store_free is not None else None,
        "path",
    ),
    counter(
        "choria_broker_stream_failures_total",
        "Failed attempts to create or update a standard stream.",
        lambda at: at.streams.failures,
        "account stream",
    ),
    gauge(
        "choria_broker_stream_last_failure_seconds",
        "Time of the latest failed attempt to create or update the stream, in Unix seconds.",
        lambda at: at.streams.last_failures,
        "account stream",
    ),
    counter(
        "choria_broker_stream_troubles_total",
        "Problems with the streams store that the engine's log or its files show, by class.",
        lambda at: at.streams.troubles,
        "account stream trouble",
    ),
)
