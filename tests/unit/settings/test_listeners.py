from __future__ import annotations

import pytest

from choria_broker.announcements import announcements
from choria_broker.engine.conf.render import render
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.listeners import ENGINE_LISTENERS
from support.scenario import NET, base

LEFT_OUT = (
    f"{NET}gateway_port = 7222",
    f"{NET}gateway_remotes = LON",
    f"{NET}gateway_remote.LON.urls = gw.example.net:0",
)


def test_a_gateway_whose_remotes_were_all_left_out_listens_nowhere() -> None:
    """Neither its port nor anything that is said knows of it, though its port is in the settings."""
    found = base(*LEFT_OUT, f"{NET}websocket_port = 7222")
    settings = found.ok
    assert found.one("bad-url").key == f"{NET}gateway_remote.LON.urls"
    assert settings.network.gateway.port == 7222
    assert f"{NET}gateway_port" not in {each.key for each in settings.listeners}
    assert not any("Gateway" in each.text for each in announcements(settings))
    assert "gateway" not in render(settings).text
    assert Code.PORT_CLASH not in found.codes()


def test_its_port_is_taken_once_it_has_a_remote() -> None:
    found = base(*LEFT_OUT[:2], f"{NET}gateway_remote.LON.urls = gw.example.net:7222", f"{NET}websocket_port = 7222")
    assert found.one(Code.PORT_CLASH).problem == f"{NET}gateway_port and {NET}websocket_port are both port 7222"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param((), {"client_port": "[::]:4222"}, id="clients"),
        pytest.param((f"{NET}client_port = 0",), {}, id="any free port"),
        pytest.param((f"{NET}peer_port = 5333",), {"client_port": "[::]:4222"}, id="a peer port and no peers"),
        pytest.param(
            (
                f"{NET}listen_address = 127.0.0.1",
                f"{NET}peers = a.example.net:5222",
                f"{NET}leafnode_port = 7422",
                f"{NET}websocket_port = 8222",
                f"{NET}pprof_port = 6060",
            ),
            {
                "client_port": "127.0.0.1:4222",
                "peer_port": "127.0.0.1:5222",
                "leafnode_port": "127.0.0.1:7422",
                "websocket_port": "127.0.0.1:8222",
                "pprof_port": "127.0.0.1:6060",
            },
            id="everything",
        ),
    ],
)
def test_listeners(lines: tuple[str, ...], expected: dict[str, str]) -> None:
    assert {each.key.removeprefix(NET): each.place for each in base(*lines).ok.listeners} == expected


def test_the_statistics_listener_has_its_own_address() -> None:
    (_, statistics) = base("plugin.choria.stats_port = 8080").ok.listeners
    assert (statistics.key, statistics.place) == ("plugin.choria.stats_port", "127.0.0.1:8080")


def test_only_where_nobody_logs_in_nobody_is_counted_before_a_login() -> None:
    assert [each.key for each in ENGINE_LISTENERS if not each.door] == [f"{NET}pprof_port"]
