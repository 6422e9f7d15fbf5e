"""What a reload takes, with connections and without, and what it costs to watch files."""

from __future__ import annotations

import asyncio
import functools
import signal
import time
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.building import MeasurementError
from bench.load import connections
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import Server
from bench.workbench import Workbench
from choria_broker.broker import NetworkBroker
from choria_broker.host.limits import raise_file_limit
from support.minting import ORGANIZATION
from support.testbed import configuration

_SETTING = "plugin.choria.network.max_connections"
_FILES = 50
_ROUNDS = 200


def measure(bench: Workbench) -> list[Line]:
    """Measure a reload that changes a limit of the engine; then rounds over files that do not change."""
    return [*_reloads(bench), *_watching(bench)]


def _reloads(bench: Workbench) -> list[Line]:
    held = bench.scale.held
    if raise_file_limit(held) < held:
        return [LeftOut(f"Reload with {held:,} connections", "the open file limit is too low")]
    with bench.site.broker() as broker:
        sample = functools.partial(_reload, bench, broker)
        alone = [sample() for _ in range(bench.scale.turns + 1)][1:]
        with connections(bench.connector, bench.site, broker, held):
            crowded = [sample() for _ in range(bench.scale.turns + 1)][1:]
    measured = f"From SIGHUP until all is in force, {held:,} connections"
    return [Pairs(crowded, alone).row(measured, "no connections", _milliseconds)]


def _reload(bench: Workbench, broker: Server) -> float:
    """Change a setting, ask for a reload, and return the seconds until the service manager is told that it is over.

    Raises:
        MeasurementError: the broker did not reload.
    """
    if broker.told is None:
        raise MeasurementError("nobody listens to what the broker tells the service manager")
    file = bench.site.choria
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith(_SETTING)]
    file.write_text("\n".join([*lines, f"{_SETTING} = {40000 + time.monotonic_ns() % 10000}", ""]), encoding="utf-8")
    began = time.perf_counter()
    broker.processes[0].send_signal(signal.SIGHUP)
    said = b""
    try:
        while not said.startswith(b"RELOADING=1"):
            said = broker.told.recv(4096)
        while said != b"READY=1":
            said = broker.told.recv(4096)
    except TimeoutError as error:
        raise MeasurementError("the broker did not reload") from error
    return time.perf_counter() - began


def _watching(bench: Workbench) -> list[Line]:
    """Read the CPU of looks at files, against as many calls of stat."""
    folder = bench.site.folder / "watched"
    folder.mkdir()
    # Besides certificate, key and CA.
    files = [folder / f"signer{number}.pem" for number in range(_FILES - 3)]
    key = ORGANIZATION.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for file in files:
        file.write_bytes(key)
    broker = NetworkBroker.from_file(
        configuration(folder, bench.site.authority, network__client_signer_cert=", ".join(map(str, files)))
    )
    if len(broker.reloads.watched) != _FILES:
        raise MeasurementError(f"{len(broker.reloads.watched)} files are watched in place of {_FILES}")
    ours, theirs = in_turns(
        bench.scale.turns,
        functools.partial(_rounds, broker),
        functools.partial(_stats, broker.reloads.watched),
    )
    return [Pairs(ours, theirs).row(f"CPU of a look at {_FILES} files", f"{_FILES} calls of stat", _microseconds)]


def _rounds(broker: NetworkBroker) -> float:
    async def rounds() -> float:
        began = time.process_time()
        for _ in range(_ROUNDS):
            await broker.watcher.round()
        return (time.process_time() - began) / _ROUNDS

    return asyncio.run(rounds())


def _stats(files: tuple[Path, ...]) -> float:
    began = time.process_time()
    for _ in range(_ROUNDS):
        for file in files:
            file.stat()
    return (time.process_time() - began) / _ROUNDS


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"
