"""Files that change while a broker runs: they come into use by themselves, and broken ones never do."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import nats.errors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.engine.running import Limits
from choria_broker.reload.watcher import Pace
from support.minting import ORGANIZATION, STRANGER, by_token
from support.spoiling import cut, directory, expired, gone, of_another, pipe
from support.stalls import stopped
from support.testbed import IDENTITY, Authority, client, configuration, settled

PATIENCE = 0.6
VECTORS = Path(__file__).parents[1] / "vectors"
NAMES = (IDENTITY, "127.0.0.1", "::1", "localhost")


@contextlib.asynccontextmanager
async def watching(config: Path, *, patience: float = PATIENCE) -> AsyncIterator[NetworkBroker]:
    """Run a broker that looks often and has little patience."""
    broker = NetworkBroker.from_file(config)
    broker.watcher.pace = Pace(look=0.05, patience=patience)
    async with broker:
        yield broker


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def served(broker: NetworkBroker, authority: Authority) -> int:
    """Return the serial number of the certificate that a new client gets to see."""
    context = authority.context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.ports.client)
    try:
        await reader.readline()
        await writer.start_tls(context)
        return x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(True)).serial_number
    finally:
        writer.close()


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def taken(broker: NetworkBroker) -> int:
    """How many reloads have put something in force."""
    return broker.reloads.outcomes["applied"]


def _is_taken(broker: NetworkBroker, count: int) -> bool:
    return taken(broker) == count


def signer(path: Path, key: Ed25519PrivateKey) -> None:
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture
def config(tmp_path: Path, authority: Authority) -> Path:
    signer(tmp_path / "signer.pem", ORGANIZATION)
    return configuration(tmp_path, authority, network__client_signer_cert=tmp_path / "signer.pem")


async def test_a_new_pair_is_in_use_by_itself_and_nobody_is_dropped(config: Path, authority: Authority) -> None:
    own = authority.ca.parent / f"{IDENTITY}.pem"
    other = own.with_suffix(".key")
    async with watching(config, patience=60) as broker, client(broker, authority.context(), **by_token()) as before:
        old, old_key = serial(own), other.read_bytes()
        authority.issue(*NAMES)
        new, new_key = serial(own), other.read_bytes()
        other.write_bytes(old_key)
        # The certificate is there before its key.
        await until(lambda: any(watch.tried for watch in broker.watcher._watches.values()))
        assert await served(broker, authority) == old
        assert (taken(broker), broker.reloads.latest, broker.reloads.problems) == (0, None, ())
        other.write_bytes(new_key)
        await until(lambda: taken(broker) == 1)
        assert await served(broker, authority) == new
        assert broker.reloads.latest is not None
        assert broker.reloads.latest.asked_by.startswith(f"changed files {own}, {other}")
        assert set(broker.reloads.latest.files) == {str(own), str(other)}
        await settled(before)


@pytest.mark.slow
async def test_a_new_pair_is_in_use_although_the_engine_stood_still_when_it_came(
    config: Path, authority: Authority
) -> None:
    own = authority.ca.parent / f"{IDENTITY}.pem"
    loaded = load(config)
    assert loaded.settings is not None
    broker = NetworkBroker(loaded.settings, loaded=loaded, limits=Limits(reload=0.3))
    broker.watcher.pace = Pace(look=0.05, patience=PATIENCE)
    async with broker:
        with stopped(broker._engine.pid):
            authority.issue(*NAMES)
            await until(lambda: broker.reloads.problems)
            assert "did not report the result of the reload" in broker.reloads.problems[0].why
        await until(lambda: taken(broker) == 1)
        assert await served(broker, authority) == serial(own)
        assert broker.reloads.problems == ()


async def test_a_reload_waits_for_the_other_half_of_a_pair(config: Path, authority: Authority) -> None:
    own = authority.ca.parent / f"{IDENTITY}.pem"
    other = own.with_suffix(".key")
    async with NetworkBroker.from_file(config) as broker:
        broker.reloads.settling = 10
        authority.issue(*NAMES)
        new_key = other.read_bytes()
        other.write_bytes(b"")
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(broker.reload())
            await until(lambda: not broker._in_force.looked_at[other].content)
            other.write_bytes(new_key)
        assert asked.result() == ()
        assert await served(broker, authority) == serial(own)


def exchange(volume: Path, name: str) -> None:
    """Have ``..data`` lead to another directory, as Kubernetes does with secrets."""
    fresh = volume / "..data_tmp"
    fresh.symlink_to(name)
    fresh.replace(volume / "..data")


async def test_links_are_followed_there_and_back(tmp_path: Path, authority: Authority) -> None:
    volume = tmp_path / "secret"
    serials = []
    for name in ("..first", "..second"):
        (volume / name).mkdir(parents=True)
        made = authority.issue(*NAMES)
        serials.append(serial(made.certificate))
        shutil.copy(made.certificate, volume / name / "tls.crt")
        shutil.copy(made.key, volume / name / "tls.key")
    exchange(volume, "..first")
    for name in ("tls.crt", "tls.key"):
        (volume / name).symlink_to(f"..data/{name}")
    config = configuration(
        tmp_path,
        authority,
        plugin__security__file__certificate=volume / "tls.crt",
        plugin__security__file__key=volume / "tls.key",
    )
    async with watching(config) as broker:
        for count, (name, expected) in enumerate((("..second", serials[1]), ("..first", serials[0])), 1):
            exchange(volume, name)
            await until(functools.partial(_is_taken, broker, count))
            assert await served(broker, authority) == expected
        assert broker.reloads.problems == ()


async def test_files_replaced_by_renaming_one_after_the_other(config: Path, authority: Authority) -> None:
    own = authority.ca.parent / f"{IDENTITY}.pem"
    async with watching(config) as broker:
        aside = Authority.issue(authority, "aside.example.net", *NAMES)
        aside.key.replace(own.with_suffix(".key"))
        aside.certificate.replace(own)
        await until(lambda: taken(broker) == 1)
        assert await served(broker, authority) == serial(own)


def _mend(path: Path, content: bytes) -> None:
    aside = path.with_name("aside")
    aside.write_bytes(content)
    if path.is_dir():
        path.rmdir()
    aside.replace(path)


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *((f"{IDENTITY}.pem", harm) for harm in (cut, pipe, of_another, expired)),
        *((f"{IDENTITY}.key", harm) for harm in (gone, of_another)),
        *(("ca.pem", harm) for harm in (cut, directory)),
        *(("signer.pem", harm) for harm in (cut, gone)),
        *(("remote.creds", harm) for harm in (gone, directory)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_a_broken_file_is_told_once_and_changes_nothing_until_it_is_good_again(
    name: str, harm: Callable[[Path, Authority], None], tmp_path: Path, authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    signer(tmp_path / "signer.pem", ORGANIZATION)
    shutil.copy(VECTORS / "operator/OPS/creds/ACME/broker.creds", tmp_path / "remote.creds")
    config = configuration(
        tmp_path,
        authority,
        network__client_signer_cert=tmp_path / "signer.pem",
        network__leafnode_remotes="hub",
        network__leafnode_remote__hub__url="127.0.0.1:1",
        network__leafnode_remote__hub__credentials=tmp_path / "remote.creds",
    )
    trusting = authority.context()
    labels = {"identity": IDENTITY}
    async with watching(config, patience=0.3) as broker, client(broker, trusting, **by_token()) as before:
        target = next(path for path in (authority.ca.parent / name, tmp_path / name) if path.exists())
        files = {path: path.read_bytes() for path in target.parent.iterdir() if path.suffix in {".pem", ".key"}}
        good = target.read_bytes()
        harm(target, authority)
        await until(lambda: broker.reloads.problems)
        (problem,) = broker.reloads.problems
        assert str(target) in problem.files
        # Of a certificate and a key that do not belong together, either may be the wrong one.
        assert str(target.with_suffix("") if harm is of_another else target) in problem.why
        assert "nothing is changed" in problem.why
        for _ in range(3):
            await broker.watcher.round()
        assert broker.reloads.outcomes["refused"] == 1
        assert any("a changed file is not in use: " in each for each in broker._reporter.health().reasons)
        value = broker.registry.get_sample_value
        assert value("choria_broker_watched_file_problem", labels | {"file": str(target)}) == 1
        async with client(broker, trusting, **by_token()):
            pass
        _mend(target, good)
        for path, content in files.items():
            if path.read_bytes() != content:
                _mend(path, content)
        await until(lambda: not broker.reloads.problems)
        assert value("choria_broker_watched_file_problem", labels | {"file": str(target)}) is None
        assert not [each for each in broker._reporter.health().reasons if "not in use" in each]
        await settled(before)
    assert "Files that could not be used are valid again" in caplog.text


async def test_a_broken_certificate_keeps_no_signer_out(config: Path, tmp_path: Path, authority: Authority) -> None:
    async with watching(config, patience=0.2) as broker:
        trusting = authority.context()
        (authority.ca.parent / f"{IDENTITY}.pem").write_bytes(b"")
        await until(lambda: broker.reloads.problems)
        with pytest.raises((nats.errors.Error, OSError)):
            async with client(broker, trusting, **by_token(STRANGER)):
                pass
        signer(tmp_path / "signer.pem", STRANGER)
        await until(lambda: taken(broker) == 1)
        async with client(broker, trusting, **by_token(STRANGER)):
            pass
        assert broker.reloads.latest is not None
        assert broker.reloads.latest.files == (str(tmp_path / "signer.pem"),)


async def test_what_a_whole_reload_took_over_is_not_read_again(config: Path, authority: Authority) -> None:
    async with watching(config, patience=60) as broker:
        authority.issue(*NAMES)
        await broker.reload()
        count = broker.reloads.outcomes.total()
        for _ in range(3):
            await broker.watcher.round()
        assert broker.reloads.outcomes.total() == count == 1
