"""CPU of the broker for each question through the gate, against the decision alone."""

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
from choria_broker.engine.gate import frames
from choria_broker.security.keys import ed25519_verifies

_IN_FLIGHT = 128
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
        fresh.row("CPU per question through the gate: client token never seen", _ALONE, _written),
        untokened.row("CPU per question through the gate: certificate, no token", _ALONE, _written),
    ]


def _through_gate(asked: Sequence[ConnectRequest], *, issuers: bool = True) -> Callable[[], float]:
    wire = [_question(number, request) for number, request in enumerate(asked, 1)]

    def sample() -> float:
        ours, theirs = socket.socketpair()
        policy = "issuers" if issuers else "certificates"
        command = [sys.executable, "-m", "bench.gate_host", str(theirs.fileno()), policy]
        with ours, subprocess.Popen(command, cwd=ROOT, pass_fds=(theirs.fileno(),), stdout=subprocess.PIPE) as host:
            theirs.close()
            ours.settimeout(_DEADLINE)
            try:
                _engine(ours, wire)
                ours.close()
                told, _ = host.communicate(timeout=_DEADLINE)
            finally:
                host.kill()
        return float(told) / len(asked)

    return sample


def _engine(sock: socket.socket, wire: Sequence[dict[str, Any]]) -> None:
    """Ask every question, a number of them at a time, and see that each is answered with yes."""
    answers = _frames(sock)
    _send(sock, {"type": "hello", "protocol": frames.PROTOCOL, "engine": "bench", "nats": "none"})
    _send(sock, {"type": "ready", "ports": {}})
    if next(answers)["type"] != "hello":
        raise MeasurementError("the gate did not greet")
    for start in range(0, len(wire), _IN_FLIGHT):
        batch = wire[start : start + _IN_FLIGHT]
        deadline = int((time.time() + _DEADLINE) * 1000)
        _send(sock, *({**question, "deadline": deadline} for question in batch))
        for _ in batch:
            if not next(answers)["allow"]:
                raise MeasurementError("the gate refused a connection it should let in")


def _frames(sock: socket.socket) -> Iterator[dict[str, Any]]:
    stream = sock.makefile("rb")
    while True:
        (length,) = frames.LENGTH.unpack(stream.read(frames.LENGTH.size))
        yield json.loads(stream.read(length))


def _send(sock: socket.socket, *objects: dict[str, Any]) -> None:
    payloads = [json.dumps(content, separators=(",", ":")).encode() for content in objects]
    sock.sendall(b"".join(frames.LENGTH.pack(len(payload)) + payload for payload in payloads))


def _question(number: int, request: ConnectRequest) -> dict[str, Any]:
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
