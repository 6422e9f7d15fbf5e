"""Long lists and long lines are read in time that grows with their length, not with its square."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from choria_broker.access.build import policy_from
from choria_broker.announcements import announcements
from choria_broker.config.surroundings.discovery import Discovery, Search
from choria_broker.engine.conf.render import render
from support.scenario import BASE, NET, scenario

pytestmark = [pytest.mark.untraced, pytest.mark.slow]

KEY = "11" * 32
ISSUER = "plugin.security.issuer."


def listed(key: str, items: list[str]) -> str:
    return f"{key} = {', '.join(items)}\n"


def names(count: int) -> list[str]:
    return [f"m{number}" for number in range(count)]


def addresses(count: int) -> list[str]:
    return [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(count)]


def members(key: str, count: int, *settings: str) -> str:
    """List names and give each some settings, in which NAME stands for it."""
    lines = (setting.replace("NAME", name) for name in names(count) for setting in settings)
    return listed(key, names(count)) + "\n".join(lines)


SHAPES: dict[str, Callable[[int], str]] = {
    "client_hosts": lambda n: listed(NET + "client_hosts", addresses(n)),
    "bad client_hosts": lambda n: listed(NET + "client_hosts", names(n)),
    "bad client_hosts and an @": lambda n: listed(NET + "client_hosts", [*names(n), "a@b"]),
    "peers": lambda n: listed(NET + "peers", [f"{name}.example.net:5222" for name in names(n)]),
    "addresses of peers": lambda n: listed(NET + "peers", [f"{address}:5222" for address in addresses(n)]),
    "bad peers": lambda n: listed(NET + "peers", names(n)),
    "peers of a member": lambda n: (
        NET + "peer_port = 5222\n" + listed(NET + "peers", [f"{address}:5222" for address in addresses(n)])
    ),
    "accounts": lambda n: listed(NET + "accounts", names(n)),
    "signers": lambda n: listed(NET + "client_signer_cert", [KEY] * n),
    "files of signers": lambda n: listed(NET + "server_signer_cert", [f"/signers/{name}" for name in names(n)]),
    "issuers": lambda n: members(ISSUER + "names", n, f"{ISSUER}NAME.public = {KEY}", f"{ISSUER}NAME.account = NAME"),
    "mappings": lambda n: members(
        NET + "mapping.names", n, NET + "mapping.NAME.source = a.NAME.*", NET + "mapping.NAME.destination = b.$1"
    ),
    "mappings of one part": lambda n: members(
        NET + "mapping.names", n, NET + "mapping.NAME.source = NAME", NET + "mapping.NAME.destination = b"
    ),
    "gateways": lambda n: members(
        NET + "gateway_remotes", n, NET + "gateway_remote.NAME.urls = NAME.x:7222", NET + "gateway_port = 7222"
    ),
    "leafnode remotes": lambda n: members(NET + "leafnode_remotes", n, NET + "leafnode_remote.NAME.url = NAME.x:7422"),
    "leafnode remotes with files": lambda n: members(
        NET + "leafnode_remotes",
        n,
        NET + "leafnode_remote.NAME.url = NAME.x:7422",
        NET + "leafnode_remote.NAME.tls.cert = /NAME/cert.pem",
        NET + "leafnode_remote.NAME.tls.key = /NAME/key.pem",
        NET + "leafnode_remote.NAME.tls.ca = /tls/ca.pem",
    ),
    "leafnode remotes without account": lambda n: (
        listed(NET + "accounts", [f"a{name}" for name in names(n)])
        + members(
            NET + "leafnode_remotes",
            n,
            NET + "leafnode_remote.NAME.url = NAME.x:7422",
            NET + "leafnode_remote.NAME.account = NAME",
        )
    ),
    "addresses of one remote": lambda n: (
        NET + "leafnode_remotes = x\n" + listed(NET + "leafnode_remote.x.url", [f"{name}.x:7422" for name in names(n)])
    ),
    "adapters": lambda n: members("plugin.choria.adapters", n, "plugin.choria.adapter.NAME.type = x"),
    "adapters that are not listed": lambda n: "\n".join(f"plugin.choria.adapter.{each}.type = x" for each in names(n)),
    "one key again and again": lambda n: "\n".join(f"{NET}client_port = {number + 1}" for number in range(n)),
    "lines that are no settings": lambda n: "\n".join(names(n)),
    "unknown keys": lambda n: "\n".join(f"{NET}client_prt{number} = 1" for number in range(n // 2)),
    "unknown keys at the top": lambda n: "\n".join(f"identiy{number} = 1" for number in range(n // 2)),
    "keys of other plugins": lambda n: "\n".join(f"plugin.foo.x{number} = 1" for number in range(n // 2)),
    "one unknown key of many parts": lambda n: f"plugin.choria.{'a.' * n * 100} = 1",
    "one line of one letter": lambda n: f"{NET}system.user = {'a' * n * 500}",
    "one bad line of one letter": lambda n: f"{NET}client_hosts = {'a' * n * 500}",
    "one line of blanks": lambda n: f"{NET}system.user = a{' ' * n * 100}b",
    "one line of @": lambda n: f"{NET}public_url = {'@' * n * 500}",
}


def whole(text: str) -> None:
    """Do with a configuration what check and the start do with it."""
    settings = scenario(BASE + text).settings
    if settings:
        render(settings)
        announcements(settings)
        policy_from(settings)


def seconds(shape: Callable[[int], str], count: int, runs: int = 2) -> float:
    """Measure the processor's time, the best of some runs."""

    def once() -> float:
        text = shape(count)
        begin = time.thread_time()
        whole(text)
        return time.thread_time() - begin

    return min(once() for _ in range(runs))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_twice_as_much_takes_twice_as_long(shape: Callable[[int], str]) -> None:
    whole(shape(1))
    # What is the same for every length is taken off; another try forgives a machine that was busy.
    fixed = seconds(shape, 1)
    # What takes a few milliseconds is not told apart from noise; a square of such lengths would take seconds.
    assert any(
        (seconds(shape, 600, runs) - fixed) < 3 * max(seconds(shape, 300) - fixed, 0.01) for runs in (1, *[2] * 8)
    )


def calls(shape: Callable[[int], str], count: int) -> int:
    """Count the calls of functions, which tell more finely than time does, and the same on any machine."""
    text, counted = shape(count), 0

    def tally(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event.endswith("call")

    sys.setprofile(tally)
    try:
        whole(text)
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_twice_as_much_makes_twice_as_many_calls(shape: Callable[[int], str]) -> None:
    whole(shape(1))
    fixed, half, double = (calls(shape, count) for count in (1, 200, 400))
    # A longer line is looked at in another way from some length on, which is no square.
    assert double - fixed < 2.05 * (half - fixed) + 20_000


@pytest.mark.parametrize("shape", ["client_hosts", "bad client_hosts"])
def test_twenty_thousand_client_hosts_take_under_a_second(shape: str) -> None:
    assert seconds(SHAPES[shape], 20_000) < 1


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_long_list_makes_no_long_report(shape: Callable[[int], str]) -> None:
    findings = scenario(BASE + shape(500)).findings
    assert len(findings) < 120
    assert sum(len(str(finding)) for finding in findings) < 120_000


def test_a_long_list_of_peers_is_looked_up_by_few_threads() -> None:
    asked: list[str] = []

    def look_up(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("192.0.2.1",)

    hosts = names(5000)
    assert Search(Discovery(addresses=look_up), {}).addresses(hosts) == dict.fromkeys(hosts, ("192.0.2.1",))
    assert sorted(asked) == sorted(hosts)
