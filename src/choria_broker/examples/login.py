"""Log in to a broker and tell whom it takes us for: ``python -m choria_broker.examples.login --server ...``."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import ssl
from pathlib import Path
from typing import Any

import nats
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.security.tokens_encoding import decode_base64url, encode_base64url

DEADLINE = 5.0
WHO_AM_I = "$SYS.REQ.USER.INFO"
"""What every program may ask of the engine."""


def _by_token(token: str, seed: str) -> dict[str, Any]:
    """Make the options of a client that holds a token: a signature as proof, and a subject of its own for replies."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    caller = json.loads(decode_base64url(token.split(".")[1]))["callerid"]
    return {
        "token": token,
        "signature_cb": lambda nonce: encode_base64url(key.sign(nonce.encode())).encode(),
        "inbox_prefix": f"mcollective.reply.{hashlib.sha256(caller.encode()).hexdigest()}",
    }


async def log_in(options: argparse.Namespace) -> dict[str, Any]:
    """Log in once and ask who we are.

    Raises:
        OSError, nats.errors.Error, TimeoutError: it did not work.
    """
    tls = ssl.create_default_context(cafile=str(options.ca))
    login: dict[str, Any] = {}
    if options.token:
        login = _by_token(options.token.read_text().strip(), options.seed.read_text().strip())
    else:
        tls.load_cert_chain(options.certificate, options.key)
    # One attempt: a broker that refuses us now will do so again.
    connection = await nats.connect(
        options.server,
        tls=tls,
        tls_hostname=options.name or None,
        name="login example",
        connect_timeout=int(DEADLINE),
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=1,
        **login,
    )
    try:
        answer = json.loads((await connection.request(WHO_AM_I, timeout=DEADLINE)).data)
        found: dict[str, Any] = answer["data"]
        return found
    finally:
        await connection.close()


def main() -> None:
    """Read the command line, log in, print who we are."""
    parser = argparse.ArgumentParser(description="Log in, and print as whom the broker accepts it.")
    parser.add_argument("--server", default="tls://127.0.0.1:4222", help="broker to connect to")
    parser.add_argument("--name", default="", help="name in the broker's certificate, unless the server's")
    parser.add_argument("--ca", type=Path, required=True, help="CA of the broker's certificate")
    parser.add_argument("--certificate", type=Path, help="certificate to show")
    parser.add_argument("--key", type=Path, help="its key")
    parser.add_argument("--token", type=Path, help="token to show instead")
    parser.add_argument("--seed", type=Path, help="seed of its holder")
    options = parser.parse_args()
    if not (options.token and options.seed) and not (options.certificate and options.key):
        parser.error("give --certificate and --key, or --token and --seed")
    # What the library has to say about a refusal is in the error too.
    logging.disable()
    try:
        told = asyncio.run(log_in(options))
    except (OSError, nats.errors.Error, TimeoutError) as error:
        parser.exit(1, f"refused: {str(error) or type(error).__name__}\n")
    # Who comes with a certificate has no user name in the engine.
    print(f"accepted {'as ' + told['user'] if told['user'] else 'by certificate'}, account {told['account']}")


if __name__ == "__main__":
    main()
