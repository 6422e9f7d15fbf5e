"""Processes that stand still or are slow, and what others make of it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator

import aiohttp
import psutil

from choria_broker.background import beside
from support.flooding import login
from support.nats_socket import ClosedError, Wire, wire

PATIENT = 60.0
"""Seconds."""

NOT_IN = (ClosedError, OSError, EOFError)
"""What comes of an attempt to log in that is not let in."""


async def turned_away(port: int, context: ssl.SSLContext, **sent: str) -> float:
    """Try to log in and be refused; the seconds that took."""
    begun = time.monotonic()
    try:
        await login(port, context, **sent)
    except NOT_IN:
        return time.monotonic() - begun
    raise AssertionError("let in by nobody")


async def kept_out(port: int, context: ssl.SSLContext) -> None:
    """Be refused, at once or a little later."""
    async with asyncio.timeout(PATIENT):
        while True:
            try:
                await login(port, context)
            except NOT_IN:
                return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def logged_in(port: int, context: ssl.SSLContext) -> AsyncIterator[Wire]:
    """Log in, at once or a little later, and stay."""
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(PATIENT) as deadline:
        while True:
            with contextlib.suppress(*NOT_IN):
                member = await stack.enter_async_context(wire(port, context))
                await member.connect(name="member")
                deadline.reschedule(None)
                break
            await asyncio.sleep(0.02)
        yield member


async def let_in(port: int, context: ssl.SSLContext) -> None:
    """Log in, at once or a little later."""
    async with asyncio.timeout(PATIENT):
        while True:
            with contextlib.suppress(*NOT_IN):
                await login(port, context)
                return
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Have a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def slowed(pid: int, works: float, rests: float) -> AsyncIterator[None]:
    """Have a process work for some seconds and stand still for some, in turn."""

    async def hold_up() -> None:
        while True:
            with stopped(pid):
                await asyncio.sleep(rests)
            await asyncio.sleep(works)

    async with beside(hold_up(), "holding up"):
        yield


async def scraped(port: int, sample: str) -> float:
    """Read one sample of the statistics port."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as page:
        lines = (await page.text()).splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))


async def gone(*processes: psutil.Process) -> None:
    """Wait until processes are no more."""
    async with asyncio.timeout(PATIENT):
        while any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes):
            await asyncio.sleep(0.02)


def megabytes(pid: int) -> float:
    """Return the memory of a process."""
    return float(psutil.Process(pid).memory_info().rss / 1e6)
