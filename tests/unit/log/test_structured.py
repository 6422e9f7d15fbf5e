from __future__ import annotations

import datetime as dt
import json
import logging
from pathlib import Path

import pytest

from choria_broker.log.structured import ENGINE, ROOT, _Lines, component, configure, drain
from choria_broker.settings.broker import LogLevel

pytestmark = pytest.mark.usefixtures("log_as_before")


def test_a_file_gets_json_lines_with_fields(tmp_path: Path) -> None:
    path = tmp_path / "broker.log"
    configure(str(path), LogLevel.INFO)
    component("access").info("Connection accepted", cid=7, account="choria")
    component("access").debug("not shown")
    logging.getLogger(ENGINE).warning("Slow Consumer %s", "x")
    logging.getLogger(ENGINE).critical("dead")
    assert drain()
    first, second, third = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    time = first.pop("time")
    assert time
    assert first == {
        "level": "info",
        "msg": "Connection accepted",
        "component": "access",
        "cid": 7,
        "account": "choria",
    }
    assert (second["component"], second["level"], second["msg"]) == ("network_broker", "warning", "Slow Consumer x")
    assert third["level"] == "fatal"


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "broker.log"
    path.write_text("before\n", encoding="utf-8")
    configure(str(path), LogLevel.INFO)
    component("x").info("after")
    assert drain()
    assert path.read_text(encoding="utf-8").startswith("before\n{")


@pytest.mark.parametrize("name", ["stdout", "STDERR"])
def test_streams_get_text_lines(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(name, LogLevel.INFO)
    component("network").warning("Port in use", port=4222)
    assert drain()
    captured = capsys.readouterr()
    shown = captured.out if name == "stdout" else captured.err
    assert shown.startswith("time=")
    assert shown.endswith(' level=warning msg="Port in use" component=network port=4222\n')


@pytest.mark.parametrize("name", ["stderr", "file"])
def test_what_a_peer_chose_neither_breaks_a_line_nor_reaches_the_terminal(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "log"
    configure(name if name == "stderr" else str(path), LogLevel.INFO)
    component("access").info("accepted", cn='a"b\n level=info\x1b[2Jc\x9bd\u202ee')
    assert drain()
    shown = capsys.readouterr().err if name == "stderr" else path.read_text(encoding="utf-8")
    assert shown.count("\n") == 1
    assert "\x1b" not in shown
    assert name == "file" or "\x9b" not in shown


def test_discard_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    configure("Discard", LogLevel.DEBUG)
    component("network").error("lost")
    assert drain()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (LogLevel.DEBUG, "diwec"),
        (LogLevel.INFO, "iwec"),
        (LogLevel.WARN, "wec"),
        (LogLevel.ERROR, "ec"),
        (LogLevel.FATAL, "c"),
    ],
)
def test_levels(level: LogLevel, shown: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure(str(path), level)
    log = component("x")
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(log, name)(name[0])
    assert drain()
    assert "".join(json.loads(line)["msg"] for line in path.read_text(encoding="utf-8").splitlines()) == shown


def test_without_configuration_lines_go_where_the_embedding_program_says(caplog: pytest.LogCaptureFixture) -> None:
    component("network").warning("hello", port=1)
    (record,) = caplog.records
    assert (record.name, record.getMessage(), record.__dict__["port"]) == ("choria_broker.network", "hello", 1)


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        configure(str(tmp_path / "no" / "where.log"), LogLevel.INFO)


@pytest.mark.parametrize("moment", [0.0, 1795983742.0, 1795983742.25, 1795983742.75, 1795983743.5, 1782000000.25])
def test_moments_are_written_in_local_time(tmp_path: Path, moment: float) -> None:
    configure(str(tmp_path / "broker.log"), LogLevel.INFO)
    (handler,) = logging.getLogger(ROOT).handlers
    for each in (moment, moment + 0.125):
        record = logging.makeLogRecord({"name": f"{ROOT}.x", "levelno": logging.INFO, "msg": "hello", "created": each})
        written = json.loads(handler.format(record))["time"]
        assert written == dt.datetime.fromtimestamp(each).astimezone().isoformat(timespec="milliseconds")


class Between(_Lines):
    """Lines in the middle of whose look at the clock another thread writes one."""

    meanwhile: float | None = None

    def __setattr__(self, name: str, value: object) -> None:
        """Set it, and write the other line."""
        object.__setattr__(self, name, value)
        if name == "_second" and self.meanwhile is not None:
            moment, self.meanwhile = self.meanwhile, None
            self.line(moment, logging.INFO, "meanwhile", {})


def test_a_line_of_another_thread_leaves_the_moments_of_others_alone() -> None:
    lines = Between(lambda event: str(event["time"]))
    lines.meanwhile = 1795983742.25
    for moment in (1795983741.125, 1795983742.5, 1795983741.5):
        written = lines.line(moment, logging.INFO, "hello", {})
        assert dt.datetime.fromisoformat(written).timestamp() == moment


FIELDS: dict[str, object] = {
    "cid": 7,
    "cn": 'a"b\nc\x1b',
    "nothing": None,
    "yes": True,
    "no": False,
    "rtt": 0.5,
    "path": Path("/x"),
}


def everything(record: logging.LogRecord) -> bool:
    return bool(record)


@pytest.mark.parametrize("to", ["file", "stderr"])
@pytest.mark.parametrize("place", ["root", "component", "handler"])
def test_lines_are_the_same_with_a_record_and_without_one(
    to: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    configure("stderr" if to == "stderr" else str(path), LogLevel.INFO)
    monkeypatch.setattr("time.time", lambda: 1795983742.2505)
    monkeypatch.setattr("time.time_ns", lambda: 1795983742_250_500_000)  # The clock of later Pythons' records.
    log = component("access").bind(link="hub")

    def written() -> str:
        log.info("Connection accepted", **FIELDS)
        log.error("odd", component="other", **FIELDS)
        assert drain()
        if to == "stderr":
            return capsys.readouterr().err
        text = path.read_text(encoding="utf-8")
        path.write_text("", encoding="utf-8")
        return text

    directly = written()
    assert directly.count("\n") == 2
    root, own = logging.getLogger(ROOT), logging.getLogger(f"{ROOT}.access")
    if place == "root":
        root.handlers.append(logging.NullHandler())
    else:
        (own if place == "component" else root.handlers[0]).addFilter(everything)
    try:
        assert written() == directly
    finally:
        own.removeFilter(everything)


def nothing(_record: logging.LogRecord) -> bool:
    return False


@pytest.mark.parametrize("place", ["component", "handler", "level"])
def test_whoever_has_a_hand_in_the_log_is_heeded(place: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure(str(path), LogLevel.INFO)
    log, own, (handler,) = component("x"), logging.getLogger(f"{ROOT}.x"), logging.getLogger(ROOT).handlers
    if place == "level":
        handler.setLevel(logging.ERROR)
    else:
        (own if place == "component" else handler).addFilter(nothing)
    try:
        log.info("hidden")
    finally:
        own.removeFilter(nothing)
    assert drain()
    assert path.read_text(encoding="utf-8") == ""


def test_others_hear_of_lines_of_a_log_that_they_added_themselves_to(tmp_path: Path) -> None:
    configure(str(tmp_path / "log"), LogLevel.INFO)
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    listener, own = Listener(), logging.getLogger(f"{ROOT}.x")
    own.addHandler(listener)
    try:
        component("x").info("one")
    finally:
        own.removeHandler(listener)
    component("x").info("two")
    logging.getLogger(ROOT).addHandler(listener)
    component("x").info("three")
    assert heard == ["one", "three"]


class Unwritable:
    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError("no")


def test_a_line_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure(str(path), LogLevel.INFO)
    component("x").info("odd", what=Unwritable())
    assert drain()
    (line,) = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (line["msg"], line["why"]) == ("A log line cannot be written", "RuntimeError")
