"""A trial: a broker of its own on loopback, with the certificate of the real one, and clients that log in."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.capacity.estimate import Sample
from choria_broker.control.client import ControlError, ask_status
from choria_broker.host.environment import for_children
from choria_broker.security import issuing, signing
from choria_broker.security.token_permissions import ClientPermission
from choria_broker.security.tokens_encoding import encode_base64url
from choria_broker.settings.broker import Settings
from choria_broker.upgrade.program import Program, this_program

SECONDS = 2.0
"""How long is measured."""

MOST = 500
"""Connections that are opened; each takes a descriptor."""

_READY, _STOP, _ANSWER = 60.0, 15.0, 20.0
_CLIENTS, _FAILURES = 4, 20
_KEPT = ("plugin.security.cipher_suites", "plugin.security.ecc_curves", "plugin.choria.network.tls_key_processes")
"""Settings of the real broker that a handshake depends on."""


class TrialError(Exception):
    """Nothing could be measured; the message is one sentence."""


def trial(settings: Settings, *, seconds: float = SECONDS, program: Program | None = None) -> Sample:
    """Measure what logins cost with the certificate of a broker; that may run meanwhile, or not.

    Args:
        settings: of the broker.
        seconds: how long to measure.
        program: how a broker is started; None for as this program was.

    Raises:
        TrialError: nothing could be measured.
    """
    signer = Ed25519PrivateKey.generate()
    with tempfile.TemporaryDirectory(prefix="choria-broker-capacity-") as name:
        folder = Path(name)
        config = folder / "broker.conf"
        config.write_text(configuration(settings, signing.public_hex(signer), folder), encoding="utf-8")
        with _running(program or this_program(), config) as process:
            try:
                port = ask_status(config).ports["client"]
            except (ControlError, KeyError) as error:
                raise TrialError(f"the broker for the trial does not say where it listens: {error}") from error
            crowd = _Crowd(port, signer)
            crowd.come(time.monotonic() + 60.0, 2 * _CLIENTS)  # The first of everything costs more.
            pids = [process.pid, *(each.pid for each in psutil.Process(process.pid).children(recursive=True))]
            before = [_cpu(pid) for pid in pids]
            logins = crowd.come(time.monotonic() + seconds, MOST)
            used = [_cpu(pid) - early for pid, early in zip(pids, before, strict=True)]
            crowd.leave()
    if not logins:
        raise TrialError(f"nobody could log in: {crowd.failure}")
    return Sample(logins, len(os.sched_getaffinity(0)), sum(used), used[0])


def configuration(settings: Settings, signer: str, folder: Path) -> str:
    """Write the configuration of the trial's broker.

    Args:
        settings: of the real one.
        signer: public key that signs the clients' tokens, in hex.
        folder: for its log.

    Raises:
        TrialError: the real one has no TLS.
    """
    files = settings.tls.files
    if not settings.tls.enabled or files is None:
        raise TrialError("TLS is off, so there is no certificate to measure")
    values: dict[str, object] = {
        "identity": settings.identity,
        "logfile": folder / "broker.log",
        "plugin.choria.broker_network": "true",
        "plugin.choria.use_srv": "false",
        "plugin.choria.network.listen_address": "127.0.0.1",
        "plugin.choria.network.client_port": 0,
        "plugin.choria.network.tls_timeout": "60s",
        "plugin.choria.network.auth_timeout": "60s",
        "plugin.choria.network.client_signer_cert": signer,
        "plugin.security.provider": "file",
        "plugin.security.file.certificate": files.certificate,
        "plugin.security.file.key": files.key,
        **({"plugin.security.file.ca": files.ca} if files.ca else {}),
        **{key: settings.raw[key] for key in _KEPT if key in settings.raw},
    }
    return "".join(f"{key} = {value}\n" for key, value in values.items())


@contextlib.contextmanager
def _running(program: Program, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a broker that is ready."""
    address = f"\0choria-broker-capacity-{os.getpid()}-{secrets.token_hex(8)}"
    environment = for_children(os.environ)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, tempfile.TemporaryFile() as words:
        told.bind(address)
        told.settimeout(1.0)
        process = subprocess.Popen(  # noqa: S603 - the program that this process runs too
            program.command("run", "--config", str(config)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            env={**environment, "NOTIFY_SOCKET": "@" + address[1:]},
            start_new_session=True,
        )
        try:
            if not _ready(told, process):
                words.seek(0)
                said = words.read().decode(errors="replace").strip().splitlines()
                raise TrialError(f"the broker for the trial does not start: {said[-1] if said else 'it says nothing'}")
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(told: socket.socket, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _READY
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in told.recv(4096):
                return True
    return False


class _Crowd:
    """Clients that log in, each with a token that the broker never saw.

    Attributes:
        failure: why the last login failed that did, empty when none has.
    """

    def __init__(self, port: int, signer: Ed25519PrivateKey) -> None:
        self.failure = ""
        self._port, self._signer = port, signer
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The broker is our own child.
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._open: list[ssl.SSLSocket] = []
        self._lock = threading.Lock()

    def come(self, until: float, most: int) -> int:
        """Log in again and again until a moment of the monotonic clock, and return how many did."""
        before = len(self._open)

        def client() -> None:
            failures = 0
            while time.monotonic() < until and len(self._open) - before < most and failures < _FAILURES:
                try:
                    made = self._login()
                except (OSError, ValueError) as error:
                    self.failure = str(error) or type(error).__name__
                    failures += 1
                    continue
                with self._lock:
                    self._open.append(made)

        clients = [threading.Thread(target=client, daemon=True) for _ in range(_CLIENTS)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        return len(self._open) - before

    def leave(self) -> None:
        """Hang up."""
        for each in self._open:
            each.close()

    def _login(self) -> ssl.SSLSocket:
        key = Ed25519PrivateKey.generate()
        raw = socket.create_connection(("127.0.0.1", self._port), timeout=_ANSWER)
        try:
            with raw.makefile("rb") as lines:
                nonce = json.loads(lines.readline().removeprefix(b"INFO "))["nonce"]
            secured = self._context.wrap_socket(raw)
        except BaseException:
            raw.close()
            raise
        try:
            secured.sendall(f"CONNECT {json.dumps(self._words(key, nonce))}\r\nPING\r\n".encode())
            with secured.makefile("rb") as lines:
                _wait_for_answer(lines)
        except BaseException:
            secured.close()
            raise
        return secured

    def _words(self, key: Ed25519PrivateKey, nonce: str) -> Mapping[str, object]:
        now = int(time.time())
        grant = issuing.ClientGrant(
            caller="up=capacity",
            public_key=signing.public_hex(key),
            permissions=(ClientPermission.FLEET_MANAGEMENT,),
        )
        birth = issuing.Birth(now - 60, now + 3600, secrets.token_bytes(16))
        token = issuing.issue(grant, self._signer, birth)
        return {
            "verbose": False,
            "pedantic": False,
            "tls_required": True,
            "protocol": 1,
            "headers": True,
            "no_responders": True,
            "name": "capacity",
            "lang": "python",
            "version": "1",
            "auth_token": token,
            "jwt": token,
            "sig": encode_base64url(key.sign(nonce.encode())),
        }


def _wait_for_answer(lines: Iterable[bytes]) -> None:
    """Read until a login is answered.

    Raises:
        ValueError: it was refused.
        ConnectionResetError: the connection was closed.
    """
    for line in lines:
        if line.startswith(b"PONG"):
            return
        if line.startswith(b"-ERR"):
            raise ValueError(line.decode(errors="replace").strip())
    raise ConnectionResetError("the connection was closed")


def _cpu(pid: int) -> float:
    """Read the seconds of CPU that a process has used, by the clock that counts them; see clock_getcpuclockid."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0  # It has ended.
