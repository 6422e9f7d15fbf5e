"""Finding the engine's executable, and having it judge a configuration."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from choria_broker.host.succession import unnamed

OVERRIDE = "CHORIA_BROKER_ENGINE"
"""Environment variable with the path of an engine to use instead of the installed one."""

NAME = "choria-broker-engine"
"""File name of the executable."""

_FOLDER = Path(__file__).parent.parent / "_engine"
_REASON = _FOLDER / "not-built.txt"
_TIMEOUT = 10.0
_SHORT = 12


class EngineMissingError(Exception):
    """There is no usable engine; the message is one sentence with what is missing and the remedy."""


class EngineConfigError(Exception):
    """The engine does not accept a configuration file; the message is the engine's own."""


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
        f"The engine {path} is missing; install a wheel of choria-broker that contains it, or reinstall with Go "
        "on PATH."
    )


def fingerprint(path: Path) -> str:
    """Return a short name for the content of an executable.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_SHORT]


def check(path: Path, configuration: Path) -> None:
    """Have an engine judge a configuration file without starting.

    Raises:
        EngineConfigError: the engine refuses the file.
    """
    try:
        done = _execute(path, "--check", "--config", str(configuration))
    except subprocess.TimeoutExpired:
        raise EngineConfigError(f"the engine did not check the file within {_TIMEOUT:.0f} s") from None
    if done.returncode:
        raise EngineConfigError(done.stderr.strip() or f"the engine ended with exit status {done.returncode}")


def check_text(path: Path, text: str) -> None:
    """Have an engine judge a configuration that is in no file, without starting.

    Raises:
        EngineConfigError: the engine refuses it.
        OSError: it cannot be asked.
    """
    memory = unnamed(text.encode())
    try:
        check(path, Path(f"/proc/{os.getpid()}/fd/{memory}"))
    finally:
        os.close(memory)


def _execute(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the path is our own engine
        [path, *arguments], capture_output=True, text=True, timeout=_TIMEOUT, check=False, env={}
    )
