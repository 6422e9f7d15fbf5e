"""Finding out who answers at a peer port: what nats-server says of itself before anybody has to log in."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable

import msgspec

from choria_broker.host.lookup import addresses
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.tls import Tls

DEADLINE = 2.0
"""Seconds to connect and be told."""

MOST = 8
"""Ports that are asked at a time."""
_INFO = b"INFO "
_LONGEST = 1 << 15
"""Bytes of the first line."""


class _Info(msgspec.Struct):
    server_id: str = ""
    server_name: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What came of asking at a place.

    Attributes:
        server: id of the server that answered, empty when none did.
        name: its name, as it says; its id if it says none.
        nowhere: there is no such host; None where name servers did not say in time.
        addresses: those of the host.
    """

    server: str = ""
    name: str = ""
    nowhere: bool | None = None
    addresses: tuple[str, ...] = ()


_NO_SUCH_HOST = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def tls_context(tls: Tls) -> ssl.SSLContext | None:
    """Return how to connect to peer ports with the broker's certificate, None without one. It reads files.

    The name in the other side's certificate does not matter: it is only compared who that says it is.

    Raises:
        OSError: a file cannot be used.
    """
    if tls.files is None or tls.files.ca is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(tls.files.ca)
    context.load_cert_chain(tls.files.certificate, tls.files.key)
    return context


async def servers_at(
    places: Iterable[Endpoint], context: ssl.SSLContext | None, deadline: float = DEADLINE
) -> dict[Endpoint, Answer]:
    """Return who answers, by place; all are asked at once.

    Args:
        places: peer ports. Of many only the first ``MOST`` are asked.
        context: how TLS is used, None for clear text.
        deadline: seconds for all.
    """
    asked = tuple(places)[:MOST]
    found = await asyncio.gather(*(_server_at(place, context, deadline) for place in asked))
    return dict(zip(asked, found, strict=True))


async def _server_at(place: Endpoint, context: ssl.SSLContext | None, deadline: float) -> Answer:
    name = place.host.partition("%")[0] if context else None
    nowhere: bool | None = None
    found: tuple[str, ...] = ()
    try:
        async with asyncio.timeout(deadline):
            found = await addresses(place.host, place.port)
            nowhere = False
            reader, writer = await _connected(found, place.port, context, name)
            try:
                line = await reader.readline()
            finally:
                writer.transport.abort()
        if line.startswith(_INFO):
            info = msgspec.json.decode(line.removeprefix(_INFO), type=_Info)
            return Answer(info.server_id, info.server_name or info.server_id, nowhere, found)
    except socket.gaierror as error:
        return Answer(nowhere=True if error.errno in _NO_SUCH_HOST else None)
    except (OSError, TimeoutError, ValueError, EOFError):
        pass
    return Answer(nowhere=nowhere, addresses=found)


async def _connected(
    found: Iterable[str], port: int, context: ssl.SSLContext | None, name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first of some addresses that takes it."""
    failure: OSError | None = None
    for address in found:
        try:
            return await asyncio.open_connection(address, port, ssl=context, server_hostname=name, limit=_LONGEST)
        except OSError as error:
            failure = error
    raise failure or OSError("no address")
