"""What libraries, and Python itself, have to say goes to the broker's log, in words and amounts that fit there.

Only the command line puts this to work: a program that embeds the broker decides about its own log.

A peer must not fill the log: what it did wrong is one short line without a traceback, at the level of information, and
lines of one kind are counted after a few. A fault of a program keeps its traceback, once.
"""

from __future__ import annotations

import collections
import logging
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any

from choria_broker.log.restraint import Restraint

COMPONENT = "library"
"""What the lines of libraries have as their component."""

_FAULTS = f"{COMPONENT}.python"
"""Name of the logger for what nobody has caught."""

_PEERS = (ConnectionError, TimeoutError, EOFError, ssl.SSLError)
_PEERS_MODULES = ("aiohttp.http_exceptions", "aiohttp.web_exceptions", "aiohttp.client_exceptions")
"""Modules whose exceptions tell what a peer did."""

_BODIES = frozenset({"RequestPayloadError"})
"""Names of exceptions of other modules for what a peer sent as the body of a request."""

_NOBODYS = ("Task exception was never retrieved", "Future exception was never retrieved", "Exception in callback")
"""What asyncio says first of exceptions that a program should have caught, whoever caused them."""

_LONGEST_TEXT = 300
_LONGEST_LOOKED_AT = 100_000
_LONGEST_TRACEBACK = 8000
_MOST_TRACEBACKS = 128
_DEEPEST = 30
"""Frames of a traceback that are written: the innermost ones."""

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class LibraryHandler(logging.Handler):
    """Hands records of libraries to the broker's own handler, shortened and in bounded numbers.

    Args:
        inner: writes the lines.
        lowest: level from which lines are shown.
        clock: seconds, never going back.
    """

    def __init__(self, inner: logging.Handler, lowest: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing has been said yet."""
        super().__init__()
        self._inner = inner
        self._lowest = lowest
        self._clock = clock
        self._restraint = Restraint()
        self._traced: collections.OrderedDict[Hashable, None] = collections.OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Write what is worth it; never raises."""
        made: logging.LogRecord | None
        try:
            made = self._made(record)
        except Exception as error:  # noqa: BLE001 - a library's arguments may do anything when they are written
            text = f"A log line of {record.name} cannot be written: {type(error).__name__}"
            made = self._admitted(_plain(record, text, logging.WARNING), (record.name, type(error)))
        if made:
            self._inner.handle(made)

    def _made(self, record: logging.LogRecord) -> logging.LogRecord | None:
        error = record.exc_info[1] if record.exc_info else None
        text = shortened(record.getMessage())
        wording = shortened(str(record.msg))
        if error is None:
            return self._admitted(_plain(record, text, record.levelno), (record.name, record.levelno, wording))
        why = shortened(f"{type(error).__name__}: {error}")
        if _is_of_peer(error) and record.name != _FAULTS and not wording.startswith(_NOBODYS):
            made = _plain(record, text, min(record.levelno, logging.INFO), why=why)
            return self._admitted(made, (record.name, wording, type(error)))
        place = _place(error)
        admitted = self._admitted(_plain(record, text, record.levelno, why=why, place=place), (type(error), place))
        if admitted and (type(error), place) not in self._traced:
            admitted.__dict__["exception"] = bounded_traceback(error)
            self._traced[type(error), place] = None
            if len(self._traced) > _MOST_TRACEBACKS:
                self._traced.popitem(last=False)
        return admitted

    def _admitted(self, made: logging.LogRecord, kind: Hashable) -> logging.LogRecord | None:
        if made.levelno < self._lowest:
            return None
        admission = self._restraint.admit(kind, self._clock())
        if not admission.admitted:
            return None
        if admission.held_back:
            made.__dict__["held_back"] = admission.held_back
        if admission.last:
            made.__dict__["further"] = "further ones within a minute are only counted"
        return made


def shortened(text: str) -> str:
    """Return a text in one line, and its beginning when it is long; a peer may have chosen it."""
    text = " ".join(text[:_LONGEST_LOOKED_AT].split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}... ({len(text)} characters)"


def bounded_traceback(error: BaseException) -> str:
    """Write a traceback, its innermost frames and the end of its text when it is long."""
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-_DEEPEST)
    text = "".join(line if len(line) <= _LONGEST_TRACEBACK else shortened(line) for line in lines).rstrip()
    if len(text) <= _LONGEST_TRACEBACK:
        return text
    return f"... ({len(text)} characters)\n{text[-_LONGEST_TRACEBACK:]}"


def adopt(inner: logging.Handler, level: int) -> None:
    """Have everything that is said in this process go to the broker's log; an earlier call is taken back.

    Args:
        inner: writes the lines.
        level: of the broker's log. Libraries are shown from warnings on, and from information on at debug level.
    """
    lowest = logging.INFO if level <= logging.DEBUG else max(level, logging.INFO)
    root = logging.getLogger()
    root.handlers[:] = [each for each in root.handlers if not isinstance(each, LibraryHandler)]
    root.addHandler(LibraryHandler(inner, lowest))
    root.setLevel(logging.INFO if level <= logging.DEBUG else max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _ended_thread
    sys.unraisablehook = _unraisable


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ends the program, and say so where the operator looks first."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger(_FAULTS).critical("An unexpected error ends the broker", exc_info=(kind, error, trace))
    if sys.__stderr__ is not None:
        sys.__stderr__.write(
            f"An unexpected error ends the broker: {shortened(f'{kind.__name__}: {error}')}; see its log\n"
        )


def _ended_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread else "?"
    logging.getLogger(_FAULTS).error("An unexpected error has ended the thread %s", name, exc_info=args.exc_value)


def _unraisable(args: Any) -> None:
    if args.exc_value is not None:
        about = args.err_msg or "Exception ignored in"
        logging.getLogger(_FAULTS).error("%s: %.100r", about, args.object, exc_info=args.exc_value)


def _plain(record: logging.LogRecord, text: str, level: int, **fields: str) -> logging.LogRecord:
    """Make a record with a text and fields of our own only: others hold objects of any size."""
    made = logging.LogRecord(f"choria_broker.{COMPONENT}", level, record.pathname, record.lineno, text, None, None)
    made.created, made.msecs = record.created, record.msecs
    made.__dict__.update({"logger": record.name} | {name: value for name, value in fields.items() if value})
    return made


def _is_of_peer(error: BaseException) -> bool:
    """Tell whether an exception says what a peer did, or failed to do."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of_peer(each) for each in error.exceptions)
    kinds = type(error).__mro__
    if any(each in _PEERS or each.__module__ in _PEERS_MODULES or each.__name__ in _BODIES for each in kinds):
        return True
    return error.__cause__ is not None and error.__cause__ is not error and _is_of_peer(error.__cause__)


def _place(error: BaseException) -> str:
    """Name where an exception was raised, by file and line."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
