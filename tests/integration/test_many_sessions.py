"""Very many sessions: going through them, listing them, and the end of some. ``make soak`` has 10,000."""

from __future__ import annotations

import asyncio
import contextlib
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
from support.topology import Setting, broker, formed, nodes, peers
from support.topology import running as together

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


async def asked(*arguments: str | Path) -> str:
    """Run a command in a thread, so that the broker in this loop can answer; that nobody was found is an answer too."""
    found = await asyncio.to_thread(CliRunner().invoke, main, list(map(str, arguments)))
    assert found.exit_code in {0, 3}, found.output
    return found.stdout


async def run(*arguments: str | Path) -> str:
    """Run a command that succeeds."""
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


@pytest.mark.slow
@pytest.mark.timeout(180 + SESSIONS // 10)
async def test_somebody_is_found_among_many_in_a_cluster(tmp_path: Path, authority: Authority) -> None:
    members = nodes(3, host="127.0.0.1")
    count = many() // len(members)
    settings: dict[str, Setting] = {
        **peers(*members),
        "network__client_signer_cert": hex_of(ORGANIZATION),
        "network__system__user": "root",
        "network__system__password": "secret",
        "network__max_connections": count + 100,
        # Who logs in while the machine has as much to do as here takes its time.
        "network__tls_timeout": "60s",
        "network__auth_timeout": "60s",
    }
    brokers = [broker(tmp_path, authority, member, **settings) for member in members]
    async with together(brokers), contextlib.AsyncExitStack() as crowds:
        await formed(*members)
        for number, each in enumerate(brokers):
            crowd = await crowds.enter_async_context(multitude(each.ports.client, authority.ca))
            last = {token("up=kim"): 1} if number == 2 else {}
            await crowd.enter({token(f"up=bob{number}"): count - len(last)} | last)
        on = ("--config", brokers[0].settings.source)
        async with asyncio.timeout(PATIENCE):
            while "Answered: broker1.example.net, broker2.example.net, broker3.example.net." not in (
                seen := await asked("find", "up=kim", *on)
            ):
                await asyncio.sleep(0.1)
        assert "broker3.example.net: connected, client cid" in seen
        engines = [psutil.Process(each._engine.pid) for each in brokers]

        def worked() -> float:
            times = [each.cpu_times() for each in engines]
            return time.process_time() + sum(each.user + each.system for each in times)

        taken = []
        for text in ("up=kim", "up=nobody", "up=bob1"):
            begun, before = time.monotonic(), worked()
            found = json.loads(await asked("find", text, *on, "--json"))
            taken.append((text, worked() - before, time.monotonic() - begun))
            assert (found["whole"], len(found["brokers"])) == (True, 3)
            assert not any(each["partly"] for each in found["brokers"])
        begun, before = time.monotonic(), worked()
        top = json.loads(await run("top", *on, "--once", "--interval", "1", "--json"))
        taken.append(("top for a second", worked() - before, time.monotonic() - begun))
        assert top["busy"]["connections"] == count
    if SESSIONS >= 1000:
        told = [f"{what}: {cpu:.2f} s of work in {clock:.2f} s" for what, cpu, clock in taken]
        print(f"3 members with {3 * count} sessions", *told, sep=", ")  # noqa: T201 - a soak tells what it found
        assert min(cpu for _, cpu, _ in taken) < IN_TIME
