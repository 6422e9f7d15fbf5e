"""Upgrades: the running process goes on with the installed program, and nobody who is connected notices."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from choria_broker.engine.binary import locate
from support.busy import busy
from support.command import Program, started
from support.minting import OTHER_ORGANIZATION, hex_of
from support.streaming import until
from support.testbed import Authority, OrderedClient, free_port
from support.upgrading import Place, connected, install, placed, running

pytestmark = pytest.mark.timeout(180)  # The program starts several times.
CONNECTIONS = int(os.environ.get("UPGRADE_CONNECTIONS", "60"))
UPGRADES = int(os.environ.get("UPGRADES", "3"))
RATE = 50


@pytest.fixture
def place(tmp_path: Path, authority: Authority) -> Place:
    return placed(tmp_path, authority)


def accepted_by(program: Program) -> list[object]:
    """Read from the log which connections were let in, of which the engine tells a moment later."""
    return [line["cid"] for line in program.lines() if line["msg"] == "Connection accepted"]


@pytest.mark.slow
async def test_nobody_is_dropped_or_refused_and_everything_lives_on(place: Place, authority: Authority) -> None:
    async with running(place) as program:
        bob = authority.context(authority.issue("bob.mcollective"))
        async with busy(place.client, bob, connections=CONNECTIONS, rate=RATE) as crowd:
            await until(lambda: len(accepted_by(program)) >= CONNECTIONS)
            before = await place.status()
            code, out, error = await place.command("upgrade", "--json")
            assert (code, error) == (0, "")
            after, decided = await place.status(), await place.metrics()

        assert (crowd.dropped, crowd.refused) == (0, [])
        report = json.loads(out)
        assert report["result"] == "upgraded"
        assert report["by"].endswith(f"(uid {os.getuid()})")
        kept = ("pid", "since", "identity", "ports")
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
        assert after["engine"]["pid"] == before["engine"]["pid"]
        assert after["pid"] == program.pid
        assert after["upgrade"]["begun"] == report["begun"]
        (rule,) = before["accepted"]
        assert before["accepted"][rule] >= CONNECTIONS
        await until(lambda: len(set(accepted_by(program))) == CONNECTIONS + crowd.logins)
        final = (await place.status())["accepted"][rule]
        accepted = accepted_by(program)
        # A question that is under way when the new program's policy counts is asked once more.
        assert (len(accepted), len(set(accepted))) == (final, CONNECTIONS + crowd.logins)
        counted = sum(value for name, value in decided.items() if name.startswith("choria_broker_decisions_total{"))
        assert counted >= CONNECTIONS
        acts = await program.acted("upgrade")
        assert [each["outcome"] for each in acts] == ["done"]
        assert not [line for line in program.lines() if line["level"] == "error"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return install(tmp_path / "opt/bin/choria-broker", "1.0.0")


BROKEN = {
    "raises": ('raise ImportError("half installed")', "does not run: ImportError: half installed"),
    "protocol": (
        "import choria_broker.engine.gate.frames as frames; frames.PROTOCOL = 99",
        "needs another engine: it speaks version 99",
    ),
    "old": (
        "sys.exit(\"Usage: x\\nError: No such command 'standin'.\") if TRIED else None",
        "has a version that cannot take over",
    ),
    "form": ("import choria_broker.host.succession as s; s.FORMAT = 99", "the installed program reads format 99"),
    "silent": ("os._exit(7) if TRIED else None", "it ended with exit status 7"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_version_changes_nothing_and_is_named(
    place: Place, installed: Path, authority: Authority, kind: str
) -> None:
    more, words = BROKEN[kind]
    async with running(place, installed) as program, connected(place, authority) as client:
        before = await place.status()
        install(installed, "2.0.0", more)
        code, out, error = await place.command("upgrade", "--json")
        assert (code, error) == (1, "")
        assert words in json.loads(out)["reason"]
        assert (await place.status())["engine"]["pid"] == before["engine"]["pid"]
        await client.flush()
        (act,) = await program.acted("upgrade")
        assert act["outcome"] == "refused, nothing has changed"
        install(installed, "3.0.0")
        code, out, _ = await place.command("upgrade")
        assert (code, out.split(",")[0]) == (0, "Version 3.0.0 has replaced version 1.0.0")
        await client.flush()
        assert (await place.status())["version"] == "3.0.0"


@pytest.mark.slow
async def test_a_configuration_that_is_refused_changes_nothing(place: Place, installed: Path) -> None:
    async with running(place, installed):
        whole = place.config.read_text(encoding="utf-8")
        place.config.write_text(whole + "plugin.choria.network.client_port = many\n", encoding="utf-8")
        code, _, error = await place.command("upgrade")
        assert code == 1
        assert "refuses the configuration" in error
        place.config.write_text(whole, encoding="utf-8")
        assert (await place.command("upgrade"))[0] == 0


@pytest.mark.slow
async def test_a_link_that_is_exchanged_leads_to_another_version(place: Place, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        install(tmp_path / f"opt/{version}/bin/choria-broker", version)
    current = tmp_path / "opt/current"
    current.symlink_to("1.0.0")
    async with running(place, current / "bin/choria-broker"):
        assert (await place.status())["version"] == "1.0.0"
        fresh = tmp_path / "opt/next"
        fresh.symlink_to("2.0.0")
        fresh.rename(current)
        assert (await place.command("upgrade"))[0] == 0
        assert (await place.status())["version"] == "2.0.0"


async def test_a_program_that_cannot_be_executed_leaves_this_one_at_work(
    place: Place, installed: Path, authority: Authority
) -> None:
    async with running(place, installed) as program, connected(place, authority) as client:
        install(installed, "2.0.0", "os.unlink(sys.argv[0]) if TRIED else None")
        code, _, error = await place.command("upgrade")
        assert (code, error) == (1, "the installed program cannot be executed: No such file or directory\n")
        await client.flush()
        assert (await place.status())["version"] == "1.0.0"
        async with connected(place, authority) as another:
            await another.flush()
        (act,) = await program.acted("upgrade")
        assert act["outcome"] == "refused, nothing has changed"


@pytest.mark.slow
async def test_a_program_that_fails_after_its_trial_is_named_at_once_and_leaves_no_orphan(
    place: Place, installed: Path
) -> None:
    async with started("run", "--config", place.config, log=place.log, program=installed) as program:
        await program.told("READY=1")
        engine = (await place.status())["engine"]["pid"]
        install(installed, "2.0.0", 'sys.exit("after all") if not TRIED else None')
        code, out, _ = await place.command("upgrade", "--json")
        assert (code, json.loads(out)["result"]) == (1, "ended")
        assert json.loads(out)["reason"].startswith("the broker ended while version 2.0.0 was taking over, and its ")
        assert await program.ended() == 1
        async with asyncio.timeout(60):
            while Path(f"/proc/{engine}").exists():
                await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_an_engine_that_is_older_than_the_installed_one_is_a_pending_restart(
    place: Place, installed: Path, tmp_path: Path
) -> None:
    engine = tmp_path / "engine"
    shutil.copy2(locate(), engine)
    async with running(place, installed, CHORIA_BROKER_ENGINE=str(engine)):
        fresh = tmp_path / "fresh"
        shutil.copy2(locate(), fresh)
        with fresh.open("ab") as file:
            file.write(b"newer")
        fresh.rename(engine)
        code, out, _ = await place.command("upgrade")
        assert code == 3
        assert "Restart needed: the engine is older" in out
        (pending,) = (await place.status())["pending_restart"]
        assert pending["key"] == "engine"
        assert pending["old"] != pending["new"]
        metrics = await place.metrics()
        assert [name for name in metrics if "choria_broker_pending_restart" in name and 'key="engine"' in name]


@pytest.mark.slow
async def test_sessions_that_the_new_policy_would_refuse_end_after_an_upgrade_as_after_a_reload(
    place: Place, installed: Path, authority: Authority
) -> None:
    lost = asyncio.Event()

    async def closed() -> None:
        lost.set()

    bob = authority.context(authority.issue("bob.mcollective"))
    async with running(place, installed):
        await OrderedClient().connect(
            f"tls://127.0.0.1:{place.client}", tls=bob, allow_reconnect=False, connect_timeout=20, closed_cb=closed
        )
        with place.config.open("a", encoding="utf-8") as file:
            file.write(f"plugin.choria.network.client_signer_cert = {hex_of(OTHER_ORGANIZATION)}\n")
            file.write("plugin.choria.network.client_anon_tls = true\nplugin.choria.network.reload_sessions = end\n")
        assert (await place.command("upgrade"))[0] == 0
        await asyncio.wait_for(lost.wait(), 30)


@pytest.mark.slow
async def test_reloads_and_upgrades_wait_for_each_other(place: Place, installed: Path, authority: Authority) -> None:
    async with running(place, installed) as program, connected(place, authority) as client:
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP, signal.SIGHUP):
            program.send(number)
        await program.logs("The installed program has taken over")
        with place.config.open("a", encoding="utf-8") as file:
            file.write("plugin.choria.network.max_connections = 4321\n")
        program.send(signal.SIGHUP)
        await program.logs("This setting is in use now")
        await client.flush()
        async with asyncio.timeout(60):
            while acts(program).count("reload") < 2:
                await asyncio.sleep(0.02)
        assert acts(program).count("upgrade") == 1
        assert not any(
            "keeps the configuration from before the upgrade" in str(line["msg"]) for line in program.lines()
        )


def acts(program: Program) -> list[object]:
    """Tell what operators did, from the log."""
    return [line["act"] for line in program.lines() if "act" in line]


@pytest.mark.slow
async def test_many_upgrades_leave_nothing_behind(place: Place, authority: Authority) -> None:
    async with running(place) as program, connected(place, authority) as client:
        assert (await place.command("upgrade"))[0] == 0
        before = leftovers(program.pid)
        for _ in range(UPGRADES):
            assert (await place.command("upgrade"))[0] == 0
            await client.flush()
        async with asyncio.timeout(60):
            # What each upgrade left would add up. One descriptor more or less is open at times: that of a reading.
            while (after := leftovers(program.pid))[0] >= before[0] + UPGRADES or after[1] > before[1]:
                await asyncio.sleep(0.1)
        assert after[2] < before[2] * 1.2 + 20_000_000


def leftovers(pid: int) -> tuple[int, int, int]:
    """Count descriptors, children and resident bytes of a process."""
    process = psutil.Process(pid)
    return process.num_fds(), len(process.children()), process.memory_info().rss


@pytest.mark.slow
async def test_every_listener_link_and_stream_goes_on(place: Place, tmp_path: Path, authority: Authority) -> None:
    websocket, leafnode, cluster = free_port(), free_port(), free_port()
    with place.config.open("a", encoding="utf-8") as file:
        file.write(f"plugin.choria.network.websocket_port = {websocket}\n")
        file.write(f"plugin.choria.network.leafnode_port = {leafnode}\n")
        file.write(f"plugin.choria.network.peer_port = {cluster}\n")
        file.write(f"plugin.choria.network.stream.store = {tmp_path / 'store'}\n")
    async with running(place) as program, connected(place, authority) as client:
        await program.logs("Created stream")
        assert (await place.command("upgrade"))[0] == 0
        await client.flush()
        status = await place.status()
        assert {"client", "websocket", "leafnode"} <= set(status["ports"])
        async with asyncio.timeout(60):
            while {each["state"] for each in (await place.status())["streams"]} != {"ok"}:
                await asyncio.sleep(0.1)
        for port in (websocket, leafnode):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()


@pytest.mark.slow
async def test_a_demonstration_is_upgraded_too(tmp_path: Path) -> None:
    port, statistics = free_port(), free_port()
    words = ("demo", "--folder", tmp_path, "--port", str(port), "--stats-port", str(statistics))
    async with started(*words, log=tmp_path / "none") as program:
        await program.told("READY=1")
        authority = (tmp_path / "ca.pem").read_bytes()
        place = Place(tmp_path / "broker.conf", tmp_path / "none", port, statistics)
        assert (await place.command("upgrade"))[0] == 0
        assert (tmp_path / "ca.pem").read_bytes() == authority
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
