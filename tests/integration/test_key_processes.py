"""Private keys outside the engine: key processes sign for every listener and link, and the engine never has the key."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import os
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from choria_broker.broker import NetworkBroker
from choria_broker.errors import ReloadError
from support.handshakes import Doors, serial, trusting
from support.leaflinks import hub, remote, spoke
from support.testbed import IDENTITY, Authority, Identity, client, configuration, free_port, settled
from support.topology import Node, every_listener, formed, leafnodes, nodes, peers
from support.upgrading import connected, placed, running

DEADLINE = 60.0
ALL = {"client", "websocket", "leafnode", "cluster", "gateway"}
NAMES = (IDENTITY, "127.0.0.1", "::1", "localhost")


async def becomes(what: str, happened: Callable[[], bool]) -> None:
    """Wait for a state that nothing announces."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not happened():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None


def pids(broker: NetworkBroker) -> tuple[int, ...]:
    return broker._engine.keys.pids


def signed(broker: NetworkBroker) -> int:
    return broker._engine.counters.signings.signed


def primes(key: Path) -> tuple[bytes, bytes]:
    """Return what gives an RSA key away, as it lies in memory: both primes, in either order of bytes."""
    private = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    prime = private.private_numbers().p
    return prime.to_bytes(prime.bit_length() // 8, "big"), prime.to_bytes(prime.bit_length() // 8, "little")


def lies_in(pid: int, needles: tuple[bytes, ...]) -> bool:
    """Tell whether something lies in the memory of a process."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - unbuffered
        for line in maps:
            place, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(each, 16) for each in place.split("-"))
            try:
                content = os.pread(memory.fileno(), end - begin, begin)
            except OSError:
                continue
            if any(each in content for each in needles):
                return True
    return False


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_every_listener_has_its_key_outside_and_the_engine_has_not(
    tmp_path: Path, authority: Authority, version: ssl.TLSVersion
) -> None:
    node = Node(IDENTITY)
    settings = every_listener(node, free_port())
    config = configuration(tmp_path, authority, **settings, network__peer_port=node.peer)
    own = authority.issue(*NAMES, rsa=True)
    context = trusting(authority, identity=authority.issue("bob.mcollective"))
    context.maximum_version = context.minimum_version = version
    async with NetworkBroker.from_file(config) as served:
        doors = Doors.of(served)
        assert set(doors.ports) == ALL
        assert await doors.presented(context) == dict.fromkeys(ALL, serial(own.certificate))
        await becomes("the signatures are counted", lambda: signed(served) >= len(ALL))
        assert len(pids(served)) in range(1, served._engine.keys.wanted + 1)
        assert not lies_in(served._engine.pid, primes(own.key))
        opened = [str(each.readlink()) for each in Path(f"/proc/{served._engine.pid}/fd").iterdir()]
        assert str(own.key) not in opened
        for pid in pids(served):
            # As root one may, so the kernel is asked who owns the files: they are root's where nobody else may look.
            assert Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "choria-key"
            assert Path(f"/proc/{pid}/cmdline").read_bytes().find(str(own.key).encode()) < 0
        left = pids(served)
    for pid in left:
        assert not Path(f"/proc/{pid}").exists()


async def test_a_key_is_replaced_by_one_of_another_kind_and_back(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    rsa_key = authority.issue(*NAMES, rsa=True)
    bob = trusting(authority, identity=authority.issue("bob.mcollective"))

    async def reissued(*, as_rsa: bool) -> Identity:
        made = authority.issue(*NAMES, rsa=as_rsa)
        await served.reload()
        assert await Doors.of(served).presented(bob) == {"client": serial(made.certificate)}
        return made

    async with NetworkBroker.from_file(config) as served:
        assert pids(served)
        async with client(served, bob) as first:
            assert await Doors.of(served).presented(bob) == {"client": serial(rsa_key.certificate)}
            await reissued(as_rsa=False)
            await becomes("no key, no processes", lambda: not pids(served))
            assert served._engine.keys.wanted == 0
            await reissued(as_rsa=True)
            before = pids(served)
            assert before
            await reissued(as_rsa=True)  # The same processes hold the next key of this kind.
            assert set(before) <= set(pids(served))
            await settled(first)
        assert served._engine.keys.restarts == 0


async def test_what_the_engine_refuses_leaves_the_key_in_force(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    own = authority.issue(*NAMES, rsa=True)
    bob = trusting(authority, identity=authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(config) as served:
        presented = {"client": serial(own.certificate)}
        rightful = own.certificate.read_bytes()
        settings, rendered = served.settings, served._in_force.state.engine
        authority.issue(*NAMES, rsa=True)
        own.certificate.write_bytes(rightful)  # The key of another certificate.
        with pytest.raises(ReloadError, match="does not belong to certificate"):
            await served._engine.change(settings, rendered)
        # Also a process that is started now has the key in force, and not what the file has by now.
        for pid in pids(served):
            os.kill(pid, signal.SIGKILL)
        await becomes("others sign", lambda: served._engine.keys.restarts > 0 and bool(pids(served)))
        assert await Doors.of(served).presented(bob) == presented


async def test_handshakes_go_on_while_key_processes_are_killed(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    config = configuration(tmp_path, authority, network__tls_timeout="60s")
    own = authority.issue(*NAMES, rsa=True)
    bob = trusting(authority, identity=authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(config) as served:
        doors = Doors.of(served)

        def restarted(before: int) -> bool:
            return served._engine.keys.restarts > before

        async def arrive() -> None:
            for _ in range(10):
                assert await doors.presented(bob) == {"client": serial(own.certificate)}

        async with asyncio.TaskGroup() as arriving:
            for _ in range(4):
                arriving.create_task(arrive())
            for _ in range(2):
                await becomes("a process signs", lambda: bool(pids(served)))
                os.kill(pids(served)[0], signal.SIGKILL)
                before = served._engine.keys.restarts
                await becomes("it is started again", functools.partial(restarted, before))
        await becomes("all sign", lambda: len(pids(served)) == served._engine.keys.wanted)
    assert "A key process has ended and is restarted" in caplog.text


@pytest.mark.parametrize(("word", "as_rsa", "outside"), [("never", True, False), ("always", False, True)])
async def test_the_operator_has_the_last_word(
    tmp_path: Path, authority: Authority, word: str, as_rsa: bool, outside: bool
) -> None:
    config = configuration(tmp_path, authority, network__tls_key_processes=word)
    own = authority.issue(*NAMES, rsa=as_rsa)
    bob = trusting(authority, identity=authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(config) as served:
        assert await Doors.of(served).presented(bob) == {"client": serial(own.certificate)}
        assert bool(pids(served)) is outside
        if as_rsa:
            assert lies_in(served._engine.pid, primes(own.key))  # So the other test does look where a key would be.


class RsaAuthority(Authority):
    """A CA whose certificates all have RSA keys."""

    def issue(self, *names: str, rsa: bool = True, until: dt.datetime | None = None) -> Identity:
        return super().issue(*names, rsa=rsa, until=until)


async def test_links_are_dialled_with_a_key_outside(tmp_path: Path) -> None:
    authority = RsaAuthority(tmp_path)
    (one, two), hq = nodes(2), Node("hq.example.net")
    above = hub(tmp_path, authority, hq)
    below = spoke(tmp_path, authority, one, **remote("HQ", hq.leafnode), **peers(one, two))
    beside = spoke(tmp_path, authority, two, **peers(one, two))
    async with above, below, beside:
        await formed(one, two)
        await leafnodes(hq, 1)
        for each in (above, below, beside):
            assert pids(each)
            await becomes("links are signed for", functools.partial(lambda each: signed(each) > 0, each))


@pytest.mark.slow
async def test_an_upgrade_goes_on_with_the_key(tmp_path: Path, authority: Authority) -> None:
    place = placed(tmp_path, authority)
    own = authority.issue(*NAMES, rsa=True)
    bob = trusting(authority, identity=authority.issue("bob.mcollective"))
    doors = Doors({"client": place.client})
    async with running(place) as program, connected(place, authority) as there:
        # The broker serves as soon as one of them signs.
        wanted = (await place.status())["key_processes"]["wanted"]
        await becomes("all are there", lambda: len(processes_of(program.pid)) == wanted > 0)
        before = processes_of(program.pid)
        code, out, error = await place.command("upgrade")
        assert (code, error) == (0, ""), out
        assert await doors.presented(bob) == {"client": serial(own.certificate)}
        await becomes("other processes sign", lambda: not before & processes_of(program.pid))
        assert await doors.presented(bob) == {"client": serial(own.certificate)}
        code, out, error = await place.command("reload")
        assert (code, error) == (0, ""), out
        assert await doors.presented(bob) == {"client": serial(own.certificate)}
        told = (await place.status())["key_processes"]
        assert (told["wanted"], told["restarts"], told["failed"]) == (len(before), 0, 0)
        assert f" of {len(before)} run; " in (await place.command("status"))[1]
        await there.flush()
        assert not [line for line in program.lines() if line["level"] == "error"]


def processes_of(broker_pid: int) -> set[int]:
    """Return the key processes among the children of a broker."""
    return {each.pid for each in psutil.Process(broker_pid).children() if each.name() == "choria-key"}
