"""How a companion process gets a connection: which brokers there are, TLS, and what it logs in with."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nats.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.client_end import heeding_cancellation, let_go
from choria_broker.companions.client import LeanClient
from choria_broker.engine.bridge import WayIn, connected, login_with
from choria_broker.errors import NotReadyError
from choria_broker.host.files import read_token_file
from choria_broker.settings.companions import Side, SideTls

CONNECT_TIMEOUT = 5.0
"""Seconds for each step of a connection."""

_LONGEST_TOKEN = 65_536
_LET_GO = 0.5
"""Seconds for the end of an attempt that failed; others wait for their turn."""


class DialError(Exception):
    """No connection came about; the message is one sentence without its full stop, and holds no secret."""


LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""Asks for an SRV record, and returns ``host:port`` of its targets; none when there is no usable answer."""


class Dial:
    """Connects to the network of one side.

    Args:
        side: the side.
        way_in: into the engine, for a side that is its; None without an engine.
        look_up: asks for SRV records.
    """

    def __init__(self, side: Side, way_in: WayIn | None, look_up: LookUp) -> None:
        """Nothing is connected yet."""
        self._side = side
        self._way_in = way_in
        self._look_up = look_up
        # ``connect`` takes 107 bytes at most, which the path of the directory may exceed.
        self._directory = os.open(way_in.directory, os.O_PATH | os.O_DIRECTORY) if way_in and side.bridge else -1

    async def __call__(self, name: str, closed: Callable[[], Awaitable[None]]) -> tuple[LeanClient, str]:
        """Connect.

        Args:
            name: of the connection.
            closed: called when it has ended.

        Returns:
            The client, and the URL of the broker.

        Raises:
            DialError: it did not come about.
        """
        options = {
            "name": name,
            "allow_reconnect": False,
            # Without these the library tries the same place again and again before it says anything.
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "connect_timeout": CONNECT_TIMEOUT,
        }
        if self._side.bridge:
            return await self._inside(options, _Ending(closed))
        places = await self._places()
        random.shuffle(places)
        problem = ""
        for place in places:
            seen, ending = _Seen(), _Ending(closed)
            own = {**options, "error_cb": seen.take, "closed_cb": ending.take}
            try:
                return await ending.counted(await self._outside(place, own)), f"nats://{place}"
            except (OSError, nats.errors.Error, ValueError) as error:
                problem = f"{place}: {_words(seen.cause(error))}"
        raise DialError(problem or "no broker is known")

    async def _inside(self, options: dict[str, Any], ending: _Ending) -> tuple[LeanClient, str]:
        way = self._way_in
        if way is None:
            raise DialError("this process has no network broker")
        login = login_with(Path(way.credentials)) if way.credentials else {"user": way.user, "password": way.password}
        address = f"/proc/self/fd/{self._directory}/{way.socket}"
        client, seen = LeanClient({}), _Seen()
        try:
            await connected(address, {**login, **options, "error_cb": seen.take, "closed_cb": ending.take}, client)
        except (OSError, nats.errors.Error, NotReadyError) as error:
            raise DialError(_words(seen.cause(error))) from None
        return await ending.counted(client), "nats://bridge"

    async def _places(self) -> list[str]:
        side = self._side
        if side.servers:
            return list(side.servers)
        for record in side.srv:
            if found := await self._look_up(record):
                return list(found)
        return list(side.last_resort)

    async def _outside(self, place: str, options: dict[str, Any]) -> LeanClient:
        side = self._side
        login = await asyncio.to_thread(_login, side)
        files = login_with(Path(side.credentials)) if side.credentials else {}
        tls = await asyncio.to_thread(_context, side.tls) if side.tls else None
        scheme = "tls" if side.tls else "nats"
        client = LeanClient(login)
        try:
            with heeding_cancellation():
                await client.connect(f"{scheme}://{place}", tls=tls, **options, **files)
        except BaseException:
            await let_go(client, _LET_GO)
            raise
        return client


def _login(side: Side) -> Mapping[str, str | Callable[[str], str]]:
    """Return what Choria programs log in with beside a certificate.

    Raises:
        OSError: a file cannot be read.
        ValueError: it is none.
    """
    login: dict[str, str | Callable[[str], str]] = {}
    if side.user:
        login |= {"user": side.user, "pass": side.password.reveal() if side.password else ""}
    if side.token:
        token = _text(side.token)
        try:
            key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(_text(side.seed)))
        except ValueError:
            raise ValueError(f"{side.seed} holds no seed") from None

        def signed(nonce: str) -> str:
            return base64.urlsafe_b64encode(key.sign(nonce.encode())).rstrip(b"=").decode()

        login |= {"auth_token": token, "jwt": token, "sig": signed}
    return login


def _text(path: str) -> str:
    content = read_token_file(Path(path)).content
    if not content or len(content) > _LONGEST_TOKEN:
        raise ValueError(f"{path} cannot be read")
    return content.decode(errors="replace").strip()


def _context(tls: SideTls) -> ssl.SSLContext:
    """Make what TLS needs; certificates are accepted that Go accepts, as the engine and Choria's programs do."""
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
    except OSError as error:
        raise ValueError(f"{tls.ca}: {_words(error)}") from None
    # To Go each certificate of the file is an anchor, a site's intermediate CA too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # From Python 3.13 on certificates are refused to which a CA has not written all that RFC 5280 wants.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.certificate:
        try:
            context.load_cert_chain(tls.certificate, tls.key)
        except OSError as error:  # Those of TLS too; none of them names a file.
            raise ValueError(f"{tls.certificate} and {tls.key}: {_words(error)}") from None
    return context


def _words(error: BaseException) -> str:
    """Say what was wrong in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        told = (error.reason or "NOT_IN_PEM_FORM").rpartition("ALERT_")
        return f"{'the broker says' if told[0] else 'TLS says'}: {told[2].replace('_', ' ').lower()}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ConnectionError):
        return "the broker ended the connection; perhaps it does not accept the certificate, its log says why"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error).removeprefix("nats: ").strip() or type(error).__name__


class _Seen:
    """Takes the errors of a client; the end of its connection tells that there was one."""

    def __init__(self) -> None:
        self._first: Exception | None = None

    async def take(self, error: Exception) -> None:
        self._first = self._first or error

    def cause(self, error: Exception) -> Exception:
        """Return what led to an error: the library says only that no place is left."""
        return self._first or error


class _Ending:
    """Tells of the end of a client once it is connected: attempts that fail end too, and nobody is to hear of those.

    Args:
        closed: called when it has ended.
    """

    def __init__(self, closed: Callable[[], Awaitable[None]]) -> None:
        self._closed = closed
        self._counts = False

    async def take(self) -> None:
        """Take the word that the client has ended."""
        if self._counts:
            await self._closed()

    async def counted(self, client: LeanClient) -> LeanClient:
        """Have its end count from now on, and return the client."""
        self._counts = True
        if client.is_closed:
            await self._closed()
        return client
