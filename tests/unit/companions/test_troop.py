"""All companions of a broker: what is left to the next program, and what becomes of bad ones."""

from __future__ import annotations

import asyncio

import pytest

from choria_broker.companions import companion
from choria_broker.companions.companion import Record
from choria_broker.companions.reports import State
from choria_broker.companions.spec import ADAPTER, Key, Spec
from choria_broker.companions.troop import Companions
from choria_broker.errors import CompanionsGivenUpError
from choria_broker.host.succession import Succession
from choria_broker.settings.network import Network

KEY = Key(ADAPTER, "reg")
BROKEN = Spec(KEY, "b", b"\xc1")
"""Its process cannot read what it is to be."""


def test_the_next_program_goes_on_counting() -> None:
    one = Companions(lambda: None, Network, alone=False)
    one._records[KEY] = Record(restarts=2, lost=3)
    one._records[KEY].totals.tell(0, {"choria_adapter_errors": [(("reg.0", "input"), 5.0)]})
    succession = Succession()
    one.remember(succession)
    other = Companions(lambda: None, Network, alone=False)
    other.recall(Succession.unpacked(succession.packed()))
    assert other.counts() == {"choria_adapter_errors": {("reg.0", "input"): 5.0}}
    assert {key: (each.restarts, each.lost) for key, each in other._records.items()} == {KEY: (2, 3)}
    other.recall(Succession())


async def test_what_ends_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companion, "MOST_ENDS", 2)
    monkeypatch.setattr(companion, "pause", lambda *_: 0.0)
    one = Companions(lambda: None, Network, alone=True)
    one.apply((BROKEN,))
    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.timeout(100), one.kept():
            await asyncio.Event().wait()
    assert caught.group_contains(CompanionsGivenUpError)


async def test_beside_a_network_broker_that_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companion, "MOST_ENDS", 1)
    one = Companions(lambda: None, Network, alone=False)
    one.apply((BROKEN,))
    async with asyncio.timeout(100), one.kept():
        while not one.reports or one.reports[0].state != State.GIVEN_UP:
            await asyncio.sleep(0.02)
        assert "is not restarted: exit status 1" in one.reports[0].sentence
        # What was the matter may have been mended: a reload tries it again, though the settings are what they were.
        (given_up, _) = one._living[KEY]
        one.apply((BROKEN,))
        while one._living.get(KEY, (given_up,))[0] is given_up or one.reports[0].state != State.GIVEN_UP:
            await asyncio.sleep(0.02)
        one.apply(())
        while one.reports:
            await asyncio.sleep(0.02)


async def test_what_a_changed_companion_has_counted_is_its_successors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companion, "MOST_ENDS", 1)
    one = Companions(lambda: None, Network, alone=False)
    one.apply((BROKEN,))
    async with asyncio.timeout(100), one.kept():
        while not one.reports or one.reports[0].state != State.GIVEN_UP:
            await asyncio.sleep(0.02)
        (before, _) = one._living[KEY]
        before.record.restarts, before.record.lost = 5, 7
        one.apply((Spec(KEY, "other", b"\xc1"),))
        while one._living[KEY][0] is before or one._replaced:
            await asyncio.sleep(0.02)
        (report,) = one.reports
        assert (report.restarts, report.lost) == (5, 7)
