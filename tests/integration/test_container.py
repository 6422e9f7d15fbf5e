"""The broker as the first process of a container: another user, a read-only root, signals, and orphans.

What a container runtime would do is done with namespaces, so it takes root and no runtime.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from support.command import Program, started
from support.testbed import Authority, free_port

DEADLINE = 60.0
USER = 10001
SCRIPT = """
mount -t proc proc /proc
base=$1 closed=$2 data=$3; shift 3
if [ -n "$closed" ]; then
  mount --bind "$base" /mnt
  mount -t tmpfs -o mode=0755 none "$closed"
  mkdir -p "$base"
  mount --bind /mnt "$base"
fi
mount --bind "$data" "$data"
mount -t tmpfs -o mode=0755 none /run
install -d -m 2770 -o 0 -g 10001 /run/choria-broker
mount -o remount,bind,ro /
rm -rf /run/mount # of mount itself
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --pdeathsig KILL "$@"
"""
ENVIRONMENT = {
    "RUNTIME_DIRECTORY": "/run/choria-broker",
    "TMPDIR": "/run/choria-broker",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def closed_to_others(path: Path) -> str:
    """Return the first directory on the way to a path that other users may not pass; empty when all may."""
    return next((str(each) for each in reversed(path.parents) if not each.stat().st_mode & 0o001), "")


@pytest.fixture
def data() -> Iterator[Path]:
    """Make a folder of that user, to which everybody gets."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "nsenter", "mount"))):
        pytest.skip("needs root, unshare, setpriv, nsenter and mount")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:  # noqa: S607 - of the system
        pytest.skip("this machine gives no namespaces")
    folder = Path(tempfile.mkdtemp(prefix="choria-broker-container-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def container(data: Path, authority: Authority) -> AsyncIterator[tuple[Program, psutil.Process, int]]:
    """Run a broker as a container would; yield it, its first process and its statistics port."""
    own, port = authority.issue("broker.example.net"), free_port()
    for name, path in (("ca.crt", authority.ca), ("tls.crt", own.certificate), ("tls.key", own.key)):
        shutil.copy(path, data / name)
    (data / "broker.conf").write_text(
        f"""\
identity = broker.example.net
logfile = {data}/broker.log
plugin.choria.broker_network = true
plugin.choria.use_srv = false
plugin.choria.network.listen_address = 127.0.0.1
plugin.choria.network.client_port = {free_port()}
plugin.choria.network.stream.store = {data}/streams
plugin.choria.stats_port = {port}
plugin.security.provider = file
plugin.security.file.certificate = {data}/tls.crt
plugin.security.file.key = {data}/tls.key
plugin.security.file.ca = {data}/ca.crt
""",
        encoding="utf-8",
    )
    for path in (data, *data.iterdir()):
        os.chown(path, USER, USER)
    base = Path(sys.base_prefix).resolve()
    within = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", SCRIPT, "sh")
    places = (str(base), closed_to_others(base), str(data))
    words = ("run", "--config", data / "broker.conf")
    async with (
        asyncio.timeout(DEADLINE),
        started(*words, log=data / "broker.log", environment=ENVIRONMENT, within=(*within, *places)) as program,
    ):
        await program.told("READY=1")
        (first,) = psutil.Process(program.pid).children()
        yield program, first, port


async def test_it_serves_as_another_user_from_a_read_only_root_and_heeds_term(data: Path, authority: Authority) -> None:
    async with container(data, authority) as (program, first, port):
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/choria/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        status = Path(f"/proc/{first.pid}/status").read_text(encoding="ascii").splitlines()
        assert next(line.split()[-1] for line in status if line.startswith("NSpid:")) == "1"
        everybody = [first, *first.children(recursive=True)]
        assert {uid for each in everybody for uid in each.uids()} == {USER}
        inside = Path(f"/proc/{first.pid}/root")
        assert [each.name for each in (inside / "run").iterdir()] == ["choria-broker"]
        with pytest.raises(OSError, match="Read-only"):
            (inside / "etc/made-by-a-test").touch()
        os.kill(first.pid, signal.SIGTERM)
        assert await program.ended() == 0
        assert "Choria Network Broker shut down" in [line["msg"] for line in program.lines()]
        assert not any(each.is_running() for each in everybody)


async def test_orphans_are_waited_for_and_the_broker_s_end_is_the_end(data: Path, authority: Authority) -> None:
    async with container(data, authority) as (program, first, _port):
        (broker,) = first.children()
        for _ in range(3):
            inside = (
                "nsenter",
                "--target",
                str(first.pid),
                "--pid",
                "--mount",
                "sh",
                "-c",
                "(sleep 0.05 & sleep 0.05 &)",
            )
            entered = await asyncio.create_subprocess_exec(*inside)
            await entered.wait()
        while first.children() != [broker]:
            await asyncio.sleep(0.05)
        assert broker.status() != psutil.STATUS_ZOMBIE
        broker.kill()
        assert await program.ended() == 128 + signal.SIGKILL
