"""Guessing passwords is slow, whatever the password is worth, and nobody else waits for that."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from support.testbed import IDENTITY, Authority, configuration

PASSWORDS = {
    "network__system__user": "system",
    "network__system__password": "right",
    "network__provisioning__client_password": "right",
}
SECONDS = 2.0
GUESSERS = 30


async def answer(port: int, context: ssl.SSLContext, source: str, **login: str) -> bytes:
    """Log in and return what is said to that; nothing where the connection ends without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        async with asyncio.timeout(10):
            await reader.readuntil(b"\r\n")
            await writer.start_tls(context, server_hostname="127.0.0.1")
            writer.write(f"CONNECT {json.dumps({'verbose': True, **login})}\r\n".encode())
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                return (await reader.readuntil(b"\r\n")).rstrip()
        return b""
    finally:
        writer.close()


@dataclasses.dataclass
class Guesses:
    """What guessers heard."""

    answers: list[bytes] = dataclasses.field(default_factory=list)
    silence: int = 0


@contextlib.asynccontextmanager
async def guessing(port: int, context: ssl.SSLContext, user: str) -> AsyncIterator[Guesses]:
    """Guess from one address as long as the context lasts; every third password is the right one."""
    heard, over = Guesses(), asyncio.Event()

    async def guess(number: int) -> None:
        while not over.is_set():
            password = "right" if number % 3 == 0 else f"wrong{number}"
            said = await answer(port, context, "127.0.0.1", user=user, **{"pass": password})
            if said:
                assert (said == b"+OK") is (password == "right")
                heard.answers.append(said)
            else:
                heard.silence += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(GUESSERS):
            tasks.create_task(guess(number))
        yield heard
        over.set()


@pytest.mark.parametrize("user", ["system", "provisioner"])
async def test_guessers_get_few_answers_and_others_all(tmp_path: Path, authority: Authority, user: str) -> None:
    context = authority.context(authority.issue("guesser"))
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **PASSWORDS)) as broker:
        port = broker.ports.client
        begun = time.monotonic()
        async with guessing(port, context, user) as heard:
            await asyncio.sleep(SECONDS / 2)
            for number in range(3):
                before = time.monotonic()
                login = {"user": user, "pass": "right"}
                assert await answer(port, context, f"127.0.0.{number + 2}", **login) == b"+OK"
                assert await answer(port, context, "127.0.0.1") == b"+OK", "a certificate is no password"
                assert time.monotonic() - before < SECONDS
            await asyncio.sleep(max(0.0, begun + SECONDS - time.monotonic()))
        seconds = time.monotonic() - begun
        assert 0 < len(heard.answers) <= 20 * seconds
        assert heard.silence
        assert {b"+OK", b"-ERR 'Authorization Violation'"} >= set(heard.answers)
        labels = {"identity": IDENTITY, "cause": "guessing"}
        assert broker.registry.get_sample_value("choria_broker_engine_refusals_total", labels) == heard.silence


async def test_a_few_logins_do_not_wait(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("guesser"))
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **PASSWORDS)) as broker:
        begun = time.monotonic()
        for password in ("right", "wrong", "right"):
            login = {"user": "system", "pass": password}
            assert (await answer(broker.ports.client, context, "127.0.0.1", **login) == b"+OK") is (password == "right")
        assert time.monotonic() - begun < SECONDS
