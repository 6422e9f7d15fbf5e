"""Logging: components log through the standard ``logging`` tree ``choria_broker``, with structured fields."""

from __future__ import annotations

import datetime as dt
import logging
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TextIO

import msgspec

from choria_broker.log.libraries import adopt, bounded_traceback
from choria_broker.log.logfmt import logfmt
from choria_broker.log.outlet import LogFile, Outlet, OutletHandler
from choria_broker.settings.broker import LogLevel
from choria_broker.wording import plain

ROOT = "choria_broker"
"""Name of the logger that everything of the broker logs under."""

ENGINE = f"{ROOT}.engine"
"""Name of the logger of the engine's own lines."""

_ENGINE_COMPONENT = "network_broker"
_TO_SECONDS = len("2026-01-01T00:00:00")
_ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_root = logging.getLogger(ROOT)
_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}
_SHOWN_LEVELS = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "fatal",
}
_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARN: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.FATAL: logging.CRITICAL,
}


class ComponentLog:
    """The logger of one component: keyword arguments of its methods become fields of the line.

    The standard ``logging`` module decides where lines go, so that a program that embeds the broker sees them in its
    own log. A line costs no look at the stack: its component says where it comes from.
    """

    __slots__ = ("_fields", "_logger", "_name")

    def __init__(self, name: str, **fields: object) -> None:
        """Take the name of a component, and what each of its lines tells."""
        self._name = name
        self._fields = {"component": name, **fields}
        self._logger = logging.getLogger(f"{ROOT}.{name}")

    def bind(self, **fields: object) -> ComponentLog:
        """Return a logger of the same component, each of whose lines tells some fields besides."""
        return ComponentLog(self._name, **self._fields | fields)

    def debug(self, message: str, **fields: object) -> None:
        """Log for those who debug the broker."""
        self.log(logging.DEBUG, message, **fields)

    def info(self, message: str, **fields: object) -> None:
        """Log what happens as it should."""
        self.log(logging.INFO, message, **fields)

    def warning(self, message: str, **fields: object) -> None:
        """Log what somebody should look at."""
        self.log(logging.WARNING, message, **fields)

    def error(self, message: str, **fields: object) -> None:
        """Log what does not work."""
        self.log(logging.ERROR, message, **fields)

    def critical(self, message: str, **fields: object) -> None:
        """Log what ends the broker."""
        self.log(logging.CRITICAL, message, **fields)

    def exception(self, message: str, **fields: object) -> None:
        """Log an error with the exception that is being handled."""
        self._write(logging.ERROR, message, sys.exc_info(), fields)

    def log(self, level: int, message: str, **fields: object) -> None:
        """Log at a level of the standard ``logging`` module."""
        self._write(level, message, None, fields)

    def _write(self, level: int, message: str, error: _ErrorInfo | None, fields: dict[str, object]) -> None:
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        told = self._fields | fields
        if error is None and _written_directly(logger, level, message, told):
            return
        logger.handle(logger.makeRecord(logger.name, level, self._name, 0, message, (), error, extra=told))


def component(name: str) -> ComponentLog:
    """Return the logger of one component."""
    return ComponentLog(name)


def configure(logfile: str, level: LogLevel) -> None:
    """Send the broker's log where the settings say: text lines to a stream, JSON lines to a file.

    The lines of libraries go there too: see ``libraries``. A file is opened for appending, and anew when its name leads
    to another one, so that logs can be rotated in any way. Whoever logs never waits for it to be written: see
    ``outlet``.

    Args:
        logfile: ``stdout``, ``stderr`` or ``discard`` in any case, or a path.
        level: lowest level shown.

    Raises:
        OSError: the file could not be opened.
    """
    handler: logging.Handler
    render: Callable[[dict[str, object]], str] = _text
    match logfile.lower():
        case "stdout":
            handler = _to_stream(sys.stdout)
        case "stderr":
            handler = _to_stream(sys.stderr)
        case "discard":
            handler = logging.NullHandler()
        case _:
            handler = OutletHandler(Outlet(LogFile(Path(logfile)), owned=True))
            render = _json
    handler.setFormatter(_Lines(render))
    # Nobody is told of them, and finding them out costs as much as the rest of a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _root.handlers[:] = [handler]
    _root.propagate = False
    show_from(level)


def show_from(level: LogLevel) -> None:
    """Show what is of a level or worse from now on, where the log goes already.

    Args:
        level: lowest level shown.
    """
    _root.setLevel(_LEVELS[level])
    for handler in _root.handlers[:1]:
        adopt(handler, _LEVELS[level])


def _to_stream(stream: TextIO | None) -> logging.Handler:
    """Log to a stream of the process, which may have been started without it."""
    return logging.NullHandler() if stream is None else OutletHandler(Outlet(stream))


def drain(patience: float = 1.0) -> bool:
    """Wait until the lines logged so far are written, so that what is printed comes after them.

    Args:
        patience: seconds to wait.

    Returns:
        False when they were not enough.
    """
    handlers = [each for each in _root.handlers if isinstance(each, OutletHandler)]
    return all(each.stream.drain(patience) for each in handlers)


def _written_directly(logger: logging.Logger, level: int, message: str, fields: dict[str, object]) -> bool:
    """Write a line without a record, where it goes to our own handler alone; False when nothing was written.

    A record costs several times what the line does, and there is a line for each connection.
    """
    handlers = _root.handlers
    handler = handlers[0] if len(handlers) == 1 else None
    if type(handler) is not OutletHandler or logger.parent is not _root or _root.propagate:
        return False
    lines = handler.formatter
    # Whoever embeds the broker can have added any of these.
    if logger.handlers or logger.filters or handler.filters or handler.level > level or not isinstance(lines, _Lines):
        return False
    try:
        text = lines.line(time.time(), level, message, fields)
    except Exception:  # noqa: BLE001 - the record is written in its place, and what is wrong with that is told
        return False
    handler.stream.write(text + handler.terminator)
    return True


def own_fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields that whoever logged has given a record."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


class _Lines(logging.Formatter):
    """Writes a record as one line: time, level, message, component, then the record's own fields."""

    def __init__(self, render: Callable[[dict[str, object]], str]) -> None:
        super().__init__()
        self._render = render
        self._second = (-1, "", "")

    def format(self, record: logging.LogRecord) -> str:
        component = _ENGINE_COMPONENT if record.name == ENGINE else record.name.removeprefix(f"{ROOT}.")
        fields = {"component": component, **own_fields(record)}
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = bounded_traceback(record.exc_info[1])
        return self.line(record.created, record.levelno, record.getMessage(), fields)

    def line(self, created: float, level: int, message: str, fields: dict[str, object]) -> str:
        """Write a line that was logged at a moment, Unix seconds; its component is the first of the fields."""
        begins = {"time": self._written(created), "level": _SHOWN_LEVELS.get(level, "info"), "msg": message}
        return self._render(begins | fields)

    def _written(self, moment: float) -> str:
        """Write a moment in local time, to the millisecond; lines of one second have most of it in common."""
        second = math.floor(moment)
        # As a whole: threads write lines without waiting for each other, and one may be of the next second already.
        known, begins, zone = self._second
        if second != known:
            text = dt.datetime.fromtimestamp(second).astimezone().isoformat()
            begins, zone = text[:_TO_SECONDS], text[_TO_SECONDS:]
            self._second = (second, begins, zone)
        return f"{begins}.{int((moment - second) * 1000):03}{zone}"


def _json(event: dict[str, object]) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _text(event: dict[str, object]) -> str:
    # A terminal obeys control characters, and some texts here were chosen by whoever connected.
    return plain(logfmt(event))
