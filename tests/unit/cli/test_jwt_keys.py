"""``jwt keys``, and what holds for the whole group."""

from __future__ import annotations

import os
import re

import pytest

from choria_broker.security.signing import public_hex
from support.jwt_bench import Bench
from support.minting import VECTORS

RSA = str(VECTORS / "keys" / "rsa_private.pem")


@pytest.mark.parametrize("name", ["keys", "k"])
def test_makes_a_pair(bench: Bench, name: str) -> None:
    result = bench.run(name, "new.seed", "new.pub")

    seed, public = (bench.folder / "new.seed").read_text(), (bench.folder / "new.pub").read_text()
    assert result.exit_code == 0
    assert result.output == f"Public Key: {public}\n\nEd25519 seed saved in new.seed\n"
    assert re.fullmatch("[0-9a-f]{64}", seed)
    assert (bench.folder / "new.seed").stat().st_mode & 0o777 == 0o600
    assert (bench.folder / "new.pub").stat().st_mode & 0o777 == 0o600
    assert bench.run("keys", "--show-public", "new.seed").output == f"Public Key: {public}\n"


def test_the_public_file_is_optional(bench: Bench) -> None:
    assert bench.run("keys", "new.seed").exit_code == 0
    assert not (bench.folder / "new.pub").exists()


def test_seeds_differ(bench: Bench) -> None:
    bench.run("keys", "1.seed")
    bench.run("keys", "2.seed")
    assert (bench.folder / "1.seed").read_text() != (bench.folder / "2.seed").read_text()


@pytest.mark.parametrize(
    ("present", "answers", "status", "replaced"),
    [
        ("u.seed", "y\n", 0, True),
        ("u.seed", "n\n", 0, False),
        ("u.seed", "\n", 0, False),
        ("u.seed", "", 1, False),
        ("u.pub", "y\n", 0, True),
        ("u.pub", "n\n", 0, False),
    ],
)
def test_asks_before_it_overwrites(bench: Bench, present: str, answers: str, status: int, *, replaced: bool) -> None:
    before = (bench.folder / present).read_text()
    arguments = [present] if present.endswith("seed") else ["new.seed", present]

    result = bench.run("keys", *arguments, answers=answers)

    assert result.exit_code == status
    assert f"Really overwrite {present}" in result.stderr
    assert ((bench.folder / present).read_text() != before) is replaced
    assert ("Skipping" in result.stdout) is (status == 0 and not replaced)
    if not replaced:
        assert not (bench.folder / "new.seed").exists()


def test_force_overwrites_without_asking(bench: Bench) -> None:
    old = bench.folder / "u.seed"
    old.chmod(0o644)
    before = old.read_text()

    result = bench.run("keys", "-f", "u.seed", "u.pub")

    assert result.exit_code == 0
    assert "Really" not in result.output
    assert old.read_text() != before
    assert old.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in bench.folder.iterdir()) == ["org.pub", "org.seed", "u.pub", "u.seed"]


def test_force_writes_through_a_link(bench: Bench) -> None:
    (bench.folder / "link").symlink_to("u.seed")
    before = (bench.folder / "u.seed").read_text()

    assert bench.run("keys", "--force", "link").exit_code == 0

    assert (bench.folder / "link").is_symlink()
    assert (bench.folder / "u.seed").read_text() != before


def test_show_public_makes_nothing(bench: Bench) -> None:
    assert "new.seed" in bench.fails("keys", "--show-public", "new.seed")
    assert not (bench.folder / "new.seed").exists()
    assert "RSA" in bench.fails("keys", "--show-public", RSA)


def test_show_public_can_write_it(bench: Bench) -> None:
    result = bench.run("keys", "--show-public", "u.seed", "again.pub")
    assert result.exit_code == 0
    assert (bench.folder / "again.pub").read_text() == public_hex(bench.holder)
    assert "--force" in bench.fails("keys", "--show-public", "u.seed", "org.pub")
    assert (bench.folder / "org.pub").read_text() == public_hex(bench.organization)


def test_a_folder_that_is_not_there(bench: Bench) -> None:
    assert "no/new.seed cannot be written (No such file" in bench.fails("keys", "no/new.seed")


def test_what_is_not_a_plain_file_stays(bench: Bench) -> None:
    os.mkfifo(bench.folder / "pipe")
    assert "pipe is not a regular file" in bench.fails("keys", "--force", "pipe")
    assert (bench.folder / "pipe").is_fifo()
    (bench.folder / "folder").mkdir()
    assert "folder is not a regular file" in bench.fails("keys", "--force", "folder")


@pytest.mark.parametrize(
    "arguments", [["keys"], ["client", "--nope"], ["server", "x"], ["--nope"], ["view"], ["check"]]
)
def test_misuse_has_status_one(bench: Bench, arguments: list[str]) -> None:
    result = bench.run(*arguments)
    assert result.exit_code == 1
    assert "Usage: jwt" in result.stderr


def test_help(bench: Bench) -> None:
    for arguments in (["--help"], ["keys", "--help"], ["prov", "--help"], ["s", "--help"]):
        result = bench.run(*arguments)
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: jwt")


def test_temporary_files_do_not_stay_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(bench.folder.iterdir())
    old = (bench.folder / "u.seed").read_text()

    assert "No space left" in bench.fails("keys", "new.seed")
    assert "No space left" in bench.fails("keys", "--force", "u.seed")

    assert sorted(bench.folder.iterdir()) == before
    assert (bench.folder / "u.seed").read_text() == old


def test_a_link_that_leads_nowhere(bench: Bench) -> None:
    (bench.folder / "loop").symlink_to("loop")
    assert "loop exists already" in bench.fails("keys", "loop")
    assert "loop cannot be written" in bench.fails("keys", "--force", "loop")
    assert "loop cannot be read" in bench.fails("keys", "--show-public", "loop")
