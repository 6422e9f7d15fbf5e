"""The whole screen of a terminal: drawn anew without flicker, with keys, and left as it was."""

from __future__ import annotations

import contextlib
import enum
import os
import re
import select
import shutil
import sys
import termios
import tty
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from choria_broker.patterns import expression
from choria_broker.wording import plain

_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _TO_END_OF_LINE, _TO_END = "\x1b[H", "\x1b[K", "\x1b[J"
_TOGETHER, _SHOWN = "\x1b[?2026h", "\x1b[?2026l"
"""Around what a terminal is to show at once, where it knows that."""

_LONGEST_INPUT = 64
_PRESSED = expression(rb"\x1b[\[O].|.", re.DOTALL)
_END_OF_INPUT = b"\x04"


class Key(enum.Enum):
    """Keys that mean something."""

    QUIT = enum.auto()
    LEFT = enum.auto()
    RIGHT = enum.auto()
    UP = enum.auto()
    DOWN = enum.auto()


_KEYS = {
    b"q": Key.QUIT,
    b"Q": Key.QUIT,
    _END_OF_INPUT: Key.QUIT,
    b"": Key.QUIT,  # Nobody is there any more.
    **{
        introduced + letter: key
        for introduced in (b"\x1b[", b"\x1bO")
        for letter, key in ((b"A", Key.UP), (b"B", Key.DOWN), (b"C", Key.RIGHT), (b"D", Key.LEFT))
    },
}


def is_terminal() -> bool:
    """Tell whether both what is printed goes to a terminal and keys come from one."""
    return sys.stdout.isatty() and sys.stdin.isatty()


class Screen:
    """The screen, as long as the context lasts."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self._before: list[Any] = []
        self._pressed: list[bytes] = []

    def __enter__(self) -> Self:
        """Take the screen, and keys as they are pressed."""
        self._before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        sys.stdout.write(_ENTER)
        sys.stdout.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give everything back as it was."""
        with contextlib.suppress(OSError):  # The terminal may be gone.
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()
        with contextlib.suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    @property
    def height(self) -> int:
        """How many lines there are."""
        return shutil.get_terminal_size().lines

    def draw(self, lines: Iterable[str]) -> None:
        """Put lines in place of what is shown: those that fit, each as far as it fits."""
        size = shutil.get_terminal_size()
        shown = [plain(line)[: size.columns] for line in list(lines)[: size.lines]]
        text = f"{_TO_END_OF_LINE}\r\n".join(shown)
        sys.stdout.write(f"{_TOGETHER}{_HOME}{text}{_TO_END_OF_LINE}{_TO_END}{_SHOWN}")
        sys.stdout.flush()

    def key(self, patience: float) -> Key | None:
        """Wait for a key.

        Args:
            patience: most seconds to wait.

        Returns:
            What it means, None for any other and when none was pressed.
        """
        descriptor = sys.stdin.fileno()
        if not self._pressed:
            ready, _, _ = select.select([descriptor], [], [], patience)
            if not ready:
                return None
            self._pressed = _PRESSED.findall(os.read(descriptor, _LONGEST_INPUT)) or [b""]
        return _KEYS.get(self._pressed.pop(0))
