"""The command that revokes: whom it hits, and what it says where nothing can be revoked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from support.command import invoked
from support.revoking import RevokingAuthority, last_rule, refused
from support.settled import recent
from support.testbed import client, configuration, gone, settled

pytestmark = pytest.mark.filterwarnings(
    "ignore:parameter 'timeout' of type 'float':DeprecationWarning"  # nats-py asks aiohttp in the old way.
)


async def test_the_command_revokes_and_says_whom_it_hits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority, file = RevokingAuthority(tmp_path), tmp_path / "revoked"
    path = configuration(tmp_path, authority, network__revocations=file)
    one = NetworkBroker.from_file(path)
    bob, eve = (authority.issue(f"{name}.example.net") for name in ("bob", "eve"))
    what = ("--config", path, "--identity", "bob.example.net")
    async with (
        one,
        client(one, authority.context(bob)) as first,
        client(one, authority.context(eve)) as second,
    ):
        dry = await asyncio.to_thread(invoked, "revoke", *what, "--dry-run")
        assert dry.exit_code == 0, dry.output
        assert f"would be written to {file}, and 1 session would end." in dry.output
        assert "identity 'bob.example.net' is revoked" in dry.output
        assert not file.exists()
        assert first.is_connected

        done = await asyncio.to_thread(invoked, "revoke", *what, "--comment", "left\non Friday")
        assert done.exit_code == 0, done.output
        assert done.output == f"identity bob.example.net is now in {file}, and is in use. 1 session ended.\n"
        assert file.read_text() == "identity bob.example.net  # left on Friday\n"
        await gone(first)
        await refused(one.ports.client, authority.context(bob))
        assert last_rule(one) == "revoked-identity"
        assert f"See {file}:1. " in (await recent(one))[-1].remedy
        await settled(second)

        status = (await asyncio.to_thread(invoked, "status", "--config", path)).output
        assert f"Revocations: 1 in {file}\n" in status
        assert "Sessions ended: " in status
        again = await asyncio.to_thread(invoked, "revoke", *what, "--json")
        assert json.loads(again.output)["known"] == f"{file}:1"
        file.write_text(file.read_text() + "nonsense\n")
        broken = await asyncio.to_thread(invoked, "revoke", "--config", path, "--caller", "up=x")
        assert broken.exit_code == 1
        assert f"{file}:2: a line begins with one of" in broken.output
        assert "up=x" not in file.read_text()
        wrong = await asyncio.to_thread(invoked, "revoke", "--config", path, "--key", "12")
        assert wrong.exit_code == 2
        late = await asyncio.to_thread(
            invoked, "revoke", "--config", path, "--caller", "up=x", "--until", "2020-01-01T00:00:00Z"
        )
        assert late.exit_code == 2
        assert "--until is in the past" in late.output
        several = await asyncio.to_thread(invoked, "revoke", *what, "--caller", "up=x")
        assert several.exit_code == 2
    acts = [each for each in caplog.records if each.getMessage().startswith("An operator acted")]
    assert len([each for each in acts if "revoke" in str(each.__dict__)]) == 2


async def test_the_command_without_a_file_and_without_a_broker(tmp_path: Path) -> None:
    authority = RevokingAuthority(tmp_path)
    path = configuration(tmp_path, authority)
    async with NetworkBroker.from_file(path):
        unset = await asyncio.to_thread(invoked, "revoke", "--config", path, "--caller", "up=bob")
    assert unset.exit_code == 1
    assert "plugin.choria.network.revocations is not set" in unset.output
    file = tmp_path / "revoked"
    path = configuration(tmp_path, authority, network__revocations=file)
    alone = await asyncio.to_thread(invoked, "revoke", "--config", path, "--caller", "up=bob")
    assert alone.exit_code == 0, alone.output
    assert "used from the next start on" in alone.output
    assert "Note: an entry means one name" not in alone.output
    assert file.read_text() == "caller up=bob\n"
    pattern = await asyncio.to_thread(invoked, "revoke", "--config", path, "--identity", "web*")
    assert pattern.output.startswith("Note: an entry means one name")


async def test_what_else_is_broken_does_not_keep_a_revocation_from_counting(tmp_path: Path) -> None:
    authority, file = RevokingAuthority(tmp_path), tmp_path / "revoked"
    path = configuration(tmp_path, authority, network__revocations=file)
    bob = authority.issue("bob.example.net")
    one = NetworkBroker.from_file(path)
    async with one, client(one, authority.context(bob)) as connection:
        path.write_text("nothing = of use\nplugin.security.provider = nobody\n")
        done = await asyncio.to_thread(invoked, "revoke", "--config", path, "--identity", "bob.example.net")
        assert done.exit_code == 0, done.output
        await gone(connection)
