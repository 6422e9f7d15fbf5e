"""Stores that the engine should not be started on."""

from __future__ import annotations

import os
import types
from pathlib import Path

import pytest

from choria_broker.settings.broker import Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Origin
from choria_broker.settings.links import Cluster
from choria_broker.settings.network import Network
from choria_broker.settings.streams import Streams
from choria_broker.settings.tls import Tls
from choria_broker.streams.store import found_while_running, no_room, store_findings

PEER = Endpoint("nats", "broker2.example.net", 5222)
KEY = "plugin.choria.network.stream.store"


def settings(store: Path | None, *, peers: bool = False) -> Settings:
    cluster = Cluster(peers=(PEER,), routes=(PEER,), port=5222) if peers else Cluster()
    return Settings(
        source=Path("/etc/choria/broker.conf"),
        identity="broker1.example.net",
        tls=Tls(enabled=False, everywhere=False, verify_clients=False, files=None),
        network=Network(streams=Streams(store=store), cluster=cluster),
        origins={KEY: Origin("broker.conf", 7)},
    )


def stream(store: Path, name: str, account: str = "choria") -> None:
    (store / "jetstream" / account / "streams" / name).mkdir(parents=True)


@pytest.mark.parametrize("peers", [False, True])
def test_stores_in_order(tmp_path: Path, *, peers: bool) -> None:
    assert store_findings(settings(None, peers=peers)) == ()
    assert store_findings(settings(tmp_path / "missing", peers=peers)) == ()
    assert store_findings(settings(tmp_path, peers=peers)) == ()
    (tmp_path / "jetstream/choria/streams").mkdir(parents=True)
    assert store_findings(settings(tmp_path, peers=peers)) == ()


@pytest.mark.parametrize("place", ["jetstream", "jetstream/choria/streams"])
def test_a_file_in_the_way(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("")
    (finding,) = store_findings(settings(tmp_path))
    assert (finding.code, finding.severity) == ("store-not-writable", Severity.REFUSE)
    assert f"{tmp_path / place} is not a directory" in finding.problem
    assert (str(finding.origin), finding.key) == ("broker.conf:7", KEY)


@pytest.mark.parametrize("place", ["jetstream", "jetstream/choria", "jetstream/choria/streams"])
def test_a_directory_of_somebody_else_is_named_with_both_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    stream(tmp_path, "X")
    real = os.access

    def access(path: Path, mode: int, *, effective_ids: bool) -> bool:
        return path != tmp_path / place and real(path, mode, effective_ids=effective_ids)

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(os, "supports_effective_ids", {access})
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    (finding,) = store_findings(settings(tmp_path))
    owner = tmp_path.stat().st_uid
    assert f"{tmp_path / place} belongs to user {owner}, and the broker's user 4321" in finding.problem
    assert f"chown -R 4321 {tmp_path}" in finding.remedy


def test_streams_of_a_broker_without_peers_are_not_given_to_a_cluster(tmp_path: Path) -> None:
    for name in "ABCDEFG":
        stream(tmp_path, name)
    assert store_findings(settings(tmp_path)) == ()
    (finding,) = store_findings(settings(tmp_path, peers=True))
    assert (finding.code, finding.severity) == ("streams-before-cluster", Severity.REFUSE)
    assert "7 streams in the store (choria > A, choria > B, choria > C, choria > D, choria > E)" in finding.problem
    (tmp_path / "jetstream/other/_js_/_meta_").mkdir(parents=True)
    (finding,) = store_findings(settings(tmp_path, peers=True))
    records = tmp_path / "jetstream/system/_js_/_meta_"
    records.mkdir(parents=True)
    assert store_findings(settings(tmp_path, peers=True)) == ()
    (records / "peers.idx").write_bytes(b"\2\0\0\0\1\0\0\0" + b"12345678")
    (finding,) = store_findings(settings(tmp_path, peers=True))
    assert finding.code == "streams-of-other-broker"


def test_streams_behind_links_are_seen_as_the_engine_sees_them(tmp_path: Path) -> None:
    stream(tmp_path / "elsewhere", "X")
    (tmp_path / "jetstream").mkdir()
    (tmp_path / "jetstream/choria").symlink_to(tmp_path / "elsewhere/jetstream/choria")
    (finding,) = store_findings(settings(tmp_path, peers=True))
    assert "1 streams in the store (choria > X)" in finding.problem


def test_what_is_kept_is_found_with_its_size(tmp_path: Path) -> None:
    for place in ("kept/choria.X.T", "jetstream/choria/kept.Y.T"):
        (tmp_path / place / "msgs").mkdir(parents=True)
        (tmp_path / place / "msgs/1.blk").write_bytes(b"x" * 100)
    (tmp_path / "kept/link").symlink_to(tmp_path)
    (finding,) = store_findings(settings(tmp_path))
    assert finding.code == "streams-kept"
    assert f"{tmp_path}/kept/choria.X.T, {tmp_path}/jetstream/choria/kept.Y.T" in finding.problem
    assert "200 bytes" in finding.effect


def test_a_store_that_nobody_may_read_is_one_finding_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "broker.json").mkdir()
    (tmp_path / "kept").write_text("")
    assert store_findings(settings(tmp_path, peers=True)) == ()


def test_a_full_file_system(tmp_path: Path) -> None:
    finding = no_room(settings(tmp_path), "No space left on device")
    assert (finding.code, finding.value) == ("store-full", str(tmp_path))
    assert "No space left on device" in str(finding)


@pytest.mark.parametrize(
    ("blocks", "files", "codes"),
    [
        (0, 100, ["store-nearly-full"]),
        (70_000, 0, ["store-nearly-full"]),
        (300, 100, ["store-nearly-full"]),
        (70_000, 100, []),
    ],
)
def test_the_disk_of_a_store_that_is_not_there_yet_is_that_of_the_directory_above(
    blocks: int, files: int, codes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = types.SimpleNamespace(f_bavail=blocks, f_frsize=4096, f_favail=files, f_files=100)
    monkeypatch.setattr(os, "statvfs", {tmp_path: disk}.__getitem__)
    found = store_findings(settings(tmp_path / "a" / "b"))
    assert [each.code for each in found] == codes
    assert all(str(tmp_path) in each.problem for each in found)


def test_a_broker_that_runs_hears_of_its_store_and_is_not_refused(tmp_path: Path) -> None:
    stream(tmp_path, "ORDERS", "acme")
    assert [each.code for each in found_while_running(settings(tmp_path))] == ["streams-of-no-account"]
    assert Severity.REFUSE in {each.severity for each in store_findings(settings(tmp_path, peers=True))}
    assert [each.code for each in found_while_running(settings(tmp_path, peers=True))] == ["streams-of-no-account"]
