"""Clocks that are set: the broker's own by hours and years, and expiries that come while everything runs.

The clock of one process cannot be set, so the broker's Python is given one that a file sets. The engine keeps the true
one; the two then disagree about the deadlines of questions, which is worse than what a step does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import signal
import ssl
import time
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.status.health import Condition
from support.command import started
from support.minting import HOLDER, ORGANIZATION, client, encoded, hex_of, mint
from support.nats_socket import Wire, wire
from support.stalls import NOT_IN, PATIENT, let_in, scraped
from support.stores import Store
from support.testbed import IDENTITY, Authority, configuration, free_port, settled
from support.testbed import client as connected
from support.topology import Node, client_of, configure

HOUR, YEAR = 3600.0, 365 * 86400.0
CLOCK = """
import os, time

_true = time.time


def _told():
    with open(os.environ["CLOCK_OF_THE_TEST"], encoding="ascii") as file:
        return _true() + float(file.read())


time.time = _told
time.time_ns = lambda: int(_told() * 1e9)
"""


class Clock:
    """The clock of a program."""

    def __init__(self, folder: Path) -> None:
        """Write it; it is true at first."""
        (folder / "clock").mkdir()
        (folder / "clock/sitecustomize.py").write_text(CLOCK, encoding="utf-8")
        self._file = folder / "clock/offset"
        self.set(0)
        self.environment = {"PYTHONPATH": str(folder / "clock"), "CLOCK_OF_THE_TEST": str(self._file)}

    def set(self, ahead: float) -> None:
        """Set it so many seconds ahead of the true one."""
        new = self._file.with_suffix(".new")
        new.write_text(str(ahead), encoding="ascii")
        new.rename(self._file)


def login(peer: Wire, token: str) -> dict[str, str]:
    """Return the fields with which the holder of a token logs in."""
    return {"auth_token": token, "sig": encoded(HOLDER.sign(peer.nonce.encode()))}


async def outcome(node: Node, authority: Authority, token: str) -> bool:
    """Log in with a token; whether that went well."""
    try:
        async with wire(node.client, authority.context()) as peer:
            await peer.connect(**login(peer, token))
    except NOT_IN:
        return False
    return True


@pytest.mark.slow
async def test_a_clock_that_is_set_lets_nobody_in_and_throws_nobody_out(tmp_path: Path, authority: Authority) -> None:
    clock, node, log = Clock(tmp_path), Node("broker.example.net"), tmp_path / "broker.log"
    now = int(time.time())

    def token() -> str:
        """Make one that was not seen yet: those that were are known to the engine, whose clock is not set here."""
        return mint(client(iat=now - 600, nbf=now - 600, exp=now + 600, agents=[str(next(numbers))]))

    numbers = itertools.count()
    config = configure(
        tmp_path,
        authority,
        node,
        logfile=log,
        plugin__security__issuer__names="choria",
        plugin__security__issuer__choria__public=hex_of(ORGANIZATION),
    )
    async with started("run", "--config", config, log=log, environment=clock.environment) as program:
        await program.told("READY=1")
        async with wire(node.client, authority.context()) as member:
            await member.connect(**login(member, token()))
            for ahead in (HOUR, 10 * YEAR, -HOUR, -YEAR):
                clock.set(ahead)
                assert not await outcome(node, authority, token())
                await member.flush()
                assert await scraped(node.statistics, "choria_broker_health") >= 0
            clock.set(0)
            async with asyncio.timeout(PATIENT):
                while not await outcome(node, authority, token()):
                    continue
            await member.flush()
        lines = [str(line["msg"]) for line in program.lines()]
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
    assert "Could not read the engine's statistics" not in lines
    # An engine that asks too late, as it seems, is not answered, and refuses by itself.
    assert {"Connection refused", "Connection refused by the engine"} <= set(lines)


async def test_a_set_clock_is_no_engine_that_does_not_answer(tmp_path: Path, authority: Authority) -> None:
    moment = time.time()
    broker = NetworkBroker.from_file(configuration(tmp_path, authority, plugin__choria__stats_port=free_port()))
    broker.statistics.poller._clock = lambda: moment
    async with broker:
        moment += 10 * YEAR
        assert broker.statistics.poller.answering
        moment -= 20 * YEAR
        assert broker.statistics.poller.answering


@pytest.mark.slow
async def test_a_certificate_that_expires_meanwhile_opens_nothing_more(tmp_path: Path, authority: Authority) -> None:
    long = authority.context(authority.issue("long.mcollective"))
    node, log = Node("broker.example.net"), tmp_path / "broker.log"
    config = configure(tmp_path, authority, node, logfile=log)
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4)
        short = authority.context(authority.issue("short.mcollective", until=end))
        async with client_of(node, short) as member:
            async with asyncio.timeout(PATIENT):
                while await lets_in(node.client, short):
                    await asyncio.sleep(0.05)
            assert dt.datetime.now(dt.UTC) >= end.replace(microsecond=0)
            assert "expired" in str(await program.logs("TLS handshake error"))
            await member.flush()  # Who is in stays, unless the settings say otherwise.
            await let_in(node.client, long)


async def test_a_broker_whose_own_certificate_expires_says_so_and_takes_a_new_one(
    tmp_path: Path, authority: Authority
) -> None:
    config = configuration(tmp_path, authority, plugin__choria__stats_port=free_port())
    context = authority.context(authority.issue("bob.mcollective"))
    names = (IDENTITY, "127.0.0.1", "::1", "localhost")
    authority.issue(*names, until=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3))
    async with NetworkBroker.from_file(config) as broker, connected(broker, context) as member:
        async with asyncio.timeout(PATIENT):
            while broker._reporter.health().condition is not Condition.FAILING:
                await asyncio.sleep(0.05)
            assert "has expired" in broker._reporter.health().sentence
            while await lets_in(broker.ports.client, context):
                await asyncio.sleep(0.05)
            await settled(member)
            authority.issue(*names)
            await broker.reload()
            assert await lets_in(broker.ports.client, context)
            await settled(member)
            assert broker._reporter.health().condition is Condition.OK


async def lets_in(port: int, context: ssl.SSLContext) -> bool:
    """Log in with a certificate; whether that went well."""
    try:
        async with wire(port, context) as peer:
            await peer.connect()
    except NOT_IN:
        return False
    return True


async def test_a_user_of_an_operator_whose_token_expires_is_ended_by_the_engine(
    tmp_path: Path, authority: Authority
) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    path = configuration(tmp_path, authority, network__operator_account="OPS")
    async with NetworkBroker.from_file(path) as broker:
        end = int(time.time()) + 2
        expiring = store.login("ACME", exp=end)
        async with (
            connected(broker, authority.context(), **expiring) as short,
            connected(broker, authority.context(), **store.login("ACME")) as long,
        ):
            await settled(short)
            async with asyncio.timeout(PATIENT):
                while not short.is_closed:
                    await asyncio.sleep(0.05)
            assert time.time() >= end
            await settled(long)
