"""How a program goes on with what another has left."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.engine.conf.render import Rendered
from choria_broker.engine.life import EngineLife
from choria_broker.errors import ReloadError
from choria_broker.host.succession import Succession
from choria_broker.reload.in_force import InForce
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code
from choria_broker.upgrade.hand_over import HandOver
from support.scenario import net


class LeftEngine:
    """An engine of the program before, which takes over what it is given or refuses it."""

    def __init__(self, *, refuses: bool) -> None:
        """Nothing was given to it."""
        self.refuses = refuses
        self.taken: list[Settings] = []
        self.generations: list[int] = []

    async def change(self, settings: Settings, _rendered: Rendered) -> None:
        if self.refuses:
            raise ReloadError("the engine rejected the change: no; nothing has changed")
        self.taken.append(settings)

    def renew(self, generation: int) -> None:
        self.generations.append(generation)


@pytest.mark.parametrize("refuses", [False, True])
async def test_it_has_the_engine_take_over_and_tells_what_lies_in_the_store(tmp_path: Path, *, refuses: bool) -> None:
    (tmp_path / "jetstream" / "OTHER" / "streams" / "X").mkdir(parents=True)
    settings = net(f"stream.store = {tmp_path}").ok
    in_force = InForce(settings, (), Overrides(), lambda _state: None)
    engine = LeftEngine(refuses=refuses)
    hand_over = HandOver(cast("EngineLife", engine), in_force, (), Succession())

    await hand_over.arrive()

    assert engine.taken == ([] if refuses else [settings])
    assert engine.generations == [1]
    assert Code.STREAMS_OF_NO_ACCOUNT in [each.code for each in in_force.state.findings]


def test_every_part_that_can_remember_is_asked_to() -> None:
    parts = NetworkBroker(net().ok)._parts
    able = [each for each in vars(parts).values() if hasattr(each, "remember") and hasattr(each, "recall")]
    asked = parts._lasting()
    assert [type(each).__name__ for each in able if all(each is not other for other in asked)] == []
    assert len(able) > 10
