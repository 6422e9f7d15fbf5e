"""Where the control socket of a broker lies, and whose socket is believed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from choria_broker.control import server
from choria_broker.control import socket_path as place
from choria_broker.control.client import NotRunningError, ask_status
from choria_broker.control.peer_credentials import uid_of_peer
from choria_broker.control.place import claim
from choria_broker.errors import ConfigurationError
from support.control_socket import SOURCES


@pytest.fixture
def killed(tmp_path: Path, environ: Mapping[str, str]) -> Iterator[tuple[int, Path]]:
    """What a broker leaves that is killed while it has its place; the process waits until the fixture ends it."""
    code = (
        "import socket, sys; from pathlib import Path\n"
        "from choria_broker.control.place import claim; from choria_broker.control.socket_path import reachable\n"
        f"with claim(Path({str(tmp_path / 'broker.conf')!r}), {dict(environ)!r}) as path, reachable(path) as name:\n"
        "    sock = socket.socket(socket.AF_UNIX); sock.bind(name); sock.listen()\n"
        "    print(path, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        yield other.pid, Path(other.stdout.readline().strip())
        other.kill()


async def test_a_live_socket_is_respected_and_a_stale_one_replaced(
    tmp_path: Path, environ: Mapping[str, str], killed: tuple[int, Path]
) -> None:
    pid, path = killed
    with pytest.raises(ConfigurationError) as caught:
        async with server.serve(tmp_path / "broker.conf", SOURCES, environ=environ):
            pass
    assert f"another broker runs with this configuration, process {pid}" in str(caught.value)
    assert "Remedy: " in str(caught.value)
    assert path.exists()

    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while True:
            try:
                async with server.serve(tmp_path / "broker.conf", SOURCES, environ=environ) as again:
                    assert again == path
                    assert (await asyncio.to_thread(ask_status, tmp_path / "broker.conf", environ)).pid == 1
                    return
            except ConfigurationError:
                await asyncio.sleep(0.01)  # The kernel has not ended the process yet.


def test_a_place_of_somebody_else_is_not_used(tmp_path: Path, environ: Mapping[str, str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    directory = tmp_path / place.directory_name(tmp_path / "broker.conf", os.geteuid())
    directory.symlink_to(tmp_path / "elsewhere")

    with (
        pytest.raises(ConfigurationError, match="set RUNTIME_DIRECTORY"),
        claim(tmp_path / "broker.conf", environ),
    ):
        pass


def test_places_are_found_again_whoever_asks(tmp_path: Path) -> None:
    source = tmp_path / "broker.conf"
    (tmp_path / "personal").mkdir()
    personal = {"XDG_RUNTIME_DIR": str(tmp_path / "personal")}

    assert place.bases(os.geteuid(), personal)[0] == tmp_path / "personal"
    assert tmp_path / "personal" not in place.bases(os.geteuid() + 1, personal)
    assert place.bases(0, {})[0] == Path("/run/choria-broker")
    assert place.bases(1000, {"RUNTIME_DIRECTORY": "/run/a:/run/b"})[0] == Path("/run/a")
    assert place.directory_name(source, 7) == place.directory_name(tmp_path / "x" / ".." / "broker.conf", 7)
    assert place.directory_name(source, 7) != place.directory_name(source, 8)

    other = tmp_path / place.directory_name(source, 7)
    other.mkdir()
    environ = {"RUNTIME_DIRECTORY": str(tmp_path)}
    assert other / place.SOCKET in place.candidates(source, 0, environ)
    assert other / place.SOCKET not in place.candidates(source, 1000, environ)


def test_root_looks_for_others_only_where_not_everybody_makes_directories(tmp_path: Path) -> None:
    source = tmp_path / "broker.conf"
    (tmp_path / place.directory_name(source, 7)).mkdir()
    tmp_path.chmod(0o1777)

    for environ in ({"RUNTIME_DIRECTORY": str(tmp_path)}, {}):
        assert not [path for path in place.candidates(source, 0, environ) if path.parent.name.endswith(".7")]


OWN = os.geteuid()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """A socket in a directory as brokers make it."""
    directory = tmp_path / f"choria-broker-0123456789abcdef.{OWN}"
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as sock, place.reachable(directory / place.SOCKET) as name:
        sock.bind(name)
        sock.listen()
        yield directory / place.SOCKET


def test_the_place_of_a_broker_leads_to_its_socket(listening: Path) -> None:
    with place.belonging(listening) as name, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(name)
        assert uid_of_peer(sock) == OWN


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_place_that_others_may_write_to_is_not_followed(listening: Path, mode: int) -> None:
    listening.parent.chmod(mode)
    with pytest.raises(PermissionError), place.belonging(listening):
        pass


@pytest.mark.parametrize("suffix", [str(OWN + 1), "x", "", "-1"])
def test_a_place_of_another_user_than_its_name_says_is_not_followed(listening: Path, suffix: str) -> None:
    moved = listening.parent.rename(listening.parent.with_name(f"choria-broker-0123456789abcdef.{suffix}"))
    with pytest.raises(PermissionError), place.belonging(moved / place.SOCKET):
        pass


@pytest.mark.skipif(OWN != 0, reason="only root can give a file to another user")
def test_a_socket_of_another_user_is_not_followed(listening: Path) -> None:
    os.chown(listening, 65534, 65534)
    with pytest.raises(PermissionError), place.belonging(listening):
        pass


def test_links_are_not_followed(listening: Path, tmp_path: Path) -> None:
    link = tmp_path / f"choria-broker-fedcba9876543210.{OWN}"
    link.symlink_to(listening.parent)
    with pytest.raises(OSError, match=r"Not a directory|Too many"), place.belonging(link / place.SOCKET):
        pass
    link.unlink()
    link.mkdir(mode=0o700)
    (link / place.SOCKET).symlink_to(listening)
    with pytest.raises(OSError, match="not a socket"), place.belonging(link / place.SOCKET):
        pass


@pytest.mark.skipif(OWN != 0, reason="only root can give a file to another user")
def test_root_does_not_believe_a_stranger_in_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "broker.conf"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = tmp_path / place.directory_name(source, 0)
    directory.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX) as sock:
        with place.reachable(directory / place.SOCKET) as name:
            sock.bind(name)
        sock.listen()
        sock.settimeout(0)
        for path in (directory / place.SOCKET, directory):
            os.chown(path, 65534, 65534)
        with pytest.raises(NotRunningError):
            ask_status(source, {})
        with pytest.raises(BlockingIOError):
            sock.accept()


async def test_an_answer_of_another_user_is_not_believed(
    tmp_path: Path, environ: Mapping[str, str], socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert socket_path.exists()
    monkeypatch.setattr("choria_broker.control.client.uid_of_peer", lambda _sock: OWN + 54321)
    with pytest.raises(NotRunningError):
        await asyncio.to_thread(ask_status, tmp_path / "broker.conf", environ)
