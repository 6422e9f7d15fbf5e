from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.config.needs import named_files, own_gateway_hosts
from choria_broker.config.surroundings.facts import FileGroup
from choria_broker.config.text.collector import Collector
from choria_broker.config.text.reading import Values, read
from choria_broker.config.text.syntax import parse
from choria_broker.settings.tls import TlsFiles

REMOTES = """
plugin.choria.network.gateway_name = HERE
plugin.choria.network.gateway_remotes = HERE, THERE
plugin.choria.network.gateway_remote.THERE.urls = c1.example.net:7222
"""


def values(*lines: str) -> Values:
    return read(parse((REMOTES + "\n".join(lines)).encode(), "broker.conf"), {}, "", Collector())


OWN = "plugin.choria.network.gateway_remote.HERE.urls = "


@pytest.mark.parametrize(
    ("line", "hosts"),
    [
        ("", ()),
        (OWN + "b1.example.net:7222, nats://b2.example.net:7222", ("b1.example.net", "b2.example.net")),
        (OWN + "b1.example.net:7222, b1.example.net:7223", ("b1.example.net",)),
        (OWN + "b1.example.net:none, b2.example.net:7222", ("b2.example.net",)),
        (OWN + "b1.example.net:7222\nplugin.choria.network.gateway_name = ELSEWHERE", ()),
    ],
)
def test_hosts_of_the_own_cluster_among_the_gateways(line: str, hosts: tuple[str, ...]) -> None:
    assert own_gateway_hosts(values(line)) == hosts


IDENTITY = TlsFiles(certificate=Path("/cert"), key=Path("/key"), ca=Path("/ca"))
NET = "plugin.choria.network."
HUB = f"{NET}leafnode_remotes = hub\n{NET}leafnode_remote.hub."


@pytest.mark.parametrize(
    ("lines", "groups"),
    [
        ((), ["/cert /key /ca"]),
        (
            (f"{NET}client_signer_cert = /signer, {'0' * 64}, /other",),
            ["/cert /key /ca", "live /signer", "live /other"],
        ),
        ((f"{NET}provisioning.signer_cert = /signer",), ["/cert /key /ca", "live /signer"]),
        ((f"{HUB}tls.cert = /c\n{HUB}tls.key = /k\n{HUB}credentials = /x",), ["/cert /key /ca", "/c /k /x"]),
        ((f"{HUB}tls.ca = /ca", f"{HUB}credentials = /x"), ["/cert /key /ca /x"]),
        ((f"{NET}client_signer_cert = /ca",), ["/cert /key /ca"]),
        (
            (f"{NET}client_signer_cert = /a, /b", f"{HUB}tls.cert = /a", f"{HUB}tls.key = /b"),
            ["/cert /key /ca", "/a /b"],
        ),
    ],
)
def test_files_and_what_belongs_together(lines: tuple[str, ...], groups: list[str]) -> None:
    expected = [
        FileGroup(tuple(Path(word) for word in each.split() if word != "live"), engine="live" not in each)
        for each in groups
    ]
    assert list(named_files(values(*lines), IDENTITY)) == expected


def test_without_tls_only_what_is_named_counts() -> None:
    assert named_files(values(), None) == ()
