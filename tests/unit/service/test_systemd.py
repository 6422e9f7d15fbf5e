"""What the service manager is told reaches it in order, and one that stands still holds nobody up."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from choria_broker.service import systemd
from choria_broker.service.systemd import Messages, tell

LONG = 60.0
"""Seconds that are never waited for in full."""


@contextlib.contextmanager
def manager() -> Iterator[tuple[socket.socket, str]]:
    """Have a service manager, which reads when it is asked to; the address is as the kernel wants it."""
    address = f"\0choria-test-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(LONG)
        yield listening, address


def filled(address: str) -> int:
    """Send until the manager has no room; return how many it has."""
    sent = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.connect(address)
        with contextlib.suppress(BlockingIOError):
            while True:
                channel.send(b"before")
                sent += 1
    return sent


def test_without_a_service_manager_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    tell("READY=1")
    assert not caplog.records


@pytest.mark.parametrize("abstract", [True, False])
def test_the_state_reaches_the_service_manager(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, abstract: bool
) -> None:
    address = f"\0choria-test-{os.urandom(8).hex()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(LONG)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
        with systemd.told():
            tell("READY=1")
        assert listening.recv(100) == b"READY=1"


def test_a_manager_that_does_not_read_holds_nobody_up_and_gets_all_in_order_when_it_reads() -> None:
    with manager() as (listening, address):
        before, messages = filled(address), Messages(patience=LONG)
        told = [f"STATUS={number}" for number in range(20)]
        for state in told:
            messages.put(address, state)
        assert [listening.recv(100) for _ in range(before)] == [b"before"] * before
        assert [listening.recv(100).decode() for _ in told] == told
        messages.settle(LONG)
        messages.put(address, "STOPPING=1")
        assert listening.recv(100) == b"STOPPING=1"


def test_what_is_not_taken_in_time_is_dropped_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with manager() as (listening, address), caplog.at_level(logging.WARNING):
        before, messages = filled(address), Messages(patience=0.01)
        for state in ("READY=1\nSTATUS=a", "STATUS=b", "STATUS=c"):
            messages.put(address, state)
        messages.settle(LONG)
        (line,) = caplog.messages
        assert line == "Cannot notify the service manager of READY=1: nobody reads NOTIFY_SOCKET"
        assert [listening.recv(100) for _ in range(before)] == [b"before"] * before
        messages.put(address, "STATUS=d")
        assert listening.recv(100) == b"STATUS=d"
        messages.put("\0choria-test-nobody", "STATUS=e")
        assert len(caplog.messages) == 2


def test_only_so_many_messages_wait(caplog: pytest.LogCaptureFixture) -> None:
    with manager() as (listening, address), caplog.at_level(logging.WARNING):
        before, messages = filled(address), Messages(patience=LONG, room=2)
        for state in ("STATUS=a", "STATUS=b", "STATUS=c", "STATUS=d"):
            messages.put(address, state)
        assert len(caplog.messages) == 1
        for _ in range(before):
            listening.recv(100)
        assert [listening.recv(100) for _ in range(2)] == [b"STATUS=a", b"STATUS=b"]
        messages.settle(LONG)


def test_the_end_of_the_program_does_not_wait_for_long(caplog: pytest.LogCaptureFixture) -> None:
    with manager() as (_, address), caplog.at_level(logging.WARNING):
        filled(address)
        messages = Messages(patience=1.0)
        messages.put(address, "STOPPING=1")
        messages.put(address, "STATUS=Stopping.")
        messages.settle(0.01)
        assert caplog.messages == [
            "Cannot notify the service manager of STOPPING=1: nobody reads NOTIFY_SOCKET",
        ]
        messages.settle(LONG)


@pytest.mark.parametrize("place", ["nobody", "nowhere/notify"])
def test_a_socket_that_nobody_has_is_told_once(place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    messages = Messages()
    messages.put(str(tmp_path / place), "READY=1")
    messages.put(str(tmp_path / place), "STATUS=x")
    assert caplog.messages == ["Cannot notify the service manager of READY=1: nobody reads NOTIFY_SOCKET"]
