"""Checks a configuration, runs it, and looks which places are open: ``python visit.py CONFIG HOST:PORT ...``.

It is run where its caller cannot connect to, in a network namespace, and prints what it saw as one JSON document.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

DEADLINE = 60.0


def visit(config: Path, places: list[str]) -> dict[str, Any]:
    """Return exit statuses and output of ``check`` and ``run``, and for each place whether somebody listens there."""
    program = str(Path(sys.executable).parent / "choria-broker")
    checked = subprocess.run(  # noqa: S603 - the program under test
        [program, "check", "--config", config], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(f"{folder}/notify")
        notifications.settimeout(0.05)
        environment = {**os.environ, "NOTIFY_SOCKET": f"{folder}/notify", "XDG_RUNTIME_DIR": folder}
        with subprocess.Popen(  # noqa: S603 - the program under test
            [program, "run", "--config", config],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        ) as running:
            started = False
            while not started and running.poll() is None:
                with contextlib.suppress(TimeoutError):
                    started = notifications.recv(100) == b"READY=1"
            reached = {place: started and is_open(place) for place in places}
            if started:
                running.send_signal(signal.SIGTERM)
            output, _ = running.communicate(timeout=DEADLINE)
    return {
        "check": checked.returncode,
        "findings": checked.stderr,
        "run": running.returncode,
        "output": output,
        "started": started,
        "open": reached,
    }


def is_open(place: str) -> bool:
    """Tell whether somebody listens at ``HOST:PORT``, IPv6 in brackets."""
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    json.dump(visit(Path(sys.argv[1]), sys.argv[2:]), sys.stdout)
