"""CPU of the Python process for each connection, from question to log line, against the decision alone."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench import ROOT, policy_load
from bench.building import MeasurementError
from bench.decisions import rate, unknowing
from bench.results import Line, alternate
from bench.workbench import Workbench
from choria_broker.access.request import ConnectRequest
from choria_broker.engine.gate import codec, frames
from choria_broker.security.keys import ed25519_verifies

_IN_FLIGHT = 128
_PACED = 20
_DEADLINE = 60.0
_ALONE = "decide() alone"


def measure(bench: Workbench) -> list[Line]:
    """Measure a gate that a stand-in for the engine asks, with several questions in flight."""
    count, turns = bench.scale.decisions, bench.scale.turns
    tokens, certificates = policy_load.with_tokens(count), policy_load.with_certificates(count * 5)
    plain = policy_load.policy(ed25519_verifies, issuers=False)
    fresh = alternate(turns, _through_gate(tokens), lambda: 1 / rate(tokens, unknowing()))
    untokened = alternate(turns, _through_gate(certificates, issuers=False), lambda: 1 / rate(certificates, plain))
    return [
        fresh.row(
            "CPU of Python per connection, from question to log line: client token never seen",
            _ALONE,
            _written,
            aim="60 µs",
        ),
        untokened.row("CPU of Python per connection, from question to log line: certificate", _ALONE, _written),
    ]


def _through_gate(asked: Sequence[ConnectRequest], *, issuers: bool = True) -> Callable[[], float]:
    wire = [question(number, request) for number, request in enumerate(asked, 1)]

    return lambda: hosted(wire, issuers=issuers)[0] / len(asked)


def hosted(wire: Sequence[dict[str, Any]], *, issuers: bool = True, per_second: float = 0.0) -> tuple[float, int, int]:
    """Put questions to a broker's side of the gate in a process of its own.

    Args:
        wire: the questions, as ``question`` makes them.
        issuers: its policy has organization issuers; without them certificates are enough.
        per_second: how many in each second; 0 for as many as are answered.

    Returns:
        What ``gate_host`` tells.

    Raises:
        MeasurementError: one was refused.
    """
    ours, theirs = socket.socketpair()
    policy = "issuers" if issuers else "certificates"
    command = [sys.executable, "-m", "bench.gate_host", str(theirs.fileno()), policy]
    with ours, subprocess.Popen(command, cwd=ROOT, pass_fds=(theirs.fileno(),), stdout=subprocess.PIPE) as host:
        theirs.close()
        ours.settimeout(_DEADLINE)
        try:
            _engine(ours, wire, per_second)
            ours.close()
            told, _ = host.communicate(timeout=_DEADLINE)
        finally:
            host.kill()
    used, settled, resident = told.split()
    return float(used), int(settled), int(resident)


def _engine(sock: socket.socket, wire: Sequence[dict[str, Any]], per_second: float) -> None:
    """Ask every question, a number of them at a time, and see that each is answered with yes."""
    answers = _frames(sock)
    _send(sock, {"type": "hello", "protocol": frames.PROTOCOL, "engine": "bench", "nats": "none"})
    _send(sock, {"type": "ready", "ports": {}})
    if next(answers)["type"] != "hello":
        raise MeasurementError("the gate did not greet")
    size = _PACED if per_second else _IN_FLIGHT
    began = time.monotonic()
    for start in range(0, len(wire), size):
        if per_second:
            time.sleep(max(0.0, began + start / per_second - time.monotonic()))
        batch = wire[start : start + size]
        deadline = int((time.time() + _DEADLINE) * 1000)
        _send(sock, *({**question, "deadline": deadline} for question in batch))
        open_ones = []
        for _ in batch:
            answer = next(answers)
            if not answer["allow"]:
                raise MeasurementError("the gate refused a connection it should let in")
            if answer["proof"]:
                open_ones.append(answer["id"])  # Questions have the numbers of their connections here.
        if open_ones:
            _send(sock, {"type": "admitted", "connections": open_ones})


def _frames(sock: socket.socket) -> Iterator[dict[str, Any]]:
    stream = sock.makefile("rb")
    while True:
        (length,) = codec.LENGTH.unpack(stream.read(codec.LENGTH.size))
        yield json.loads(stream.read(length))


def _send(sock: socket.socket, *objects: dict[str, Any]) -> None:
    payloads = [json.dumps(content, separators=(",", ":")).encode() for content in objects]
    sock.sendall(b"".join(codec.LENGTH.pack(len(payload)) + payload for payload in payloads))


def question(number: int, request: ConnectRequest) -> dict[str, Any]:
    """Write a question as the engine does, without its deadline."""
    asked: dict[str, Any] = {
        "connection_id": number,
        "kind": request.kind.value,
        "tls": request.tls.value,
        "address": request.address,
        "nonce": request.nonce,
        "token": request.token,
        "jwt": request.jwt,
        "signature": request.signature,
    }
    if request.certificate:
        asked["certificate"] = {
            "common_name": request.certificate.common_name,
            "serial": "42" * 16,
            "issuer": "CN=bench",
            "fingerprint": "ab" * 32,
        }
    return {"type": "question", "id": number, "request": asked}


def _written(seconds: float) -> str:
    return f"{seconds * 1_000_000:.0f} µs"
