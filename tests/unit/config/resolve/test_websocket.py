from __future__ import annotations

import pytest

from choria_broker.config.resolve.websocket import origin
from choria_broker.config.text.values import BadValueError
from choria_broker.settings.finding_codes import Severity
from support.scenario import net

LISTENER = "websocket_port = 4333"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://console.example.net", "https://console.example.net"),
        ("https://Console.Example.NET.", "https://console.example.net"),
        ("https://console.example.net/", "https://console.example.net"),
        ("http://localhost:08080", "http://localhost:8080"),
        ("https://[2001:DB8:0::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://192.0.2.1:443", "https://192.0.2.1:443"),
    ],
)
def test_origins_are_read_as_browsers_send_them(written: str, read: str) -> None:
    assert origin(written) == read


@pytest.mark.parametrize(
    "written",
    [
        "",
        "console.example.net",
        "*",
        "null",
        "https://",
        "https:///",
        "https://*.example.net",
        "https://console.example.net/app",
        "https://console.example.net?x",
        "https://console.example.net#x",
        "https://user@console.example.net",
        "https://console.example.net:",
        "https://console.example.net:0",
        "https://console.example.net:65536",
        "https://console.example.net:443:443",
        "wss://console.example.net",
        "HTTPS://console.example.net",
        "https://con sole.example.net",
        "https://[console]",
        "https://2001:db8::1",
        "https://[fe80::1%eth0]",
        "https://a..example.net",
    ],
)
def test_what_is_no_origin(written: str) -> None:
    with pytest.raises(BadValueError):
        origin(written)


def test_without_the_setting_only_own_pages_get_in() -> None:
    assert net(LISTENER).ok.network.websocket.origins == ()


def test_a_bad_origin_is_left_out_and_the_others_count() -> None:
    given = net(LISTENER, "websocket_origins = https://a.example, b.example, https://a.example")
    finding = given.one("bad-origin")
    assert (finding.severity, finding.value) == (Severity.SKIP, "b.example")
    assert given.ok.network.websocket.origins == ("https://a.example",)


def test_any_stands_alone_and_is_warned_of() -> None:
    given = net(LISTENER, "websocket_origins = https://a.example, any")
    assert given.one("any-origin").severity is Severity.WARN
    assert given.ok.network.websocket.origins == ("any",)


def test_origins_without_a_listener_have_no_effect() -> None:
    given = net("websocket_origins = any")
    assert given.one("no-effect").key == "plugin.choria.network.websocket_origins"
    assert "any-origin" not in given.codes()
