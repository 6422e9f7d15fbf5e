"""What children of the broker get to see of its environment."""

from __future__ import annotations

from choria_broker.host.environment import for_children


def test_a_child_cannot_speak_for_its_parent() -> None:
    ours = {
        "NOTIFY_SOCKET": "/run/systemd/notify",
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": "7",
        "LISTEN_FDS": "1",
        "LISTEN_PID": "7",
        "FDSTORE": "4",
    }
    assert for_children(ours | {"PATH": "/bin", "LANG": "C"}) == {"PATH": "/bin", "LANG": "C"}
