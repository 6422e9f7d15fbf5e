"""Publish and subscribe over mTLS: ``python -m choria_broker.examples.pubsub --server tls://127.0.0.1:4222 ...``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import ssl
from pathlib import Path

import nats

SUBJECT = "demo.greeting"
DEADLINE = 5.0


async def converse(server: str, *, ca: Path, certificate: Path, key: Path, text: str) -> str:
    """Send a text to ourselves through a broker.

    Args:
        server: URL of the broker.
        ca: PEM file of the CA that signed the broker's certificate.
        certificate: PEM file of our own certificate.
        key: PEM file of our own key.
        text: what to send.

    Returns:
        What arrived.

    Raises:
        TimeoutError: nothing arrived in time.
    """
    tls = ssl.create_default_context(cafile=str(ca))
    tls.load_cert_chain(certificate, key)
    # One attempt: a broker that refuses us now will do so again.
    connection = await nats.connect(
        server,
        tls=tls,
        name="pubsub example",
        connect_timeout=int(DEADLINE),
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=1,
    )
    try:
        subscription = await connection.subscribe(SUBJECT)
        await connection.publish(SUBJECT, text.encode())
        message = await subscription.next_msg(timeout=DEADLINE)
        return message.data.decode()
    finally:
        await connection.close()


def main() -> None:
    """Read the command line, send one message, print what arrived."""
    parser = argparse.ArgumentParser(description="Publish and subscribe over mTLS.")
    parser.add_argument("--server", default="tls://127.0.0.1:4222", help="broker to connect to")
    parser.add_argument("--folder", type=Path, default=Path(".run"), help="has ca.pem, client.pem, client.key")
    parser.add_argument("--text", default="hello from Python", help="text to send")
    options = parser.parse_args()
    folder = options.folder
    # When a TLS connection closes, asyncio warns of how the client library answers; nobody has to act on that.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    arrived = asyncio.run(
        converse(
            options.server,
            ca=folder / "ca.pem",
            certificate=folder / "client.pem",
            key=folder / "client.key",
            text=options.text,
        )
    )
    print(f"sent and received on {SUBJECT}: {arrived}")


if __name__ == "__main__":
    main()
