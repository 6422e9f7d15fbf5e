"""How the program of this process was started, and so how the installed one is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

_SCRIPT = b"#!"


class Program(msgspec.Struct, frozen=True):
    """How to start the installed program in the way in which this one was started.

    Paths stay as they were given: what a link leads to by now is what is meant.

    Attributes:
        executable: the file to execute.
        prefix: the words of its command line before the arguments of the program.
        arguments: those of this process.
    """

    executable: str
    prefix: tuple[str, ...]
    arguments: tuple[str, ...]

    @property
    def again(self) -> list[str]:
        """The command line with the arguments of this process."""
        return [*self.prefix, *self.arguments]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line with other arguments, the executable first."""
        return [self.executable, *self.prefix[1:], *arguments]


def this_program() -> Program:
    """Tell how this process was started."""
    return program_of(sys.orig_argv, sys.argv, sys.executable)


def program_of(original: Sequence[str], arguments: Sequence[str], interpreter: str) -> Program:
    """Tell how a process was started.

    Args:
        original: its whole command line, as the interpreter was given it.
        arguments: the program's own: its name, and what comes after that.
        interpreter: path of the interpreter.
    """
    own = tuple(arguments[1:])
    prefix = tuple(original[: len(original) - len(own)])
    if len(prefix) == 2 and _is_script(prefix[1]):  # noqa: PLR2004 - interpreter and script
        # The script names its interpreter, which in another environment is another one.
        return Program(prefix[1], (prefix[1],), own)
    return Program(interpreter, prefix, own)


def _is_script(path: str) -> bool:
    if not (os.access(path, os.X_OK) and Path(path).is_file()):
        return False
    with open(path, "rb") as script:  # noqa: PTH123 - beside the other calls for a path that is text
        return script.read(len(_SCRIPT)) == _SCRIPT
