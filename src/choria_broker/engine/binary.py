"""Finding the engine's executable."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path

OVERRIDE = "CHORIA_BROKER_ENGINE"
"""Environment variable with the path of an engine to use instead of the installed one."""

NAME = "choria-broker-engine"
"""File name of the executable."""

_FOLDER = Path(__file__).parent.parent / "_engine"
_REASON = _FOLDER / "not-built.txt"
_TIMEOUT = 10.0


class EngineMissingError(Exception):
    """There is no usable engine; the message is one sentence with what is missing and the remedy."""


class EngineConfigError(Exception):
    """The engine does not accept a configuration file; the message is the engine's own."""


@dataclasses.dataclass(frozen=True, slots=True)
class Versions:
    """What an engine says of itself."""

    engine: str
    nats: str
    protocol: int


def locate() -> Path:
    """Return the path of the engine.

    Raises:
        EngineMissingError: it was not built at installation, or the override names nothing that can be executed.
    """
    override = os.environ.get(OVERRIDE)
    path = Path(override) if override else _FOLDER / NAME
    if os.access(path, os.X_OK) and path.is_file():
        return path
    if override:
        raise EngineMissingError(f"{OVERRIDE} names {path}, which is not an executable file.")
    if _REASON.is_file():
        raise EngineMissingError(_REASON.read_text(encoding="utf-8").strip())
    raise EngineMissingError(
        f"The engine {path} is missing; install a wheel of choria-broker that has it, or reinstall with Go on PATH."
    )


def versions(path: Path) -> Versions:
    """Ask an engine for its versions.

    Raises:
        EngineMissingError: it does not run or does not answer as an engine does.
    """
    try:
        done = _execute(path, "--version")
        told = json.loads(done.stdout)
        return Versions(engine=str(told["engine"]), nats=str(told["nats"]), protocol=int(told["protocol"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise EngineMissingError(f"The engine {path} does not run; reinstall choria-broker.") from error


def check(path: Path, configuration: Path) -> None:
    """Have an engine judge a configuration file without starting.

    Raises:
        EngineConfigError: the engine refuses the file.
    """
    try:
        done = _execute(path, "--check", "--config", str(configuration))
    except subprocess.TimeoutExpired:
        raise EngineConfigError(f"the engine did not judge the file within {_TIMEOUT:.0f} s") from None
    if done.returncode:
        raise EngineConfigError(done.stderr.strip() or f"the engine ended with exit status {done.returncode}")


def _execute(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the path is our own engine
        [path, *arguments], capture_output=True, text=True, timeout=_TIMEOUT, check=False, env={}
    )
