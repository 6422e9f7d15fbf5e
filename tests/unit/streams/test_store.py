"""Stores that the engine should not be started on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from choria_broker.config.findings import Origin, Severity
from choria_broker.config.settings import Cluster, Endpoint, Network, Settings, Streams, Tls
from choria_broker.streams.store import no_room, store_problems

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
    assert store_problems(settings(None, peers=peers)) == ()
    assert store_problems(settings(tmp_path / "missing", peers=peers)) == ()
    assert store_problems(settings(tmp_path, peers=peers)) == ()
    (tmp_path / "jetstream/choria/streams").mkdir(parents=True)
    assert store_problems(settings(tmp_path, peers=peers)) == ()


@pytest.mark.parametrize("place", ["jetstream", "jetstream/choria/streams"])
def test_a_file_in_the_way(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("")
    (finding,) = store_problems(settings(tmp_path))
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
    (finding,) = store_problems(settings(tmp_path))
    owner = tmp_path.stat().st_uid
    assert f"{tmp_path / place} belongs to user {owner}, and user 4321" in finding.problem
    assert f"chown -R 4321 {tmp_path}" in finding.remedy


def test_streams_of_a_broker_without_peers_are_not_given_to_a_cluster(tmp_path: Path) -> None:
    for name in "ABCDEFG":
        stream(tmp_path, name)
    assert store_problems(settings(tmp_path)) == ()
    (finding,) = store_problems(settings(tmp_path, peers=True))
    assert (finding.code, finding.severity) == ("streams-before-cluster", Severity.REFUSE)
    assert "7 streams in the store (choria > A, choria > B, choria > C, choria > D, choria > E)" in finding.problem
    (tmp_path / "jetstream/system/_js_/_meta_").mkdir(parents=True)
    assert store_problems(settings(tmp_path, peers=True)) == ()


def test_a_full_file_system(tmp_path: Path) -> None:
    finding = no_room(settings(tmp_path), OSError(errno.ENOSPC, "No space left on device"))
    assert (finding.code, finding.value) == ("store-full", str(tmp_path))
    assert "No space left on device" in str(finding)
