"""Logging: components log through the standard ``logging`` tree ``choria_broker``, with structured fields."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import cast

import structlog

from choria_broker.config.settings import LogLevel

ROOT = "choria_broker"
"""Name of the logger that everything of the broker logs under."""

ENGINE = f"{ROOT}.engine"
"""Name of the logger of the engine's own lines."""

_ENGINE_COMPONENT = "network_broker"
_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARN: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.FATAL: logging.CRITICAL,
}


def component(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one component.

    Keyword arguments of its methods become fields of the line; the standard ``logging`` module decides where lines
    go, so that a program that embeds the broker sees them in its own log.
    """
    wrapped = structlog.wrap_logger(
        logging.getLogger(f"{ROOT}.{name}"),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        context_class=dict,
    )
    return cast("structlog.stdlib.BoundLogger", wrapped.bind(component=name))


def configure(logfile: str, level: LogLevel) -> None:
    """Send the broker's log where the settings say: text lines to a stream, JSON lines to a file.

    The file is opened for appending and never reopened, as log rotation by copy and truncate expects.

    Args:
        logfile: ``stdout``, ``stderr`` or ``discard`` in any case, or a path.
        level: lowest level shown.

    Raises:
        OSError: the file could not be opened.
    """
    handler: logging.Handler
    renderer: structlog.typing.Processor = structlog.processors.LogfmtRenderer(
        key_order=["time", "level", "msg", "component"], drop_missing=True
    )
    match logfile.lower():
        case "stdout":
            handler = logging.StreamHandler(sys.stdout)
        case "stderr":
            handler = logging.StreamHandler(sys.stderr)
        case "discard":
            handler = logging.NullHandler()
        case _:
            handler = logging.FileHandler(Path(logfile), encoding="utf-8")
            renderer = structlog.processors.JSONRenderer(sort_keys=True)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[
                structlog.stdlib.ExtraAdder(),
                _name_component,
                structlog.stdlib.add_log_level,
                _name_level,
                structlog.processors.TimeStamper(fmt="iso", key="time", utc=False),
                structlog.processors.format_exc_info,
                structlog.processors.EventRenamer("msg"),
            ],
        )
    )
    root = logging.getLogger(ROOT)
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(_LEVELS[level])


def _name_component(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    record = event.get("_record")
    if isinstance(record, logging.LogRecord) and record.name == ENGINE:
        event["component"] = _ENGINE_COMPONENT
    return event


def _name_level(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if event.get("level") == "critical":
        event["level"] = "fatal"
    return event
