"""The servers under measurement: the broker as an operator runs it, the bare nats-server, and go-choria."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from bench import ROOT
from bench.building import build
from testbed import Authority, Identity, configuration, free_port
from unit.security.minting import ORGANIZATION, hex_of

_DEADLINE = 30.0
_GRACE = 15.0
_POLL = 0.001
_PROGRAMS = Path(sys.executable).parent

OURS = "broker"
BARE = "bare nats-server"
TWIN = "twin nats-server"
GO_CHORIA = "go-choria"


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready.

    Attributes:
        name: how tables call it.
        port: its client port on 127.0.0.1.
        seconds: from its start until it was ready.
        processes: its processes, the one that was started first.
    """

    name: str
    port: int
    seconds: float
    processes: tuple[psutil.Process, ...]

    def cpu(self) -> tuple[float, ...]:
        """Read the seconds of CPU each process has used, in user and kernel."""
        times = [process.cpu_times() for process in self.processes]
        return tuple(used.user + used.system for used in times)

    def resident(self) -> int:
        """Read the bytes of memory all processes have resident."""
        return sum(process.memory_info().rss for process in self.processes)


class Site:
    """Certificates and configuration files that all servers share.

    Attributes:
        folder: where they lie.
        authority: the CA.
        client: certificate of the clients.
    """

    def __init__(self, folder: Path) -> None:
        """Make them, and the twin: nats-server of the engine's version, built with the engine's Go.

        Raises:
            MeasurementError: the twin could not be built.
        """
        self.folder = folder
        self._twin = folder / "nats-server"
        build(self._twin, "github.com/nats-io/nats-server/v2", module=ROOT / "engine")
        self.authority = Authority(folder)
        self.client: Identity = self.authority.issue("client.example.net")
        self._port = free_port()
        # One file for the broker and for go-choria: both read the same language.
        self._choria = configuration(
            folder,
            self.authority,
            network__client_port=self._port,
            network__client_signer_cert=hex_of(ORGANIZATION),
            logfile=folder / "broker.log",
            loglevel="info",
        )
        self._own = Identity(folder / "broker.example.net.pem", folder / "broker.example.net.key")

    @contextlib.contextmanager
    def broker(self) -> Iterator[Server]:
        """Run the broker; it is ready when it says so to the service manager."""
        address = f"\0choria-broker-bench-{os.getpid()}-{os.urandom(8).hex()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(address)
            told.settimeout(_DEADLINE)
            environment = {**os.environ, "NOTIFY_SOCKET": "@" + address[1:]}
            # As installed: with compiled modules, here in a folder that goes when the measurement does.
            environment["PYTHONPYCACHEPREFIX"] = str(self.folder / "compiled")
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            command: list[str | Path] = [_PROGRAMS / "choria-broker", "run", "--config", self._choria]
            with _running(command, environment) as (process, began):
                while told.recv(4096) != b"READY=1":
                    continue
                seconds = time.perf_counter() - began
                yield Server(OURS, self._port, seconds, (process, *process.children()))

    def bare(self) -> AbstractContextManager[Server]:
        """Run the published nats-server with the broker's TLS files; it is ready when its port accepts."""
        return self._nats_server(BARE, _PROGRAMS / "nats-server")

    def twin(self) -> AbstractContextManager[Server]:
        """Run the twin with the broker's TLS files."""
        return self._nats_server(TWIN, self._twin)

    @contextlib.contextmanager
    def _nats_server(self, name: str, program: Path) -> Iterator[Server]:
        port = free_port()
        path = self.folder / f"{port}.conf"
        path.write_text(
            f"host: 127.0.0.1\nport: {port}\nmax_connections: 50000\n"
            f"tls {{\n  cert_file: {self._own.certificate}\n  key_file: {self._own.key}\n"
            f"  ca_file: {self.authority.ca}\n  verify: true\n}}\n",
            encoding="utf-8",
        )
        with _running([program, "--config", path], dict(os.environ)) as (process, began):
            yield Server(name, port, _until_open(port, began), (process,))

    @contextlib.contextmanager
    def go_choria(self, program: Path) -> Iterator[Server]:
        """Run go-choria's broker on a port of its own; it is ready when that accepts."""
        port = free_port()
        path = self.folder / "go-choria.conf"
        text = self._choria.read_text(encoding="utf-8")
        text = text.replace(f"client_port = {self._port}\n", f"client_port = {port}\n")
        path.write_text(text.replace("broker.log", "go-choria.log"), encoding="utf-8")
        command: list[str | Path] = [program, "broker", "run", "--config", path]
        with _running(command, {**os.environ, "HOME": str(self.folder)}) as (process, began):
            yield Server(GO_CHORIA, port, _until_open(port, began), (process,))


@contextlib.contextmanager
def _running(command: list[str | Path], environment: dict[str, str]) -> Iterator[tuple[psutil.Process, float]]:
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # As services: kernels share out the processor by session, and the engine has its own.
    )
    try:
        yield psutil.Process(process.pid), began
    finally:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_open(port: int, began: float) -> float:
    while time.perf_counter() - began < _DEADLINE:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return time.perf_counter() - began
        time.sleep(_POLL)
    raise TimeoutError(f"nothing listens on port {port} after {_DEADLINE:.0f} s")
