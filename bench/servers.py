"""The servers under measurement: the broker as an operator runs it, the bare nats-server, and go-choria."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from bench import ROOT
from bench.building import MeasurementError, build
from support.minting import ORGANIZATION, hex_of
from support.testbed import Authority, Identity, configuration, free_port

_DEADLINE = 30.0
_GRACE = 15.0
_POLL = 0.001
_WORDS = 400
_PROGRAMS = Path(sys.executable).parent

Command = Sequence[str | Path]

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
        told: gets what it tells the service manager, None where nobody listens to that.
    """

    name: str
    port: int
    seconds: float
    processes: tuple[psutil.Process, ...]
    told: socket.socket | None = None

    def cpu(self) -> tuple[float, ...]:
        """Read the seconds of CPU each process has used, in user and kernel, to the nanosecond."""
        return tuple(time.clock_gettime(_cpu_clock(process.pid)) for process in self.processes)

    def resident(self) -> int:
        """Read the bytes of memory all processes have resident."""
        return sum(process.memory_info().rss for process in self.processes)


class Site:
    """Certificates and configuration files that all servers share.

    Attributes:
        folder: where they lie.
        authority: the CA.
        client: certificate of the clients.
        choria: configuration file of the broker.
        own: certificate of the servers.
        bare_program: the published nats-server.
        twin_program: nats-server of the engine's version, built with the engine's Go.
        environment: variables of the servers' processes.
    """

    def __init__(self, folder: Path) -> None:
        """Make them, and build the twin.

        Raises:
            MeasurementError: the twin could not be built.
        """
        self.folder = folder
        self.bare_program = _PROGRAMS / "nats-server"
        self.twin_program = folder / "nats-server"
        build(self.twin_program, "github.com/nats-io/nats-server/v2", module=ROOT / "engine")
        # As installed: with compiled modules, here in a folder that goes when the measurement does.
        self.environment = {**os.environ, "HOME": str(folder), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.authority = Authority(folder)
        self.client: Identity = self.authority.issue("client.example.net")
        self._port = free_port()
        # One file for the broker and for go-choria: both read the same language.
        self.choria = configuration(
            folder,
            self.authority,
            network__client_port=self._port,
            network__client_signer_cert=hex_of(ORGANIZATION),
            logfile=folder / "broker.log",
            loglevel="info",
        )
        self.own = Identity(folder / "broker.example.net.pem", folder / "broker.example.net.key")

    @contextlib.contextmanager
    def broker(self) -> Iterator[Server]:
        """Run the broker; it is ready when it says so to the service manager."""
        address = f"\0choria-broker-bench-{os.getpid()}-{os.urandom(8).hex()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(address)
            told.settimeout(_DEADLINE)
            environment = {**self.environment, "NOTIFY_SOCKET": "@" + address[1:]}
            with running(broker_command(self.choria), environment) as (process, began):
                while told.recv(4096) != b"READY=1":
                    continue
                seconds = time.perf_counter() - began
                yield Server(OURS, self._port, seconds, (process, *process.children()), told)

    def bare(self) -> AbstractContextManager[Server]:
        """Run the published nats-server with the broker's TLS files; it is ready when its port accepts."""
        return self._nats_server(BARE, self.bare_program)

    def twin(self) -> AbstractContextManager[Server]:
        """Run the twin with the broker's TLS files."""
        return self._nats_server(TWIN, self.twin_program)

    @contextlib.contextmanager
    def _nats_server(self, name: str, program: Path) -> Iterator[Server]:
        port = free_port()
        path = self.folder / f"{port}.conf"
        path.write_text(
            f"host: 127.0.0.1\nport: {port}\nmax_connections: 50000\n"
            f"tls {{\n  cert_file: {self.own.certificate}\n  key_file: {self.own.key}\n"
            f"  ca_file: {self.authority.ca}\n  verify: true\n}}\n",
            encoding="utf-8",
        )
        with running([program, "--config", path], self.environment) as (process, began):
            yield Server(name, port, until_open(port, process, began), (process,))

    @contextlib.contextmanager
    def go_choria(self, program: Path) -> Iterator[Server]:
        """Run go-choria's broker on a port of its own; it is ready when that accepts."""
        port = free_port()
        path = self.folder / "go-choria.conf"
        text = self.choria.read_text(encoding="utf-8")
        text = text.replace(f"client_port = {self._port}\n", f"client_port = {port}\n")
        path.write_text(text.replace("broker.log", "go-choria.log"), encoding="utf-8")
        with running([program, "broker", "run", "--config", path], self.environment) as (process, began):
            yield Server(GO_CHORIA, port, until_open(port, process, began), (process,))


def broker_command(configuration: Path) -> Command:
    """Return the command that runs the broker."""
    return [_PROGRAMS / "choria-broker", "run", "--config", configuration]


@contextlib.contextmanager
def running(command: Command, environment: Mapping[str, str]) -> Iterator[tuple[psutil.Process, float]]:
    """Run a server, and end it with the context; yields the process and when it was started.

    Raises:
        MeasurementError: as inside, and with the server's last words when it ended by itself.
    """
    with tempfile.TemporaryFile() as words:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,  # As services: kernels share the processor by session, and the engine has its own.
        )
        try:
            yield psutil.Process(process.pid), began
        except (MeasurementError, TimeoutError) as error:
            if process.poll() is None:
                raise
            words.seek(0)
            last = words.read().decode(errors="replace")[-_WORDS:]
            raise MeasurementError(f"{error}; a server ended by itself: {' '.join(last.split())}") from error
        finally:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until_open(port: int, process: psutil.Process, began: float) -> float:
    """Wait until a port of a server on loopback accepts, and return the seconds since it was started.

    Raises:
        MeasurementError: it does not.
    """
    while time.perf_counter() - began < _DEADLINE and process.status() != psutil.STATUS_ZOMBIE:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return time.perf_counter() - began
        time.sleep(_POLL)
    raise MeasurementError(f"nothing listens on port {port} after {time.perf_counter() - began:.0f} s")


def _cpu_clock(pid: int) -> int:
    """Number the clock that counts the CPU of a process, as clock_getcpuclockid does, which Python does not have."""
    return (~pid << 3) | 2
