"""TLS handshakes with each listener of a broker, and no more: what it presents, and whom it takes."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509

from choria_broker.broker import NetworkBroker
from support.testbed import Authority, Identity

DEADLINE = 60.0
_TELLS_FIRST = ("client", "leafnode")
"""Listeners that say INFO before TLS."""


def trusting(*authorities: Authority | Path, identity: Identity | None = None) -> ssl.SSLContext:
    """Client side of TLS that has the answer of the broker to its certificate within the handshake."""
    context = ssl.create_default_context()
    # From Python 3.13 on the default; it wants extensions that the plain certificates of tests do not have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for each in authorities:
        context.load_verify_locations(each if isinstance(each, Path) else each.ca)
    if identity:
        context.load_cert_chain(identity.certificate, identity.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def serial(certificate: Path) -> int:
    """Serial number of the first certificate in a file."""
    return x509.load_pem_x509_certificates(certificate.read_bytes())[0].serial_number


@dataclasses.dataclass(frozen=True)
class Doors:
    """The listeners of a running broker by their names."""

    ports: Mapping[str, int]

    @classmethod
    def of(cls, broker: NetworkBroker) -> Doors:
        """Take all listeners that speak TLS."""
        return cls({name: port for name, port in vars(broker.ports).items() if port})

    async def presented(self, context: ssl.SSLContext) -> dict[str, int]:
        """Return the serial number of the certificate of each listener; ssl.SSLError where none is agreed on."""
        return {name: await handshake(port, context, plain=name in _TELLS_FIRST) for name, port in self.ports.items()}

    async def takers(self, context: ssl.SSLContext) -> set[str]:
        """Return the listeners that finish a handshake with the certificate of a context."""
        took = set()
        for name, port in self.ports.items():
            try:
                await handshake(port, context, plain=name in _TELLS_FIRST)
            except (ssl.SSLError, ConnectionError):
                continue
            took.add(name)
        return took

    async def sessions(self, context: ssl.SSLContext) -> dict[str, ssl.SSLSession | None]:
        """Return the TLS session that each listener has given, which may stand for a handshake later."""
        return {
            name: await asyncio.to_thread(_session, port, context, None, plain=name in _TELLS_FIRST)
            for name, port in self.ports.items()
        }

    async def resumers(self, context: ssl.SSLContext, sessions: Mapping[str, ssl.SSLSession | None]) -> set[str]:
        """Return the listeners that finish a handshake with the session that they have given."""
        took = set()
        for name, port in self.ports.items():
            try:
                await asyncio.to_thread(_session, port, context, sessions[name], plain=name in _TELLS_FIRST)
            except (ssl.SSLError, ConnectionError):
                continue
            took.add(name)
        return took


def _session(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None, *, plain: bool
) -> ssl.SSLSession | None:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as raw:
        while plain and raw.recv(1) != b"\n":
            pass
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as secured:
            return secured.session


async def handshake(port: int, context: ssl.SSLContext, *, plain: bool) -> int:
    """Finish one handshake and hang up; returns the serial number of the certificate that was presented."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
        try:
            if plain:
                await reader.readline()
            await writer.start_tls(context, server_hostname="localhost")
            der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return x509.load_der_x509_certificate(der).serial_number
        finally:
            writer.transport.abort()
