"""Asking machine and network."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from choria_broker.config.surroundings.discovery import (
    Search,
    is_local_address,
    lookup_addresses,
    lookup_full_name,
    lookup_srv,
)
from choria_broker.config.surroundings.facts import SrvAnswer
from choria_broker.values import replace
from support.nameserver import name_server
from support.quiet_machine import QUIET


def search(environ: dict[str, str] | None = None, **ways: object) -> Search:
    return Search(replace(QUIET, **ways), environ or {})  # type: ignore[arg-type] # fields by name


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A directory with executables named like the real ones."""
    for name in ("facter", "puppet"):
        file = tmp_path / name
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    return tmp_path


class Commands:
    """Answers commands by their last argument, and keeps what was asked."""

    def __init__(self, **answers: str) -> None:
        """Keep the answers by argument."""
        self.answers = answers
        self.asked: list[list[str]] = []

    def __call__(self, command: Sequence[str], seconds: float) -> str:
        assert 0 < seconds <= 5
        self.asked.append(list(command))
        return next((answer for word, answer in self.answers.items() if word in command), "")


@pytest.mark.parametrize(
    ("hostname", "full", "fact", "identity"),
    [
        ("a.example.net", "other", "other", "a.example.net"),
        ("a", "a.example.net", "other", "a.example.net"),
        ("a.local", "a.example.net", "other", "a.example.net"),
        ("a", "", "b.example.net", "b.example.net"),
        ("a", "", "", "a"),
        ("", "", "", ""),
    ],
)
def test_identity(hostname: str, full: str, fact: str, identity: str, tools: Path) -> None:
    run = Commands(**{"networking.fqdn": fact})
    found = search(hostname=lambda: hostname, full_name=lambda _: full, run=run, tools=(tools,)).identity()
    assert found == identity


def test_a_name_server_that_hangs_costs_a_bounded_time() -> None:
    release = threading.Event()

    def hang(_: str) -> str:
        release.wait(30)
        return "late"

    begin = time.monotonic()
    assert search(full_name=hang, limit=0.2).identity() == "host"
    assert search(addresses=hang, limit=0.2).addresses(["a", "b"]) == {"a": (), "b": ()}
    assert time.monotonic() - begin < 5
    release.set()


def test_srv_records_leave_time_for_the_names_of_peers() -> None:
    given: list[float] = []

    def answer(record: str, seconds: float) -> SrvAnswer:
        given.append(seconds)
        return SrvAnswer(record, problem="none")

    search(srv=answer).srv("record")
    search(srv=answer, limit=0.5).srv("record")
    assert [seconds <= most for seconds, most in zip(given, (3.0, 0.5), strict=True)] == [True, True]


def test_domain(tools: Path) -> None:
    run = Commands(**{"networking.domain": ".example.net."})
    assert search(run=run, tools=(tools,)).domain() == "example.net"
    assert run.asked == [[str(tools / "facter"), "networking.domain"]]
    assert search().domain() == ""


def test_tools_are_found_in_path_too(tools: Path) -> None:
    run = Commands(**{"networking.domain": "example.net"})
    assert search({"PATH": str(tools)}, run=run).domain() == "example.net"


@pytest.mark.parametrize(
    ("answers", "expected", "asked"),
    [
        ({"apply": "notice\n/ssl"}, "/ssl", 1),
        ({"apply": "an error", "config": "/other"}, "/other", 2),
        ({}, None, 2),
    ],
)
def test_ssldir_of_root(answers: dict[str, str], expected: str | None, asked: int, tools: Path) -> None:
    run = Commands(**answers)
    found = search(run=run, tools=(tools,)).ssldir_in_background()()
    assert found == (Path(expected) if expected else None)
    assert len(run.asked) == asked


def test_the_usual_ssldir_is_the_last_resort(tmp_path: Path) -> None:
    assert search(puppet_directory=tmp_path).ssldir_in_background()() == tmp_path


def test_ssldir_of_others(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home")}
    assert search(environ, root=False, puppet_directory=tmp_path).ssldir_in_background()() == tmp_path
    found = search({"HOME": "/home/bob"}, root=False).ssldir_in_background()()
    assert found == Path("/home/bob/.puppetlabs/etc/puppet/ssl")
    assert search(root=False).ssldir_in_background()() is None


def test_local_addresses() -> None:
    found = search(is_local=lambda address: address == "192.0.2.1").local(["192.0.2.1", "192.0.2.2"])
    assert found == frozenset({"192.0.2.1"})


def test_a_way_that_fails_counts_as_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fail(_: str) -> tuple[str, ...]:
        raise RuntimeError

    begin = time.monotonic()
    assert search(addresses=fail).addresses(["a"]) == {"a": ()}
    assert time.monotonic() - begin < 4


def test_this_machine() -> None:
    assert is_local_address("127.0.0.1")
    assert not is_local_address("192.0.2.1")
    assert not is_local_address("no address")
    assert "127.0.0.1" in lookup_addresses("127.0.0.1")
    assert lookup_addresses("nothing.invalid.") == ()
    assert lookup_addresses("a" * 70) == ()
    assert lookup_full_name("a" * 70) == ""


RECORD = "_mcollective-broker._tcp.example.net"


def test_srv() -> None:
    lines = ["10 0 5222 b.example.net.", "5 0 5223 a.example.net.", "20 0 0 ."]
    with name_server({f"{RECORD} SRV": lines}) as server:
        found = lookup_srv(RECORD, 5, server.resolver())
    assert found == SrvAnswer(RECORD, (("a.example.net.", 5223), ("b.example.net.", 5222), (".", 0)))


@pytest.mark.parametrize(
    ("rcode", "failed"), [("NXDOMAIN", False), ("NOERROR", False), ("SERVFAIL", True), ("REFUSED", True)]
)
def test_srv_without_answer(rcode: str, failed: bool) -> None:
    with name_server({f"{RECORD} A": ["192.0.2.1"]}, failing=rcode) as server:
        found = lookup_srv(RECORD, 0.5, server.resolver())
    assert (found.targets, found.failed) == ((), failed)
    assert found.problem


def test_srv_without_server() -> None:
    with name_server({}, silent=True) as server:
        begin = time.monotonic()
        found = lookup_srv(RECORD, 0.3, server.resolver())
        assert time.monotonic() - begin < 3
        assert server.asked
    assert found.failed


def test_srv_with_a_name_that_is_none() -> None:
    assert lookup_srv("a" * 70 + ".example", 0.5).problem
