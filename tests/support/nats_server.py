"""Stock nats-servers beside the broker, and operators, accounts and users of NATS's decentralised login."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nats.aio.client import Client

from choria_broker.client_end import let_go
from support.testbed import Authority, Identity, OrderedClient, free_port, ignore_error

PROGRAM = Path(sys.executable).parent / "nats-server"
DEADLINE = 60.0

_SEED = 18 << 3
_PREFIXES = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
_UNLIMITED = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)


@dataclasses.dataclass(frozen=True, slots=True)
class Stock:
    """A running nats-server.

    Attributes:
        log: its log file.
    """

    log: Path

    async def logs(self, text: str) -> str:
        """Wait until a line of the log has a text in it, and return the line."""
        return await _line(self.log, text)


@contextlib.asynccontextmanager
async def stock(folder: Path, configuration: str) -> AsyncIterator[Stock]:
    """Run a nats-server with a configuration until the end of the context; it is ready on entry."""
    folder.mkdir(exist_ok=True)
    path, log = folder / "nats.conf", folder / "nats.log"
    path.write_text(configuration, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "-c", path, "-l", log, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _line(log, "Server is ready", process)
        yield Stock(log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _line(log: Path, text: str, process: asyncio.subprocess.Process | None = None) -> str:
    lines: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE):
            while process is None or process.returncode is None:
                lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
                if found := [line for line in lines if text in line]:
                    return found[0]
                await asyncio.sleep(0.02)  # A file of another program: there is no event to wait for.
    raise AssertionError(f"nats-server does not log {text!r}: {lines[-20:]}")


def tls_block(authority: Authority, own: Identity | None, more: str = "") -> str:
    """Write a ``tls`` block that trusts a CA, with a certificate or without one."""
    files = f"cert_file: {own.certificate}, key_file: {own.key}, " if own else ""
    return f"tls {{ {files}ca_file: {authority.ca}, {more} }}"


@contextlib.asynccontextmanager
async def plain(port: int, **options: Any) -> AsyncIterator[Client]:
    """Connect a client in clear text."""
    connection = OrderedClient()
    try:
        await connection.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False, error_cb=ignore_error, **options)
        yield connection
    finally:
        await let_go(connection)


class Signer:
    """An nkey: an operator, an account or a user.

    Attributes:
        public: its public key, as NATS writes it.
        seed: its private half, as NATS writes it.
    """

    def __init__(self, kind: str) -> None:
        """Make a key of this kind."""
        self._key = Ed25519PrivateKey.generate()
        self._kind = kind
        prefix, raw = _PREFIXES[kind], self._key.private_bytes_raw()
        self.public = _encoded(bytes([prefix]) + self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        self.seed = _encoded(bytes([_SEED | prefix >> 5, (prefix & 31) << 3]) + raw)

    def sign(self, nonce: str) -> bytes:
        """Answer a challenge, in the form the Python client sends."""
        return base64.b64encode(self._key.sign(nonce.encode()))

    def vouch(self, subject: Signer, name: str, **claims: Any) -> str:
        """Write a NATS JWT about a key, signed by this one."""
        now = int(time.time())
        body = {"jti": f"{name}-{now}", "iat": now - 60, "iss": self.public, "name": name, "sub": subject.public}
        expires = {"exp": claims.pop("exp")} if "exp" in claims else {}
        nats = {"type": subject._kind, "version": 2} | claims
        signed = ".".join(
            _base64url(json.dumps(part).encode())
            for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body | expires | {"nats": nats})
        )
        return f"{signed}.{_base64url(self._key.sign(signed.encode()))}"


def _encoded(raw: bytes) -> str:
    check = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + check).decode().rstrip("=")


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """A user of an account.

    Attributes:
        token: its JWT.
        key: its nkey.
    """

    token: str
    key: Signer

    def text(self) -> str:
        """Return the text of a credentials file as nsc writes it."""
        rule, parts = "-" * 5, (("NATS USER JWT", self.token), ("USER NKEY SEED", self.key.seed))
        return "".join(f"{rule}BEGIN {title}{rule}\n{text}\n{rule}-END {title}{rule}-\n\n" for title, text in parts)

    def credentials(self, path: Path) -> Path:
        """Write the credentials file."""
        path.write_text(self.text(), encoding="utf-8")
        return path

    def login(self) -> dict[str, Callable[..., bytes]]:
        """Return the options that have the Python client log in as this user."""
        return {"user_jwt_cb": self.token.encode, "signature_cb": self.key.sign}


class Operator:
    """An operator with accounts, as configuration of a nats-server with its resolver in memory."""

    def __init__(self, *accounts: str) -> None:
        """Make the operator, account SYS and these accounts."""
        self._key = Signer("operator")
        self._accounts = {name: Signer("account") for name in ("SYS", *accounts)}

    def public(self, account: str) -> str:
        """Return the public key of an account."""
        return self._accounts[account].public

    def user(self, account: str, **claims: Any) -> User:
        """Make a user of an account; claims are further ones, such as ``pub`` or ``exp``."""
        key, unlimited = Signer("user"), {"subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}
        return User(self._accounts[account].vouch(key, f"user of {account}", **(unlimited | claims)), key)

    def configuration(self) -> str:
        """Write the part of a nats-server's configuration that makes it trust this operator."""
        limits = {"limits": _UNLIMITED | {"wildcards": True}}
        preload = "".join(
            f"  {key.public}: {self._key.vouch(key, name, **limits)}\n" for name, key in self._accounts.items()
        )
        return (
            f"operator: {self._key.vouch(self._key, 'OPS')}\nsystem_account: {self.public('SYS')}\n"
            f"resolver: MEMORY\nresolver_preload: {{\n{preload}}}\n"
        )


class OperatorHub:
    """A nats-server with an operator, accounts OPS and LAB, and a listener for leafnodes that demands certificates.

    Attributes:
        operator: makes its users.
        port: of its clients, in clear text.
        listener: port of its leafnodes.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        """Make the operator and choose ports; nothing runs yet."""
        self.operator, self.port, self.listener = Operator("OPS", "LAB"), free_port(), free_port()
        self._folder = folder / "hub"
        own = authority.issue("nats.example.net", "localhost", "127.0.0.1")
        self._configuration = (
            f'server_name: hub\nlisten: "127.0.0.1:{self.port}"\n{self.operator.configuration()}'
            f'leafnodes {{ listen: "127.0.0.1:{self.listener}", {tls_block(authority, own, "verify: true")} }}\n'
        )

    def running(self) -> AbstractAsyncContextManager[Stock]:
        """Run it."""
        return stock(self._folder, self._configuration)

    def client(self, account: str) -> AbstractAsyncContextManager[Client]:
        """Connect a user of an account."""
        return plain(self.port, **self.operator.user(account).login())
