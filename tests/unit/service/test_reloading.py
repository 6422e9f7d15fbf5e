"""What the process tells the service manager of a reload."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.service import systemd
from choria_broker.service.reloading import announced
from choria_broker.settings.broker import Settings
from choria_broker.settings.tls import Tls


class _Broker:
    settings = Settings(
        identity="broker.example.net",
        source=Path("/etc/choria/broker.conf"),
        tls=Tls(enabled=False, everywhere=False, verify_clients=False, files=None),
    )

    def __init__(self, *, stopping: bool) -> None:
        self.stopping = stopping
        self.summary = "3 connections. All is well."


@pytest.mark.parametrize("stopping", [False, True])
def test_a_reload_begins_and_ends_for_the_service_manager_unless_the_broker_stops(
    monkeypatch: pytest.MonkeyPatch, stopping: bool
) -> None:
    told: list[str] = []
    monkeypatch.setattr(systemd, "tell", told.append)
    with pytest.raises(LookupError), announced(_Broker(stopping=stopping)):
        assert told[0].startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert int(told[0].rpartition("=")[2]) > 0
        assert told[1:] == ["STATUS=Reloading the configuration."]
        raise LookupError
    assert told[2:] == ([] if stopping else ["READY=1", "STATUS=3 connections. All is well."])
