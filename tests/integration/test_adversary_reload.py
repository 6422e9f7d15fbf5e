"""A reload that failed once must not keep later ones from taking anybody's access away."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from choria_broker.broker import NetworkBroker
from support.stores import Store
from support.testbed import Authority, client, configuration


async def test_a_full_disk_does_not_keep_later_reloads_from_working(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, "OPS", "ACME", "GLOBEX")
    path = configuration(tmp_path, authority, network__operator_account="OPS")
    async with NetworkBroker.from_file(path) as broker:
        store.remove("GLOBEX")
        sync: Callable[[int], None] = os.fsync

        def full(_descriptor: int) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            await broker.reload()
        monkeypatch.setattr(os, "fsync", sync)
        await broker.reload()
        login: dict[str, Any] = store.login("GLOBEX")
        with pytest.raises(nats.errors.Error):
            async with client(broker, authority.context(), **login):
                pass


async def test_an_account_whose_file_was_taken_away_is_gone(tmp_path: Path, authority: Authority) -> None:
    store = Store(tmp_path, "OPS", "ACME")
    path = configuration(tmp_path, authority, network__operator_account="OPS")
    async with NetworkBroker.from_file(path) as broker:
        (store.file("ACME").parent / "users").mkdir()  # What stays of an account that is deleted by hand.
        store.file("ACME").unlink()
        findings = await broker.reload()
        assert [finding.code for finding in findings] == ["bad-operator-account"]
        login: dict[str, Any] = store.login("ACME")
        with pytest.raises(nats.errors.Error):
            async with client(broker, authority.context(), **login):
                pass
