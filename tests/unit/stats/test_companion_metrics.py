"""The metrics of adapters and the federation broker."""

from __future__ import annotations

from choria_broker.companions import metrics
from choria_broker.companions.reports import CompanionReport, SideReport
from choria_broker.companions.spec import ADAPTER, FEDERATION, Key
from choria_broker.companions.tally import Counts
from choria_broker.stats.families import Family
from choria_broker.stats.measured import Measured
from choria_broker.stats.metrics import families

COUNTS: Counts = {
    metrics.RECEIVED: {("reg.0", "input"): 5.0, ("reg.0", "output"): 4.0},
    metrics.PUBLISHED: {("reg.0", "output"): 4.0},
    metrics.ERRORS: {("reg.0", "input"): 2.0},
    f"{metrics.TIME}_sum": {("reg.0", "input"): 0.5},
    f"{metrics.TIME}_count": {("reg.0", "input"): 7.0},
    metrics.QUEUE_CAPACITY: {("reg",): 1000.0},
    metrics.FEDERATION_RECEIVED: {("nats_ingest", "0", "federation", "london"): 3.0},
}
REPORT = CompanionReport(
    kind=ADAPTER,
    name="reg",
    state="running",
    sentence="adapter reg runs",
    restarts=2,
    lost=3,
    sides={"ingest": SideReport(1, 1, ("nats://bridge",)), "output": SideReport(1, 0, (), "away")},
)


def found(**measured: object) -> dict[str, Family]:
    return {family.name: family for family in families(Measured(identity="b", **measured))}  # type: ignore[arg-type]


def test_they_have_the_names_of_the_original() -> None:
    shown = found(companion_counts=COUNTS)
    received = shown["choria_adapter_received_msgs"]
    assert received.kind == "counter"
    assert {
        (each.labels["name"], each.labels["role"], each.labels["identity"]): each.value for each in received.samples
    } == {
        ("reg.0", "input", "b"): 5,
        ("reg.0", "output", "b"): 4,
    }
    assert [(each.suffix, each.value) for each in shown["choria_adapter_time"].samples] == [
        ("_sum", 0.5),
        ("_count", 7),
    ]
    assert shown["choria_adapter_queue_capacity"].samples[0].labels == {"identity": "b", "name": "reg"}
    (federation,) = shown["choria_federation_received_msgs"].samples
    assert federation.labels == {
        "identity": "b",
        "name": "nats_ingest",
        "worker": "0",
        "connected_to": "federation",
        "cluster": "london",
    }


def test_without_companions_nothing_is_shown() -> None:
    shown = found()
    assert not [name for name, family in shown.items() if "companion" in name and family.samples]
    assert shown["choria_adapter_errors"].samples == ()


def test_how_their_processes_are() -> None:
    shown = found(companions=(REPORT,))
    values = {
        name.removeprefix("choria_broker_companion_"): {
            tuple(each.labels.values())[1:]: each.value for each in family.samples
        }
        for name, family in shown.items()
        if "companion" in name
    }
    assert values == {
        "up": {("adapter", "reg"): 1},
        "restarts_total": {("adapter", "reg"): 2},
        "lost_total": {("adapter", "reg"): 3},
        "connections": {("adapter", "reg", "ingest"): 1, ("adapter", "reg", "output"): 0},
    }


def test_totals() -> None:
    assert metrics.totals(Key(ADAPTER, "reg"), COUNTS) == (5, 4, 2)
    assert metrics.totals(Key(FEDERATION, "london"), COUNTS) == (3, 0, 0)


def test_sides_add_up() -> None:
    one, other = SideReport(2, 1, ("a", "b"), ""), SideReport(1, 1, ("b",), "away")
    assert one + other == SideReport(3, 2, ("a", "b"), "away")
