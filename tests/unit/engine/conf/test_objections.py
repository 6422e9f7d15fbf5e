"""Whose fault an objection of the engine is."""

from __future__ import annotations

import pytest

from choria_broker.engine.conf.objections import _KEYS, setting_behind
from choria_broker.engine.conf.render import render
from choria_broker.values import replace
from support.ready_settings import settings as settings_of

SHOWN = """\
server_name: "b"
tls: {
  cert_file: "/etc/c.pem"
}
cluster: {
  routes: [
    "nats://x:1"
  ]
}
surprise: 1
"""
RAW = {"plugin.security.file.key": "/etc/own.key", "plugin.choria.network.peers": "x:1", "color": "1"}


@pytest.mark.parametrize(
    ("objection", "key"),
    [
        ("engine: /run/engine.conf:7:5: bad route", "plugin.choria.network.peers"),
        ("engine: /run/engine.conf:3:5: bad", "plugin.security.provider"),
        ("engine: /run/engine.conf: Parse error on line 1: 'what'", "identity"),
        ("engine: open /etc/own.key: no such file", "plugin.security.file.key"),
        ("engine: /run/engine.conf:1:1: open /etc/own.key", "plugin.security.file.key"),
        ("engine: /run/engine.conf:10:1: unknown", ""),
        ("engine: /run/engine.conf:0:1: unknown", ""),
        ("engine: jetstream is sad", ""),
    ],
)
def test_objections(objection: str, key: str) -> None:
    settings = replace(settings_of(), raw=RAW)

    assert setting_behind(objection, SHOWN, settings) == key


def test_every_block_of_a_plain_broker_has_its_setting() -> None:
    shown = render(settings_of()).masked
    blocks = {line.partition(":")[0] for line in shown.splitlines() if line[:1].isalpha()}

    assert blocks - set(_KEYS) == {"logtime"}
