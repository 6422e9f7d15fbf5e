"""Listen addresses on hosts that lack IPv6 in either of the two ways, and on others: ``check`` and ``run`` agree."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.testbed import Authority, configuration, free_port

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent.parent
HOSTS = "::1 localhost both six\n127.0.0.1 localhost both four\n192.0.2.77 nat\n2001:db8::77 nat\n"
WORLDS = {
    "off": "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ",
    "absent": f'set -- {sys.executable} {TESTS / "support/no_inet6.py"} "$@" && ',
    "whole": "",
}
"""IPv6 turned off by sysctl, not in the kernel, or as usual."""
ENTER = 'ip link set lo up && mount --bind "$0" /etc/hosts && mount --bind /dev/null /etc/resolv.conf && '
DEADLINE = 60.0


def entering(world: str, hosts: Path, *command: str | Path) -> list[str | Path]:
    """Return the command that runs another one in a world of its own."""
    script = f'{ENTER}{WORLDS[world]}exec "$@"'
    return ["unshare", "--net", "--mount", "sh", "-c", script, hosts, *command]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hosts file for worlds of their own; without the right to make those, the test is skipped."""
    path = tmp_path_factory.mktemp("hosts") / "hosts"
    path.write_text(HOSTS, encoding="ascii")
    for world in WORLDS:
        try:
            command = entering(world, path, "true")
            subprocess.run(command, check=True, capture_output=True, timeout=20)  # noqa: S603 - fixed words
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"needs root, network and mount namespaces, sysctl and seccomp: {error}")
    return path


@dataclasses.dataclass(frozen=True)
class Seen:
    """What ``visit`` saw."""

    check: int
    findings: str
    run: int
    output: str
    started: bool
    open: dict[str, bool]


async def visited(world: str, hosts: Path, config: Path, places: list[str]) -> Seen:
    process = await asyncio.create_subprocess_exec(
        *entering(world, hosts, sys.executable, TESTS / "support/visit.py", config, *places),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE):
        told, _ = await process.communicate()
    return Seen(**json.loads(told))


def every_listener(**settings: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return settings that open a listener of each kind, and the ports."""
    names = ("client", "peer", "gateway", "leafnode", "websocket", "pprof")
    ports = {name: free_port() for name in names}
    ports["stats"] = free_port()
    wanted: dict[str, Any] = {f"network__{name}_port": ports[name] for name in names}
    wanted |= {
        "plugin__choria__stats_port": ports["stats"],
        "network__peers": f"broker.example.net:{ports['peer']}, other.invalid:5222",
        "network__gateway_name": "Tokyo",
        "network__gateway_remotes": "London",
        "network__gateway_remote__London__urls": "london.invalid:7222",
    }
    return wanted | settings, ports


@dataclasses.dataclass(frozen=True)
class Case:
    """Two listen addresses in a world, and the host at which every listener is reached, and at which none is."""

    world: str
    listen: str
    stats: str
    reached: str = "127.0.0.1"
    closed: str = ""


@pytest.mark.parametrize(
    "case",
    [
        Case("off", "::", "localhost"),
        Case("off", "localhost", "::"),
        Case("absent", "::", "Localhost."),
        Case("absent", "both", "[::]"),
        Case("absent", "0.0.0.0", "::ffff:127.0.0.1"),  # noqa: S104 - every address of a namespace
        Case("whole", "::", "::", "[::1]"),
        Case("whole", "Six.", "six", "[::1]", closed="127.0.0.1"),
    ],
    ids=str,
)
async def test_what_can_be_bound_is_bound_by_every_listener(
    tmp_path: Path, authority: Authority, hosts: Path, case: Case
) -> None:
    settings, ports = every_listener(network__listen_address=case.listen, plugin__choria__stats_address=case.stats)
    config = configuration(tmp_path, authority, logfile="stdout", **settings)
    places = [f"{host}:{port}" for host in (case.reached, case.closed) if host for port in ports.values()]
    seen = await visited(case.world, hosts, config, places)
    assert (seen.check, seen.started, seen.run) == (0, True, 0), seen
    assert seen.open == {place: place.startswith(case.reached) for place in places}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "address", "why"),
    [
        ("off", "::1", "this host does not have the address"),
        ("absent", "::1", "this host does not have the address"),
        ("absent", "six", "six is ::1, which this host does not have"),
        ("off", "192.0.2.1", "this host does not have the address"),
        ("whole", "nat", "nat is 192.0.2.77, 2001:db8::77, which this host does not have"),
        ("whole", "fe80::1%eth9", "this host does not have the address"),
        ("whole", "nowhere.invalid", "the name nowhere.invalid "),
    ],
)
async def test_what_cannot_be_bound_is_the_same_finding_of_check_and_of_the_start(
    tmp_path: Path, authority: Authority, hosts: Path, world: str, address: str, why: str
) -> None:
    settings, _ = every_listener(network__listen_address=address, plugin__choria__stats_address=address)
    config = configuration(tmp_path, authority, logfile="stdout", **settings)
    seen = await visited(world, hosts, config, [])
    assert (seen.check, seen.started, seen.run) == (1, False, 1), seen
    refused = [line for line in seen.findings.splitlines() if line.startswith("refuse: ")]
    assert len(refused) == 2, seen.findings
    for line, key in zip(refused, ("network.listen_address", "stats_address"), strict=True):
        assert f"plugin.choria.{key} = {address}: {why}" in line
        assert line in seen.output.splitlines()
    assert "Traceback" not in seen.output + seen.findings
    assert "died" not in seen.output


@pytest.mark.slow
async def test_a_name_of_several_addresses_has_the_statistics_on_all_of_them(
    tmp_path: Path, authority: Authority, hosts: Path
) -> None:
    settings, ports = every_listener(network__listen_address="four", plugin__choria__stats_address="both")
    config = configuration(tmp_path, authority, logfile="stdout", **settings)
    places = [f"127.0.0.1:{ports['stats']}", f"[::1]:{ports['stats']}"]
    seen = await visited("whole", hosts, config, places)
    assert seen.open == dict.fromkeys(places, True), seen
