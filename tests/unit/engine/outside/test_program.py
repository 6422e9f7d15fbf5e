"""A key process between the engine and the broker, both of which are the test here."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from choria_broker.engine.outside import program
from choria_broker.engine.outside.process import _CODE, _places
from choria_broker.engine.outside.signing import ECDSA, load_key

PATIENCE = 60.0
KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
NAME = load_key(PEM)[0]
FAR = (1 << 62).to_bytes(8, "big")
REQUEST = bytes(8) + FAR + NAME + bytes([ECDSA, 2]) + bytes(32)


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    return ours, theirs


def number(value: int) -> bytes:
    return value.to_bytes(program.NUMBER, "big")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "key.pem").write_bytes(PEM)
    descriptor = os.open(tmp_path / "key.pem", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_keys_come_and_go_by_their_numbers() -> None:
    keys = program.Keys()
    assert keys.told(b"+" + number(1), PEM) == b"+" + NAME
    assert keys.told(b"+" + number(2), PEM) == b"+" + NAME
    assert keys.told(b"+" + number(3), b"") == b"-no usable private key: ValueError"
    assert keys.told(b"-" + number(1), b"") == b"+"
    assert set(keys.by_name) == {NAME}
    assert keys.told(b"-" + number(2), b"") == b"+"
    assert keys.told(b"-" + number(9), b"") == b"+"
    assert keys.told(b"?", b"") == b"-unknown order"
    assert not keys.by_name


def test_it_signs_once_it_was_told_to_begin_and_until_the_engine_has_gone(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (engine, requests), (broker, told) = pair(), pair()
    ended, gone = threading.Event(), threading.Event()
    # In this process its end is not to be the end of everything.
    monkeypatch.setattr(os, "_exit", lambda _status: gone.set())

    def run() -> None:
        program.serve(requests, told, program.Keys())
        ended.set()

    thread = threading.Thread(target=run, daemon=True)
    with engine, requests, broker, told:
        thread.start()
        engine.send(REQUEST)
        socket.send_fds(broker, [b"+" + number(1)], [file])
        assert broker.recv(100) == b"+" + NAME
        broker.send(b"!")
        signature = engine.recv(1000)
        assert signature[:9] == bytes(9)
        KEY.public_key().verify(signature[9:], bytes(32), ec.ECDSA(utils.Prehashed(SHA256())))
        engine.send(bytes(16) + REQUEST[16:])  # Nobody waits for it.
        broker.send(b"-" + number(1))
        assert broker.recv(100) == b"+"
        engine.send(REQUEST)
        assert engine.recv(1000) == bytes(8) + b"\x01unknown key"
        engine.close()
        assert ended.wait(PATIENCE)
        broker.close()
        assert gone.wait(PATIENCE)


def test_without_a_broker_it_never_begins() -> None:
    (engine, requests), (broker, told) = pair(), pair()
    with engine, requests, told:
        broker.close()
        program.serve(requests, told, program.Keys())


@contextlib.contextmanager
def process(version: str) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket, socket.socket]]:
    (engine, requests), (broker, told) = pair(), pair()
    with engine, requests, broker, told:
        descriptors = (requests.fileno(), told.fileno())
        with subprocess.Popen(  # noqa: S603 - this interpreter with a program of ours
            [sys.executable, "-I", "-S", "-c", _CODE, version, *map(str, descriptors), *_places()],
            stderr=subprocess.PIPE,
            pass_fds=descriptors,
            env={},
        ) as started:
            requests.close()
            told.close()
            yield started, engine, broker
            started.kill()


def test_the_program_imports_little_and_nobody_can_look_into_it(file: int) -> None:
    with process(program.VERSION) as (started, engine, broker):
        socket.send_fds(broker, [b"+" + number(1)], [file])
        assert broker.recv(100) == b"+" + NAME
        broker.send(b"!")
        engine.send(REQUEST)
        assert engine.recv(1000)[:9] == bytes(9)
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{started.pid}/status").read_text(encoding="ascii").splitlines()
        )
        assert status["Name"].strip() == "choria-key"
        assert int(status["RssAnon"].split()[0]) < 24_000  # Kilobytes; the broker itself has three times as many.
        maps = Path(f"/proc/{started.pid}/maps")
        with contextlib.suppress(PermissionError):  # For others than root, as it should be.
            loaded = maps.read_text(encoding="utf-8")
            assert not [name for name in ("msgspec", "uvloop", "asyncio", "nacl", "_ssl.") if name in loaded]
        broker.close()
        assert started.wait(PATIENCE) == 0


def test_the_program_of_another_version_says_so() -> None:
    with process("0") as (started, _, _):
        assert started.wait(PATIENCE) == 1
        assert started.stderr
        assert b"speaks version 0 with its key processes, this program version" in started.stderr.read()
