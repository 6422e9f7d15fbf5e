"""Lines of libraries and of Python itself in the broker's log."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import ssl
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, LineTooLong

from choria_broker.log.libraries import LibraryHandler, bounded_traceback
from choria_broker.log.structured import component, configure, drain
from choria_broker.settings.broker import LogLevel

pytestmark = pytest.mark.usefixtures("log_as_before")


class Lines:
    """A configured log, and what is in it."""

    def __init__(self, path: Path, level: LogLevel = LogLevel.INFO) -> None:
        self._path = path
        configure(str(path), level)

    def read(self) -> list[dict[str, Any]]:
        assert drain(10)
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]


def raised(error: BaseException) -> BaseException:
    """Give an exception a traceback."""
    try:
        raise error  # noqa: TRY301 - that is what it is for
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        return caught


def test_libraries_log_where_the_broker_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(tmp_path / "log")
    for name in ("aiohttp.server", "asyncio", "nats.aio.client", "concurrent.futures", "dns.resolver", "anything"):
        logging.getLogger(name).warning("said by %s", name)
        logging.getLogger(name).info("not shown")
    found = lines.read()
    assert [(line["component"], line["logger"], line["msg"]) for line in found] == [
        ("library", name, f"said by {name}")
        for name in ("aiohttp.server", "asyncio", "nats.aio.client", "concurrent.futures", "dns.resolver", "anything")
    ]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (LogLevel.DEBUG, "iwec"),
        (LogLevel.INFO, "wec"),
        (LogLevel.WARN, "wec"),
        (LogLevel.ERROR, "ec"),
        (LogLevel.FATAL, "c"),
    ],
)
def test_the_level_of_the_log_counts_for_libraries_too(tmp_path: Path, level: LogLevel, shown: str) -> None:
    lines = Lines(tmp_path / "log", level)
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(logging.getLogger("asyncio"), name)(name[0])
    assert "".join(line["msg"] for line in lines.read()) == shown


@pytest.mark.parametrize(
    "error",
    [
        BadStatusLine("x" * 10_000),
        BadHttpMessage("bad"),
        LineTooLong(b"x" * 10_000, 8190),
        ConnectionResetError(104, "Connection reset by peer"),
        BrokenPipeError(),
        TimeoutError(),
        asyncio.IncompleteReadError(b"", 10),
        ssl.SSLError(1, "bad"),
        ExceptionGroup("both", [ConnectionResetError(), TimeoutError()]),
    ],
)
def test_what_a_peer_did_is_a_short_line_for_information(tmp_path: Path, error: BaseException) -> None:
    lines = Lines(tmp_path / "log")
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "192.0.2.1", exc_info=raised(error))
    (line,) = lines.read()
    assert (line["level"], line["msg"]) == ("info", "Error handling request from 192.0.2.1")
    assert "exception" not in line
    assert len(json.dumps(line)) < 700


def test_a_bad_body_is_the_peers_fault(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "log")
    error = RuntimeError("payload")
    error.__cause__ = BadHttpMessage("bad")
    logging.getLogger("aiohttp.server").error("Unhandled exception", exc_info=raised(error))
    (line,) = lines.read()
    assert line["level"] == "info"


def test_a_fault_of_a_program_has_its_traceback_once(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "log")
    for _ in range(100):
        logging.getLogger("asyncio").error("Exception in callback", exc_info=raised(KeyError("ours")))
    found = lines.read()
    assert len(found) == 5
    assert ["exception" in line for line in found] == [True, False, False, False, False]
    assert "KeyError: 'ours'" in found[0]["exception"]
    assert found[1]["why"] == "KeyError: 'ours'"
    assert found[1]["place"].startswith("test_libraries.py:")
    assert found[-1]["further"] == "further ones within a minute are only counted"


def test_what_nobody_has_caught_is_no_fault_of_a_peer(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "log")
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: x", exc_info=raised(TimeoutError()))
    (line,) = lines.read()
    assert line["level"] == "error"
    assert "TimeoutError" in line["exception"]


class Writing(logging.Handler):
    def __init__(self, written: list[logging.LogRecord]) -> None:
        super().__init__()
        self._written = written

    def emit(self, record: logging.LogRecord) -> None:
        self._written.append(record)


def test_a_flood_of_any_kind_is_bounded_and_counted() -> None:
    now = [0.0]
    written: list[logging.LogRecord] = []
    handler = LibraryHandler(Writing(written), logging.INFO, lambda: now[0])
    for number in range(3000):
        handler.handle(logging.LogRecord("x", logging.ERROR, "", 0, f"made up {number}", None, None))
        handler.handle(logging.LogRecord("x", logging.ERROR, "", 0, "of %s", (number,), None))
    assert len(written) <= 60
    now[0] = 61.0
    handler.handle(logging.LogRecord("x", logging.ERROR, "", 0, "of %s", ("later",), None))
    assert written[-1].__dict__["held_back"] > 2900


def test_texts_are_shortened_and_fields_of_libraries_left_out(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "log")
    logging.getLogger("x").warning("a\n  b %s", "y" * 1_000_000, extra={"huge": "z" * 1_000_000})
    (line,) = lines.read()
    assert line["msg"].startswith("a b yyy")
    assert len(json.dumps(line)) < 600
    assert "huge" not in line


def test_tracebacks_are_bounded() -> None:
    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        raise ValueError("x" * 1_000_000)

    with pytest.raises(ValueError, match="xxx") as caught:
        deep(200)
    text = bounded_traceback(caught.value)
    assert len(text) < 9000
    assert "ValueError: xxx" in text


class Cruel:
    def __str__(self) -> str:
        """Fail."""
        raise ZeroDivisionError


@pytest.mark.parametrize("arguments", [("%d", "word"), ("%s %s", "one"), ("%s", Cruel())])
def test_a_line_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[Any, ...]
) -> None:
    lines = Lines(tmp_path / "log")
    (handler,) = [each for each in logging.getLogger().handlers if isinstance(each, LibraryHandler)]
    handler.handle(logging.LogRecord("x", logging.ERROR, "", 0, arguments[0], arguments[1:], None))
    logging.getLogger("choria_broker.x").error(*arguments)
    for line in lines.read():
        assert "cannot be written" in line["msg"]
        assert "exception" not in line
    assert len(lines.read()) == 2
    assert capsys.readouterr().err == ""


def test_warnings_faults_of_threads_and_of_finalizers_are_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(tmp_path / "log")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    def fail() -> None:
        raise LookupError("in a thread")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()

    class Bad:
        def __del__(self) -> None:
            raise ArithmeticError("in a finalizer")

    Bad()
    gc.collect()
    sys.excepthook(ValueError, raised(ValueError("at the end")), None)
    found = lines.read()
    assert "DeprecationWarning: old" in found[0]["msg"]
    assert found[1]["msg"] == "An unexpected error has ended the thread worker"
    assert "LookupError: in a thread" in found[1]["exception"]
    assert found[2]["why"] == "ArithmeticError: in a finalizer"
    assert (found[3]["level"], found[3]["msg"]) == ("fatal", "An unexpected error ends the broker")
    assert [line["component"] for line in found] == ["library"] * 4
    assert capsys.readouterr().out == ""


async def test_a_fault_in_a_callback_of_the_loop_is_logged(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "log")

    def fail() -> None:
        raise LookupError("in a callback")

    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (line,) = lines.read()
    assert (line["logger"], line["level"]) == ("asyncio", "error")
    assert "LookupError: in a callback" in line["exception"]


def test_the_brokers_own_lines_are_not_counted_as_those_of_libraries(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "log")
    for number in range(200):
        component("access").info("Connection accepted", cid=number)
    assert len(lines.read()) == 200


def test_a_program_that_embeds_the_broker_keeps_its_own_log() -> None:
    code = (
        "import logging, sys, threading, warnings\n"
        "before = (logging.getLogger().handlers[:], logging.getLogger().level, sys.excepthook, threading.excepthook,"
        " sys.unraisablehook, warnings.showwarning)\n"
        "import choria_broker.broker, choria_broker.log.structured, choria_broker.service.process\n"
        "choria_broker.log.structured.component('x').warning('hello')\n"
        "after = (logging.getLogger().handlers[:], logging.getLogger().level, sys.excepthook, threading.excepthook,"
        " sys.unraisablehook, warnings.showwarning)\n"
        "assert before == after\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)  # noqa: S603 - a fixed command
