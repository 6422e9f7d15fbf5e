from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import BlockingError

import choria_broker
from support.blocking import _MAY_WAIT, watching

BROKER = Path(choria_broker.__file__).parent


def waits(file: Path, name: str) -> Callable[[], None]:
    """Make a function of a file that waits."""
    names: dict[str, Callable[[], None]] = {}
    exec(compile(f"import time\ndef {name}(): time.sleep(0)", str(file), "exec"), names)  # noqa: S102 - two fixed lines
    return names[name]


@pytest.mark.parametrize("name", ["broker.py", "log/outlet.py", "config/load.py"])
async def test_the_broker_may_not_wait_in_a_loop(name: str) -> None:
    with watching() as seen, pytest.raises(BlockingError):
        waits(BROKER / name, "elsewhere")()
    (told,) = seen
    assert "time.sleep" in told
    assert name in told


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (BROKER / "config/load.py", "load"),
        (BROKER / "engine/process.py", "start"),
        (Path("/x/tests/test_x.py"), "test"),
    ],
)
async def test_others_may_and_so_may_a_start(file: Path, name: str) -> None:
    with watching() as seen:
        waits(file, name)()
    assert seen == []


def test_whoever_may_wait_is_there() -> None:
    for place, names in _MAY_WAIT:
        file = BROKER.parent / place
        if file.exists():
            found = {getattr(node, "name", "") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))}
            assert names <= found, place
        else:
            assert not place.startswith("choria_broker"), place


def test_without_a_loop_everything_may_wait() -> None:
    with watching() as seen:
        waits(BROKER / "broker.py", "elsewhere")()
    assert seen == []
