"""The load: connections made by a small Go program, and tokens for them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import ROOT
from bench.building import MeasurementError, build
from bench.servers import Server, Site
from support.minting import client, hex_of, ksuid, mint


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """A client token and the seed of its holder's key as hex."""

    token: str
    seed: str


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a number of connections; times in milliseconds.

    Attributes:
        connected: how many were let in.
        failed: how many were not.
        failure: why the last of them was not.
        seconds: from the first start to the last answer.
        late_p99_ms: how far the load itself was behind its plan.
        answer_p50_ms: median from CONNECT to PONG.
        answer_p99_ms: from CONNECT to PONG, all but the slowest in a hundred.
        answer_longest_ms: the slowest of all.
        whole_p99_ms: from dialling to PONG.
    """

    connected: int
    failed: int
    failure: str
    seconds: float
    late_p99_ms: float
    answer_p50_ms: float
    answer_p99_ms: float
    answer_longest_ms: float
    whole_p99_ms: float


def build_connector(folder: Path) -> Path:
    """Build the program that makes connections, and return its path.

    Raises:
        MeasurementError: there is no Go, or it failed.
    """
    program = folder / "connector"
    build(program, ROOT / "bench" / "connector" / "main.go")
    return program


@contextlib.contextmanager
def connections(
    program: Path,
    site: Site,
    server: Server,
    count: int,
    *,
    logins: Sequence[Login] = (),
    rate: float = 0,
    post_quantum: bool = False,
) -> Iterator[Outcome]:
    """Open connections and keep them until the end of the context.

    Args:
        program: the load program.
        site: where the certificates are.
        server: whom to connect to.
        count: how many.
        logins: tokens to log in with, in turn; without any, the client certificate is presented.
        rate: connections per second; 0 for eight workers that go as fast as they are let in.
        post_quantum: offer the post-quantum key exchange too, which Choria programs do not.

    Raises:
        MeasurementError: not every connection was let in, or it took too long.
    """
    command: list[str | Path] = [program, "-address", f"127.0.0.1:{server.port}", "-ca", site.authority.ca]
    command += ["-count", str(count), "-rate", str(rate), *(["-post-quantum"] if post_quantum else [])]
    with contextlib.ExitStack() as stack:
        if logins:
            file = stack.enter_context(tempfile.NamedTemporaryFile("w", dir=site.folder, suffix=".json"))
            json.dump([dataclasses.asdict(login) for login in logins], file)
            file.flush()
            command += ["-logins", file.name]
        else:
            command += ["-cert", site.client.certificate, "-key", site.client.key]
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        )
        try:
            yield _outcome(process, server, count)
        finally:
            process.kill()


def _outcome(process: subprocess.Popen[bytes], server: Server, count: int) -> Outcome:
    # The program bounds each connection itself, so this line comes.
    line = process.stdout.readline() if process.stdout else b""
    if not line:
        raise MeasurementError(f"the load program ended early against {server.name}")
    outcome = Outcome(**json.loads(line))
    if outcome.connected != count:
        raise MeasurementError(f"{server.name} let {outcome.connected} of {count} connections in: {outcome.failure}")
    return outcome


def fresh_logins(count: int) -> list[Login]:
    """Make client tokens that no server has seen, each with a key of its own, all signed by the trusted signer."""
    now = int(time.time())
    made = []
    for number in range(count):
        key = Ed25519PrivateKey.generate()
        claims = client(
            callerid=f"up=user{number}",
            public_key=hex_of(key),
            iat=now - 60,
            nbf=now - 60,
            exp=now + 3600,
            jti=ksuid(now - 60, random=number + 1),
            permissions={"fleet_management": True},
        )
        made.append(Login(mint(claims), key.private_bytes_raw().hex()))
    return made
