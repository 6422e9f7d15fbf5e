"""How a broker is, told by its signs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.status.health import Condition, Symptoms, Validity, assess, days_left
from choria_broker.values import replace

NOW = 1_800_000_000.0
DAY = 86400.0
ATTENTION = "The broker works but needs attention:"
WELL = Symptoms(engine=True, peers_configured=2, peers_connected=2, certificates=(Validity("/c.pem", NOW + 90 * DAY),))


@pytest.mark.parametrize(
    ("change", "condition", "reason"),
    [
        ({}, Condition.OK, ""),
        ({"engine": False}, Condition.FAILING, "the engine does not answer"),
        ({"keys_short": "1 of 2 ends"}, Condition.DEGRADED, "1 of 2 ends"),
        (
            {"streams_problem": "the engine has disabled them"},
            Condition.FAILING,
            "Choria Streams are not available: the engine has disabled them",
        ),
        (
            {"certificates": (Validity("/c.pem", NOW),)},
            Condition.FAILING,
            "the certificate in /c.pem has expired",
        ),
        (
            {"certificates": (Validity("/signer.pem", NOW, vital=False),)},
            Condition.DEGRADED,
            "the certificate in /signer.pem has expired",
        ),
        (
            {"certificates": (Validity("/c.pem", NOW + 13.4 * DAY),)},
            Condition.DEGRADED,
            "the certificate in /c.pem expires in 13 days",
        ),
        (
            {"certificates": (Validity("/c.pem", NOW + 1.9 * DAY),)},
            Condition.DEGRADED,
            "the certificate in /c.pem expires in 1 day",
        ),
        (
            {"certificates": (Validity("/c.pem", NOW + 1),)},
            Condition.DEGRADED,
            "the certificate in /c.pem expires in less than a day",
        ),
        (
            {"certificates": (Validity("/ca.pem", NOW + DAY), Validity("/ca.pem", NOW + 1.5 * DAY, vital=False))},
            Condition.DEGRADED,
            "the certificate in /ca.pem expires in 1 day",
        ),
        ({"certificates": (Validity("/c.pem", NOW + 14.1 * DAY),)}, Condition.OK, ""),
        ({"draining": "2 of 3 connections are left"}, Condition.DRAINING, "2 of 3 connections are left"),
        (
            {"peers_connected": 0},
            Condition.DEGRADED,
            "none of the 2 other members of the cluster is connected",
        ),
        (
            {"peers_connected": 1},
            Condition.DEGRADED,
            "only 1 of the 2 other members of the cluster is connected",
        ),
        (
            {"peers_configured": 4},
            Condition.DEGRADED,
            "only 2 of the 4 other members of the cluster are connected",
        ),
        (
            {"peers_configured": 1, "peers_connected": 0},
            Condition.DEGRADED,
            "the other member of the cluster is not connected",
        ),
        ({"peers_connected": 3}, Condition.OK, ""),
        (
            {"nearly_used": ("more than 80 % of memory is used",)},
            Condition.DEGRADED,
            "more than 80 % of memory is used",
        ),
        (
            {"provisioning_stalled": True},
            Condition.DEGRADED,
            "nodes have waited for provisioning for five minutes or more, and no provisioner is connected",
        ),
        ({"links_down": ("gateway lon is not connected",)}, Condition.DEGRADED, "gateway lon is not connected"),
        (
            {"links_down": ("member b is not connected",), "members_down": 1, "peers_connected": 1},
            Condition.DEGRADED,
            "member b is not connected",
        ),
        (
            {"streams_degraded": ("CHORIA_EVENTS in choria: failed",)},
            Condition.DEGRADED,
            "CHORIA_EVENTS in choria: failed",
        ),
        (
            {"features_left_out": 1},
            Condition.DEGRADED,
            "1 feature is not in use because of the configuration",
        ),
        (
            {"features_left_out": 2},
            Condition.DEGRADED,
            "2 features are not in use because of the configuration",
        ),
    ],
)
def test_each_sign_counts(change: dict[str, Any], condition: Condition, reason: str) -> None:
    health = assess(replace(WELL, **change), NOW)

    assert health.condition is condition
    assert health.reasons == ((reason,) if reason else ())
    assert reason in health.sentence


@pytest.mark.parametrize(
    ("signs", "sentence"),
    [
        (WELL, "All is well."),
        (
            replace(WELL, peers_connected=0, links_down=("gateway lon is not connected", "b")),
            f"{ATTENTION} gateway lon is not connected, and 2 more.",
        ),
        (
            replace(WELL, engine=False),
            "The broker is failing: the engine does not answer.",
        ),
    ],
)
def test_sentences(signs: Symptoms, sentence: str) -> None:
    assert assess(signs, NOW).sentence == sentence


@given(
    st.builds(
        Symptoms,
        engine=st.booleans(),
        streams_problem=st.sampled_from(["", "off"]),
        peers_configured=st.integers(0, 3),
        peers_connected=st.integers(0, 3),
        links_down=st.lists(st.just("gateway x is not connected"), max_size=2),
        certificates=st.lists(
            st.builds(Validity, st.just("/c"), st.floats(NOW - DAY, NOW + 100 * DAY), st.booleans()), max_size=2
        ),
        features_left_out=st.integers(0, 2),
    )
)
def test_there_are_reasons_exactly_when_something_is_amiss(signs: Symptoms) -> None:
    health = assess(signs, NOW)

    assert bool(health.reasons) == (health.condition is not Condition.OK)
    assert health.sentence.count(".") == 1


def test_days_left_are_tenths_and_go_below_zero() -> None:
    assert (days_left(NOW + 1.26 * DAY, NOW), days_left(NOW - DAY, NOW)) == (1.3, -1.0)


def test_a_broker_that_drains_is_sound_and_not_to_be_used_unless_it_fails() -> None:
    draining = replace(WELL, draining="1 of 3 connections are left", peers_connected=1)
    found = assess(draining, NOW)
    assert found.condition is Condition.DRAINING
    assert found.sentence == "The broker is draining: 1 of 3 connections are left, and 1 more."
    assert assess(replace(draining, streams_problem="lost"), NOW).condition is Condition.FAILING
