"""A small fleet that is simulated, in a process of its own: ``python -m choria_broker.demo.fleet FOLDER PORT``.

It ends when nobody holds the other end of its standard input any more, and so whenever the broker does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import functools
import logging
import os
import signal
import ssl
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import nats.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.access.permissions import reply_digests
from choria_broker.background import happened
from choria_broker.client_end import let_go
from choria_broker.demo import messages
from choria_broker.demo.network import Demo, birth
from choria_broker.demo.people import (
    CALLERS,
    COLLECTIVE,
    MEASUREMENTS,
    REFUSED,
    SERVERS,
    SLOW,
    caller_id,
)
from choria_broker.demo.slow import sleep_through
from choria_broker.security import issuing, signing
from choria_broker.security.tokens_encoding import encode_base64url

_ANSWER = 10
_AGAIN, _REFUSED_AGAIN = 2.0, 5.0
_ALIVE, _ASK, _MEASURE = 20.0, 10.0, 30.0
"""Seconds between two signs of life of a server, two questions of a caller, two loads of measurements."""

_FIRST_LOAD = 3.0
_LOAD = (20, 400_000)
"""Messages, and bytes of each: more than fits into the buffers of somebody who does not read."""

_LIFE, _LONGER, _AWAY = 200.0, 40.0, 5.0
"""Seconds that the first server stays, that each stays longer than the one before it, and that each stays away."""

_HOUR = 3600
_END = 3.0

_FAILURES = (OSError, nats.errors.Error, ValueError, TimeoutError, asyncio.IncompleteReadError)


class Place(msgspec.Struct, frozen=True):
    """Where the fleet is.

    Attributes:
        port: of the broker on this machine.
        tls: trusts its CA.
        signer: signs the tokens.
    """

    port: int
    tls: ssl.SSLContext
    signer: Ed25519PrivateKey

    def login(self, name: str, grant: Callable[[str], issuing.Grant], born: issuing.Birth) -> dict[str, object]:
        """Make the options of a NATS client with a new key and token.

        Args:
            name: of the client.
            grant: makes what the token says of the public key.
            born: when the token is good.
        """
        key = Ed25519PrivateKey.generate()
        return _login(name, issuing.issue(grant(signing.public_hex(key)), self.signer, born), key)


def _login(name: str, token: str, key: Ed25519PrivateKey) -> dict[str, object]:
    def answer(nonce: str) -> bytes:
        return encode_base64url(key.sign(nonce.encode())).encode()

    return {"name": name, "token": token, "signature_cb": answer}


async def _held(demo: Demo, name: str, client: str) -> dict[str, object]:
    """Make the options of a NATS client with the token that a caller has in the folder."""
    token = await asyncio.to_thread(demo.token(name).read_text)
    seed = await asyncio.to_thread(demo.seed(name).read_text)
    return _login(client, token, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)))


@contextlib.asynccontextmanager
async def _connected(place: Place, login: dict[str, object]) -> AsyncIterator[tuple[Client, asyncio.Event]]:
    """Connect once; the event tells that the connection is gone."""
    gone, client = asyncio.Event(), Client()

    async def closed() -> None:
        gone.set()

    async def quiet(_error: Exception) -> None:
        pass

    try:
        await client.connect(
            f"tls://127.0.0.1:{place.port}",
            tls=place.tls,
            tls_hostname="localhost",
            allow_reconnect=False,
            connect_timeout=_ANSWER,
            closed_cb=closed,
            error_cb=quiet,
            **login,  # type: ignore[arg-type] # of several types
        )
        yield client, gone
    finally:
        await let_go(client)


async def _server(place: Place, identity: str, stay: float) -> None:
    """Be a server for a while."""
    login = place.login(
        f"choria server {identity}",
        lambda public: issuing.ServerGrant(identity=identity, public_key=public, collectives=(COLLECTIVE,)),
        birth(dt.datetime.now(dt.UTC)),
    )
    async with _connected(place, login) as (client, gone):

        async def answer(message: Msg) -> None:
            if asked := messages.asked_by(message.data):
                await client.publish(asked.reply_to, messages.reply(asked, identity, "pong", now=int(time.time())))

        for subject in (messages.fleet_subject(messages.DISCOVERY), messages.node_subject(identity)):
            await client.subscribe(subject, cb=answer)
        await client.publish(*_event("startup", identity))
        end = time.monotonic() + stay
        while not gone.is_set() and (left := end - time.monotonic()) > 0:
            await client.publish(*_event("alive", identity))
            await client.publish(messages.fleet_subject("registration"), _registration(identity))
            await happened(gone, min(_ALIVE, left))
        if not gone.is_set():
            await client.publish(*_event("shutdown", identity))
            await client.flush(_ANSWER)
    await asyncio.sleep(_AWAY)


async def _caller(place: Place, name: str, demo: Demo) -> None:
    """Ask the fleet again and again who is there."""
    caller = caller_id(name)
    login = await _held(demo, name, caller)
    replies = f"{COLLECTIVE}.reply.{reply_digests(caller)[1]}"

    async def take(_message: Msg) -> None:
        pass

    async with _connected(place, login) as (client, gone):
        await client.subscribe(f"{replies}.>", cb=take)
        await client.subscribe("choria.lifecycle.event.>", cb=take)
        while not gone.is_set():
            number = uuid.uuid4().hex
            asked = messages.request(
                caller,
                messages.DISCOVERY,
                "ping",
                number=number,
                reply_to=f"{replies}.{number}.1",
                now=int(time.time()),
            )
            await client.publish(messages.fleet_subject(messages.DISCOVERY), asked)
            await happened(gone, _ASK)


async def _measuring(place: Place, demo: Demo) -> None:
    """Publish more at once than somebody takes who does not read."""
    login = await _held(demo, CALLERS[-1], f"{caller_id(CALLERS[-1])} measuring")
    async with _connected(place, login) as (client, gone):
        await happened(gone, _FIRST_LOAD)
        while not gone.is_set():
            count, size = _LOAD
            for _ in range(count):
                await client.publish(MEASUREMENTS, bytes(size))
                await client.flush(_ANSWER)
            await happened(gone, _MEASURE)


async def _refused(place: Place) -> None:
    """Come with a token that has expired."""
    now = int(time.time())
    born = issuing.Birth(now - 2 * _HOUR, now - _HOUR, os.urandom(16))
    async with _connected(place, place.login(caller_id(REFUSED), functools.partial(_client, REFUSED), born)):
        pass


async def _slow(place: Place) -> None:
    login = place.login(caller_id(SLOW), functools.partial(_client, SLOW), birth(dt.datetime.now(dt.UTC)))
    await sleep_through(place.port, place.tls, login, MEASUREMENTS)


def _client(name: str, public: str) -> issuing.ClientGrant:
    return issuing.ClientGrant(caller=caller_id(name), public_key=public, subscribe_subjects=(MEASUREMENTS,))


async def _for_ever(life: Callable[[], Awaitable[None]], pause: float) -> None:
    while True:
        with contextlib.suppress(*_FAILURES):
            await life()
        await asyncio.sleep(pause)


def _event(kind: str, identity: str) -> tuple[str, bytes]:
    return messages.event(kind, identity, number=uuid.uuid4().hex, now=int(time.time()))


def _registration(identity: str) -> bytes:
    return messages.request(
        f"choria={identity}",
        "registration",
        f'{{"identity":"{identity}"}}',
        number=uuid.uuid4().hex,
        reply_to="",
        now=int(time.time()),
    )


async def live(demo: Demo, port: int, over: asyncio.Event) -> None:
    """Be the fleet until the event."""
    signer = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(await asyncio.to_thread(demo.signer.read_text)))
    place = Place(port, await asyncio.to_thread(_trusting, demo), signer)
    lives: list[tuple[Callable[[], Awaitable[None]], float]] = [
        (functools.partial(_server, place, identity, _LIFE + number * _LONGER), _AGAIN)
        for number, identity in enumerate(SERVERS)
    ]
    lives += [(functools.partial(_caller, place, name, demo), _AGAIN) for name in CALLERS]
    lives += [(functools.partial(_measuring, place, demo), _AGAIN), (functools.partial(_slow, place), _AGAIN)]
    lives.append((functools.partial(_refused, place), _REFUSED_AGAIN))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_for_ever(*each)) for each in lives]
        await over.wait()
        for each in running:
            each.cancel()


def _trusting(demo: Demo) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(demo.ca))


async def _main(demo: Demo, port: int) -> None:
    over, loop = asyncio.Event(), asyncio.get_running_loop()

    def look() -> None:
        if not os.read(0, 1):
            loop.remove_reader(0)
            loop.call_later(_END, os._exit, 0)  # Whatever a library still waits for.
            over.set()

    loop.add_reader(0, look)
    await live(demo, port, over)


def main() -> None:
    """Read the command line, and be the fleet until standard input ends."""
    parser = argparse.ArgumentParser(description="The simulated fleet of the demonstration.")
    parser.add_argument("folder", type=Path, help="of the demonstration")
    parser.add_argument("port", type=int, help="client port of the broker")
    options = parser.parse_args()
    # Ctrl-C reaches the broker and the fleet alike; the fleet goes when the broker has gone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)
    logging.disable()
    asyncio.run(_main(Demo(options.folder), options.port))
    sys.exit(0)


if __name__ == "__main__":
    main()
