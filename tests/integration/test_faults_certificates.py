"""Certificates that end, are cut, swapped or gone while a broker runs: who is in stays, nobody gets in who should not.

And all is well again with good ones, without a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from cryptography import x509

from support.certificates import CLIENT, DAY, SERVER, Made, authority, issue
from support.command import Program, started
from support.nats_socket import Wire, wire
from support.stalls import NOT_IN, PATIENT, kept_out, let_in, logged_in, turned_away
from support.testbed import IDENTITY
from support.topology import Node

SOON = dt.timedelta(seconds=6)
"""Long enough for a reload, also on a machine that is busy."""

LOCAL = ipaddress.ip_address("127.0.0.1")
REFUSED = "Reload refused, nothing has changed"


def valid(end: dt.timedelta = 300 * DAY) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    return {"begin": now - DAY, "end": now + end}


class Place:
    """A broker's files and its configuration."""

    def __init__(self, folder: Path) -> None:
        """Write good ones."""
        self.folder = folder
        self.node = Node(IDENTITY)
        self.log = folder / "broker.log"
        self.certificate, self.key, self.ca = (folder / f"{name}.pem" for name in ("cert", "key", "ca"))
        self.fleet = authority("Fleet CA", **valid())
        self.ca.write_bytes(self.fleet.pem)
        self.certified()
        self.config = folder / "broker.conf"
        lines = (
            f"identity = {IDENTITY}",
            f"logfile = {self.log}",
            "plugin.choria.broker_network = true",
            "plugin.choria.use_srv = false",
            "plugin.choria.network.listen_address = 127.0.0.1",
            f"plugin.choria.network.client_port = {self.node.client}",
            f"plugin.choria.stats_port = {self.node.statistics}",
            "plugin.security.provider = file",
            f"plugin.security.file.certificate = {self.certificate}",
            f"plugin.security.file.key = {self.key}",
            f"plugin.security.file.ca = {self.ca}",
        )
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def certified(self, end: dt.timedelta = 300 * DAY) -> None:
        """Give the broker a new certificate."""
        names = (x509.DNSName(IDENTITY), x509.DNSName("localhost"), x509.IPAddress(LOCAL))
        self.install(issue(IDENTITY, self.fleet, usages=(SERVER, CLIENT), names=names, **valid(end)))

    def install(self, made: Made) -> None:
        """Put a certificate in its place."""
        self.certificate.write_bytes(made.pem)
        self.key.write_bytes(made.key_pem)

    def client(self, end: dt.timedelta = 300 * DAY) -> ssl.SSLContext:
        """Give a client a certificate; the context trusts the CA as it was at first."""
        made = issue("bob.mcollective", self.fleet, usages=(CLIENT,), **valid(end))
        file = self.folder / "client.pem"
        file.write_bytes(made.pem + made.key_pem)
        context = ssl.create_default_context(cadata=self.fleet.pem.decode())
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.load_cert_chain(file)
        return context

    @contextlib.asynccontextmanager
    async def program(self) -> AsyncIterator[Program]:
        """Run the broker until it is ready; the keys it had are in no line of its log, and its engine is the same."""
        keys = {self.key.read_text(encoding="ascii")}
        async with started("run", "--config", self.config, log=self.log) as program:
            await program.told("READY=1")
            engine = psutil.Process(program.pid).children()
            yield program
            assert psutil.Process(program.pid).children() == engine
            keys.add(self.key.read_text(encoding="ascii"))
        text = self.log.read_text(encoding="utf-8")
        assert not [line for key in keys for line in key.splitlines()[1:-1] if line in text]

    async def health(self) -> tuple[int, str]:
        """Ask for the health."""
        address = f"http://127.0.0.1:{self.node.statistics}/choria/healthz"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            return answer.status, await answer.text()

    async def is_well(self) -> None:
        """Wait until health is good."""
        async with asyncio.timeout(PATIENT):
            while await self.health() != (200, "ok\n"):
                await asyncio.sleep(0.02)

    async def has_ended(self, file: Path) -> None:
        """Wait until health says that a certificate has ended, and nobody serves."""
        wanted = (503, f"the certificate in {file} has expired\n")
        async with asyncio.timeout(PATIENT):
            while await self.health() != wanted:
                await asyncio.sleep(0.02)


async def reloaded(program: Program, text: str = "Reloaded") -> None:
    """Have the program read everything again, and wait for the line that says what came of it."""

    def told() -> int:
        return sum(str(line["msg"]).startswith(text) for line in program.lines())

    before = told()
    program.send(signal.SIGHUP)
    async with asyncio.timeout(PATIENT):
        while told() == before:
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def staying(place: Place, context: ssl.SSLContext) -> AsyncIterator[Wire]:
    """Log in, at once or a little later, and be in at the end."""
    async with logged_in(place.node.client, context) as member:
        yield member
        await member.flush()


@pytest.mark.slow
async def test_a_certificate_that_ends_keeps_others_out_until_it_is_renewed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    forever = place.client()
    async with place.program() as program, staying(place, forever):
        place.certified(SOON)
        await reloaded(program)
        ending = place.client(SOON)
        async with staying(place, ending):
            await place.is_well()
            await place.has_ended(place.certificate)
            await turned_away(place.node.client, forever)
            place.certified()
            await reloaded(program)
            await let_in(place.node.client, forever)
            await place.is_well()
            await kept_out(place.node.client, ending)
            await program.logs("certificate has expired")


@pytest.mark.slow
async def test_a_ca_that_ends_keeps_others_out_until_it_is_renewed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    context = place.client()
    async with place.program() as program, staying(place, context):
        place.ca.write_bytes(authority("Fleet CA", private=place.fleet.key, **valid(SOON)).pem)
        await reloaded(program)
        await let_in(place.node.client, context)
        await place.has_ended(place.ca)
        await turned_away(place.node.client, context)
        place.ca.write_bytes(place.fleet.pem)
        await reloaded(program)
        await let_in(place.node.client, context)
        await place.is_well()


def _cut(place: Place) -> None:
    for path in (place.certificate, place.key, place.ca):
        path.write_bytes(path.read_bytes()[:200])


def _swapped(place: Place) -> None:
    certificate, key = place.certificate.read_bytes(), place.key.read_bytes()
    place.certificate.write_bytes(key)
    place.key.write_bytes(certificate)


def _gone(place: Place) -> None:
    for path in (place.certificate, place.key, place.ca):
        path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("harm", [_cut, _swapped, _gone])
async def test_broken_files_change_nothing_until_they_are_whole(tmp_path: Path, harm: Callable[[Place], None]) -> None:
    place = Place(tmp_path)
    context = place.client()
    async with place.program() as program, staying(place, context):
        harm(place)
        await let_in(place.node.client, context)
        await reloaded(program, REFUSED)
        await let_in(place.node.client, context)
        with pytest.raises(NOT_IN):
            await turned_away_without_a_certificate(place)
        place.ca.write_bytes(place.fleet.pem)
        place.certified()
        await reloaded(program)
        await let_in(place.node.client, context)
        await place.is_well()


async def turned_away_without_a_certificate(place: Place) -> None:
    context = ssl.create_default_context(cadata=place.fleet.pem.decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    async with wire(place.node.client, context) as stranger:
        await stranger.connect()
