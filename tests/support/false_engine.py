"""A program that the broker takes for its engine, and that misbehaves as a test says."""

from __future__ import annotations

import sys
from pathlib import Path

_BEGINNING = '''#!{python}
import json, os, select, signal, socket, struct, sys, time

here = os.path.dirname(os.path.abspath(__file__))
gate = socket.socket(fileno=int(sys.argv[sys.argv.index("--gate-fd") + 1]))
with open(os.path.join(here, "false-engine.pid"), "w") as file:
    file.write(str(os.getpid()))


def raw(data):
    gate.sendall(data)


def frame(payload):
    raw(struct.pack(">I", len(payload)) + payload)


def send(kind, **fields):
    frame(json.dumps(dict(fields, type=kind)).encode())


def hello():
    send("hello", protocol={protocol}, engine="0", nats="2.15.2")


def ready():
    hello()
    send("ready", ports={{"client": 4222}})


def ask(number, deadline=None, **request):
    request = dict({{"connection_id": number, "kind": "client", "tls": "mtls", "address": "192.0.2.1"}}, **request)
    deadline = int(time.time() * 1000) + 1500 if deadline is None else deadline
    send("question", id=number, deadline=deadline, request=request)


def on():
    """Go on until the broker ends this, as an engine does whose gate is whole."""
    while gate.recv(65536):
        pass


'''


def false_engine(folder: Path, act: str, protocol: int) -> Path:
    """Write the program.

    Args:
        folder: where; ``false-engine.pid`` will be there once it runs.
        act: what it does, in Python, by means of what stands in ``_BEGINNING``.
        protocol: version of the gate protocol that it speaks.

    Returns:
        Its path.
    """
    path = folder / "false-engine"
    path.write_text(_BEGINNING.format(python=sys.executable, protocol=protocol) + act + "\n", encoding="utf-8")
    path.chmod(0o755)
    return path
