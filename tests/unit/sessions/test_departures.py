"""The end of each connection is a line of the log, bounded for each address."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from choria_broker.access.session import Departed, Holder, Traffic
from choria_broker.host.succession import Succession
from choria_broker.sessions.departures import Departures

NOW = 1000.0


def departed(number: int, reason: str = "Client Closed", address: str = "192.0.2.1") -> Departed:
    return Departed(
        connection=number + 100,
        kind="client",
        address=address,
        account="choria",
        username="web1",
        tls="mtls",
        since=NOW - 3723.5,
        number=number,
        until=NOW,
        reason=reason,
        holder=Holder(identity="web1.example.net"),
        traffic=Traffic(0.0, 0, 1, 11, 2, 22),
    )


class Ends:
    """An engine that remembers who has gone."""

    def __init__(self, *those: Departed) -> None:
        self.those: Sequence[Departed] = those

    async def __call__(self, after: int) -> tuple[Departed, ...]:
        return tuple(each for each in self.those if each.number > after)


def lines(caplog: pytest.LogCaptureFixture, text: str) -> list[dict[str, Any]]:
    return [record.__dict__ for record in caplog.records if record.getMessage() == text]


async def test_each_end_is_told_once_with_who_and_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ends = Ends(departed(1))
    departures = Departures(ends, clock=lambda: NOW)
    await departures.look()
    ends.those = (departed(1), departed(2, "Stale Connection"))
    await departures.look()
    first, second = lines(caplog, "Connection ended")
    assert first["reason"] == "Client Closed"
    assert (second["cid"], second["remote"], second["identity"]) == (102, "192.0.2.1", "web1.example.net")
    assert (second["after"], second["reason"]) == ("1h2m3s", "Stale Connection")
    assert (second["in_bytes"], second["out_bytes"]) == (11, 22)


async def test_a_noisy_address_gets_some_lines_and_a_summary(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = [NOW]
    departures = Departures(
        Ends(
            *(departed(number) for number in range(1, 31)),
            departed(31, "Read Error"),
            departed(32, address="192.0.2.2"),
        ),
        clock=lambda: now[0],
    )
    await departures.look()
    assert len(lines(caplog, "Connection ended")) == 7
    now[0] += 61
    await departures.look()
    (summary,) = lines(caplog, "Further connections ended")
    assert (summary["left_out"], summary["reasons"]) == (25, "Client Closed=30, Read Error=1")


@pytest.mark.parametrize(("before", "told"), [(True, 1), (False, 0)])
async def test_the_next_program_tells_of_nobody_twice(
    caplog: pytest.LogCaptureFixture, *, before: bool, told: int
) -> None:
    caplog.set_level(logging.INFO)
    first = Departures(Ends(departed(1)), clock=lambda: NOW)
    await first.look()
    caplog.clear()
    succession = Succession()
    if before:
        first.remember(succession)
    succession = succession.kept()
    second = Departures(Ends(departed(1), departed(2)), clock=lambda: NOW)
    second.recall(succession)
    await second.look()
    assert len(lines(caplog, "Connection ended")) == told
