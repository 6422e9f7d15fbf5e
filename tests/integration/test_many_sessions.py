"""Very many sessions: going through them, listing them, and the end of some. ``make soak`` has 10,000."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import resource
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.minting import ORGANIZATION, hex_of, mint
from support.minting import client as client_claims
from support.multitude import multitude
from support.testbed import Authority, configuration

SESSIONS = int(os.environ.get("SESSIONS", "60"))
T = TypeVar("T")

FOR_SOMETHING_ELSE = 600
"""Descriptors."""

IN_TIME = 1.0
"""Seconds of work that it may take to go through all of them."""

PATIENCE = 60.0


def many() -> int:
    """Return how many sessions fit into what a process may open, at most as many as are wanted."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(SESSIONS, limit - FOR_SOMETHING_ELSE) if limit != resource.RLIM_INFINITY else SESSIONS


def token(caller: str) -> str:
    now = int(time.time())
    claims = client_claims(caller=caller, permissions={"org_admin": True}, nbf=None, jti=caller)
    return mint({**claims, "callerid": caller, "iat": now - 60, "exp": now + 3600})


async def run(*arguments: str | Path) -> str:
    """Run a command in a thread, so that the broker in this loop can answer."""
    found = await asyncio.to_thread(CliRunner().invoke, main, list(map(str, arguments)))
    assert found.exit_code == 0, found.output
    return found.stdout


@dataclasses.dataclass
class Watch:
    """Takes the time of what is done to a broker: on the clock, and that of the processors, which nobody lengthens.

    Attributes:
        told: what took how long, for people.
    """

    engine: psutil.Process
    told: list[str] = dataclasses.field(default_factory=list)

    def _worked(self) -> float:
        engine = self.engine.cpu_times()
        return time.process_time() + engine.user + engine.system

    async def of(self, what: str, work: Awaitable[T]) -> tuple[T, float]:
        """Do something, and return what came of it and the seconds that broker and engine have worked for it."""
        begun, worked = time.monotonic(), self._worked()
        result = await work
        took = self._worked() - worked
        self.told.append(f"{what} {took:.2f} s of work in {time.monotonic() - begun:.2f} s")
        return result, took


@pytest.mark.timeout(60 + SESSIONS // 10)
async def test_many_are_gone_through_listed_and_ended(tmp_path: Path, authority: Authority) -> None:
    revoked, count = tmp_path / "revoked", many()
    config = configuration(
        tmp_path,
        authority,
        network__client_signer_cert=hex_of(ORGANIZATION),
        network__revocations=revoked,
        network__max_connections=count + 100,
    )
    on = ("--config", config)
    few = count // 4
    async with (
        NetworkBroker.from_file(config) as broker,
        multitude(broker.ports.client, authority.ca) as clients,
    ):
        watch = Watch(psutil.Process(broker._engine.pid))
        callers = {token("up=bob"): few, token("up=eve"): few, token("up=kim"): count - 2 * few}
        await watch.of("all are in", clients.enter(callers))
        revoked.write_text("caller up=nobody\n", encoding="utf-8")
        outcome, _ = await watch.of("a reload", broker.reloads.ask_files((revoked,), engine=False))
        rounds = [await watch.of("gone through", broker.enforcement.enforce()) for _ in range(3)]
        assert (outcome.report.ended, [ended for ended, _ in rounds]) == (0, [0, 0, 0])
        listed, _ = await watch.of("a list", run("connections", *on, "--limit", "0", "--json"))
        assert len(json.loads(listed)["connections"]) == count
        found, _ = await watch.of("a search", run("find", "up=eve", *on))
        assert "up=eve" in found

        said, _ = await watch.of("a revocation", run("revoke", *on, "--caller", "up=bob"))
        assert f"{few} sessions ended" in said
        async with asyncio.timeout(PATIENCE):
            while await clients.connected() != [0, few, count - 2 * few]:
                await asyncio.sleep(0.02)
        said, _ = await watch.of("a kick", run("kick", *on, "--caller", "up=eve"))
        assert f"{few} " in said
        async with asyncio.timeout(PATIENCE):
            while await clients.connected() != [0, 0, count - 2 * few]:
                await asyncio.sleep(0.02)
        assert len(await broker.sessions()) == count - 2 * few
    if SESSIONS >= 1000:
        print(f"{count} sessions", *watch.told, sep=", ")  # noqa: T201 - a soak tells what it found
        assert min(took for _, took in rounds) < IN_TIME
