"""Limits of the host, held against the connections that are allowed."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from choria_broker.config.resolve.host_limits import judge_limits
from choria_broker.host.facts import HostLimits
from choria_broker.host.limits import read_limits
from choria_broker.settings.finding_codes import Severity
from support.scenario import NET, base, net

ENOUGH = HostLimits(51024, 4096, 8192)


def codes(connections: int, limits: HostLimits) -> list[str]:
    return [finding.code for finding in judge_limits(net(f"max_connections = {connections}").ok, limits)]


@pytest.mark.parametrize(
    ("connections", "limits", "expected"),
    [
        (50000, ENOUGH, []),
        (50000, HostLimits(51023, 4096, 8192), ["few-open-files"]),
        (50000, HostLimits(51024, 4095, 8192), ["short-listen-queue"]),
        (50000, HostLimits(51024, 4096, 8191), ["short-syn-queue"]),
        (50000, HostLimits(1024, 128, 512), ["few-open-files", "short-listen-queue", "short-syn-queue"]),
        (50001, ENOUGH, ["few-open-files"]),
        (100, HostLimits(1124, 100, 100), []),
        (100, HostLimits(1123, 99, 99), ["few-open-files", "short-listen-queue", "short-syn-queue"]),
        (5000, HostLimits(100_000, 4096, 4999), ["short-syn-queue"]),
        (1_000_000, HostLimits(1_001_024, 4096, 8192), []),
        (50000, HostLimits(), []),
        (50000, HostLimits(somaxconn=0), ["short-listen-queue"]),
    ],
)
def test_what_is_too_low(connections: int, limits: HostLimits, expected: list[str]) -> None:
    assert codes(connections, limits) == expected


def test_the_line_to_write() -> None:
    found = judge_limits(net("max_connections = 60000").ok, HostLimits(1024, 128, 512))
    assert [finding.severity for finding in found] == [Severity.WARN] * 3
    assert "LimitNOFILE=61024 " in found[0].remedy
    assert "net.core.somaxconn = 4096 " in found[1].remedy
    assert "net.ipv4.tcp_max_syn_backlog = 8192 " in found[2].remedy
    assert {(finding.key, finding.value, finding.origin.line) for finding in found} == {
        (NET + "max_connections", "60000", 8)
    }
    assert "only about 0 clients" in found[0].effect


def test_strangers_need_files_too() -> None:
    settings = net("max_connections = 100", "max_unauthenticated = 5000").ok
    assert settings.network.needed_files == 100 + 1024 + 4000


def test_without_a_network_broker_nobody_connects() -> None:
    settings = base().ok
    assert judge_limits(settings, HostLimits(1, 1, 1)) != ()
    off = base("plugin.choria.broker_network = no", "plugin.choria.broker_federation = no")
    assert off.settings is None


def proc(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_limits_are_read(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    known = None if hard == resource.RLIM_INFINITY else hard
    sysctl = {"sys__net__core__somaxconn": "128\n", "sys__net__ipv4__tcp_max_syn_backlog": "512\n"}
    folder = proc(tmp_path, self__status="Name:\tx\nCapEff:\t0000000000000000\n", **sysctl)
    assert read_limits(folder) == HostLimits(known, 128, 512)
    proc(tmp_path, self__status="CapEff:\t000001ffffffffff\n", sys__fs__nr_open="1048576\n")
    assert read_limits(folder) == HostLimits(None if known is None else 1048576, 128, 512)


def test_files_that_are_not_there_are_no_error(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    known = None if hard == resource.RLIM_INFINITY else hard
    assert read_limits(tmp_path) == HostLimits(known)
    folder = proc(tmp_path, self__status="CapEff:\tnonsense\n", sys__net__core__somaxconn="many\n")
    assert read_limits(folder) == HostLimits(known)


def test_this_host_has_limits() -> None:
    found = read_limits()
    assert found.somaxconn is None or found.somaxconn > 0
