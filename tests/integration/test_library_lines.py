"""What strangers can write into the log by way of libraries: next to nothing, and never to standard error."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from pathlib import Path

import pytest

from support.command import Program, started
from support.testbed import Authority, configuration, free_port

pytestmark = pytest.mark.slow

DEADLINE = 60.0
MARK = b"PEERSTEXT"
GET = b"GET /choria/ HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /choria/ HTTP/1.1\r\nHost: localhost\r\n"
MALFORMED = {
    "no HTTP": MARK + b"\r\n\r\n",
    "a method of odd bytes": b"\xff\x00\x1b[2J" + MARK + b" / HTTP/1.1\r\n\r\n",
    "a long method": MARK * 2000 + b" / HTTP/1.1\r\n\r\n",
    "a long path": b"GET /" + MARK * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a path of odd bytes": b"GET /\xff\xfe%zz?" + MARK + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version": b"GET / " + MARK + b"\r\n\r\n",
    "a strange version": b"GET / HTTP/9.9" + MARK + b"\r\n\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
    "HTTP/2 by upgrade": GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    "a websocket": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: " + MARK + b"\r\n\r\n",
    "a header without name": GET + b": " + MARK + b"\r\n\r\n",
    "a header without colon": GET + MARK + b"\r\n\r\n",
    "a header of odd bytes": GET + b"X\x01\x02: " + MARK + b"\r\n\r\n",
    "a value with control characters": GET + b"X: a\x00\x1b[2J" + MARK + b"\r\n\r\n",
    "a value that is not UTF-8": GET + b"X: \xff\xfe" + MARK + b"\r\n\r\n",
    "a huge header": GET + b"X: " + MARK * 5000 + b"\r\n\r\n",
    "thousands of headers": GET + b"".join(b"X%d: %s\r\n" % (number, MARK) for number in range(5000)) + b"\r\n",
    "a folded header": GET + b"X: a\r\n " + MARK + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n" + MARK,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + MARK,
    "a length in words": POST + b"Content-Length: " + MARK + b"\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n" + MARK + b"\r\n\r\n",
    "a chunk of negative size": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + MARK + b"\r\n",
    "a chunk that is too long": POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\n" + MARK + b"\r\n0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: " + MARK + b"\r\n\r\n",
    "a bad compression": POST + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n" + MARK,
    "half a body": POST + b"Content-Length: 1000\r\n\r\n" + MARK,
    "half a header": GET + b"X: " + MARK,
    "half a request after a whole one": GET + b"\r\n" + MARK,
    "a bad host": b"GET / HTTP/1.1\r\nHost: [" + MARK + b"\r\n\r\n",
    "two hosts": GET + b"Host: " + MARK + b"\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "an address as path": b"GET http://[" + MARK + b"/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel": b"CONNECT " + MARK + b":443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an expectation": POST + b"Expect: " + MARK + b"\r\nContent-Length: 3\r\n\r\nabc",
    "a bad cookie": GET + b"Cookie: \x01=" + MARK + b"; ;;=\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
    "random bytes": os.urandom(4000),
    "nothing": b"",
}
KINDS = len(MALFORMED)


async def send(port: int, payload: bytes, *, reset: bool = False) -> None:
    """Send some bytes and read what comes until the end; or end the connection at once, and not in order."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if reset:
            taken = writer.get_extra_info("socket")
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.write(payload)
        if not reset:
            writer.write_eof()
            async with asyncio.timeout(DEADLINE):
                await reader.read()
        writer.close()
        await writer.wait_closed()


async def ends_in_order(program: Program) -> str:
    program.send(signal.SIGTERM)
    assert await program.ended() == 0
    return await program.output()


@pytest.mark.parametrize("level", ["debug", "info", "warn"])
async def test_malformed_requests_of_all_kinds_cost_the_log_a_few_short_lines(
    tmp_path: Path, authority: Authority, level: str
) -> None:
    log, port = tmp_path / "log", free_port()
    config = configuration(tmp_path, authority, logfile=log, loglevel=level, plugin__choria__stats_port=port)
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        before = log.stat().st_size
        for _ in range(8):
            await asyncio.gather(*(send(port, payload) for payload in MALFORMED.values()))
            await asyncio.gather(*(send(port, payload, reset=True) for payload in MALFORMED.values()))
        with contextlib.suppress(ssl.SSLError, OSError):
            await asyncio.open_connection("127.0.0.1", port, ssl=authority.context())
        await send(port, GET + b"Connection: close\r\n\r\n")
        said = [line for line in program.lines() if line["component"] == "library"]
        grown = log.stat().st_size - before
        assert await ends_in_order(program) == ""
    assert not [line for line in program.lines() if "exception" in line or "Traceback" in str(line)]
    assert len(said) <= 60
    assert grown < 60_000
    assert max((len(str(line)) for line in said), default=0) < 1200
    assert {line["level"] for line in said} <= {"info", "debug"}
    assert bool(said) is (level != "warn")


async def test_a_full_disk_of_the_log_is_one_notice(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority, logfile="/dev/full", loglevel="debug")
    async with started("run", "--config", config, log=tmp_path / "none") as program:
        await program.told("READY=1")
        output = await ends_in_order(program)
    assert output == (
        "Cannot write the log to /dev/full: No space left on device; "
        "log lines are dropped until it can be written again\n"
    )


@pytest.mark.slow
async def test_without_standard_streams_the_broker_runs_and_says_nothing_in_wrong_places(
    tmp_path: Path, authority: Authority
) -> None:
    log = tmp_path / "log"
    for logfile in ("stdout", "stderr", log):
        config = configuration(tmp_path, authority, logfile=logfile)
        command = f"exec {Path(os.sys.executable).parent}/choria-broker run --config {config} <&- >&- 2>&-"  # type: ignore[attr-defined]
        address = f"\0choria-broker-test-{os.getpid()}-{os.urandom(8).hex()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
            notifications.bind(address)
            notifications.setblocking(False)
            environment = {**os.environ, "NOTIFY_SOCKET": "@" + address[1:]}
            process = await asyncio.create_subprocess_shell(command, env=environment)
            try:
                async with asyncio.timeout(DEADLINE):
                    while await asyncio.get_running_loop().sock_recv(notifications, 100) != b"READY=1":
                        continue
                    process.terminate()
                    assert await process.wait() == 0
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
    assert "shut down" in log.read_text(encoding="utf-8")
