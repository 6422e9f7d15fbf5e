"""Prepare the nats-server library for the engine: the exact version of ``go.mod``, with our patches applied.

The module comes from Go's cache, which checks it against ``go.sum``. A copy with the patches is put into
``build``, and ``engine/go.work`` has Go use that copy in place of the module. Both are made again when a patch
or the version changes. The applier is our own since those of others take lines that only look alike, or skip what
is applied already.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

MODULE = "github.com/nats-io/nats-server/v2"
DOWNLOAD_TIMEOUT = 300


class LibraryError(Exception):
    """The patched library cannot be made; the message is one sentence that says why."""


@dataclass(frozen=True)
class Hunk:
    """One place of a file: the lines that are there, none for a new file, and those that are to be there."""

    old: str
    new: str


@dataclass(frozen=True)
class Change:
    """What a patch does to one file, whose path is relative to the module."""

    path: str
    hunks: tuple[Hunk, ...]


def parse(name: str, text: str) -> tuple[Change, ...]:
    """Read a unified diff that begins with its reason in plain words.

    Args:
        name: of the patch, for messages.
        text: the whole patch.

    Raises:
        LibraryError: it has no reason, or is no unified diff of this kind.
    """
    reason, *parts = re.split(r"^--- (?=\S)", text, flags=re.MULTILINE)
    if not reason.strip() or not parts:
        raise LibraryError(f"{name} has to begin with its reason in plain words, followed by a unified diff")
    return tuple(_change(name, part) for part in parts)


def _change(name: str, part: str) -> Change:
    head, *rest = re.split(r"^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@.*\n", part, flags=re.MULTILINE)
    counts = re.findall(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", part, flags=re.MULTILINE)
    match = re.fullmatch(r"(\S+).*\n\+\+\+ b/(\S+).*\n", head)
    if match is None or match[1] not in ("/dev/null", f"a/{match[2]}") or not rest or ".." in Path(match[2]).parts:
        raise LibraryError(f"{name} does not name its files as '--- a/FILE' and '+++ b/FILE'")
    hunks = []
    for body, (olds, news) in zip(rest, counts, strict=True):
        lines = body.splitlines(keepends=True)
        old = [line[1:] for line in lines if line[0] in " -"]
        new = [line[1:] for line in lines if line[0] in " +"]
        if (len(old), len(new)) != (int(olds or 1), int(news or 1)) or not all(line[0] in " -+" for line in lines):
            raise LibraryError(
                f"{name} has a damaged part for {match[2]}: its lines are not those that its '@@' announces"
            )
        hunks.append(Hunk("".join(old), "".join(new)))
    if (match[1] == "/dev/null") != (hunks[0].old == "") or len([hunk for hunk in hunks if not hunk.old]) > 1:
        raise LibraryError(f"{name} has a part for {match[2]} without a line to find its place by")
    return Change(match[2], tuple(hunks))


def apply(name: str, change: Change, text: str | None) -> str:
    """Return a file as the change makes it. The lines of each place have to be there, letter by letter and only once.

    Args:
        name: of the patch, for messages.
        change: to be made.
        text: the file as it is, or None when there is none.

    Raises:
        LibraryError: the file is not the one that the patch was made for.
    """
    for hunk in change.hunks:
        if not hunk.old and text is None:
            text = hunk.new
        elif not hunk.old or text is None or f"\n{text}".count(f"\n{hunk.old}") != 1:
            raise LibraryError(f"{name} does not apply to {change.path}")
        else:
            text = f"\n{text}".replace(f"\n{hunk.old}", f"\n{hunk.new}")[1:]
    return text or ""


def patches(engine: Path) -> dict[str, str]:
    """Return the patches by name, in the order in which they are applied: that of their names."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((engine / "patches").glob("*.patch"))}


def prepare(engine: Path, go: Path) -> Path:
    """Make sure that ``build``, beside the engine, and ``engine/go.work`` have the patched library; return its folder.

    Args:
        engine: folder of the engine's module.
        go: a Go that is recent enough.

    Raises:
        LibraryError: the module cannot be had, its checksum is wrong, or a patch does not apply.
    """
    version = _version(engine)
    changes = patches(engine)
    made_of = json.dumps([version, changes, Path(__file__).read_text(encoding="utf-8")])
    build = engine.parent / "build"
    target = build / f"nats-server-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"
    if not target.is_dir():
        build.mkdir(exist_ok=True)
        archive = _download(engine, go, version)
        with tempfile.TemporaryDirectory(dir=build) as scratch:
            copy = Path(scratch, "library")
            _unpack(archive, f"{MODULE}@{version}/", copy)
            _patch(copy, version, changes)
            try:
                copy.rename(target)
            except OSError:
                if not target.is_dir():  # Somebody else has made it meanwhile.
                    raise
    replaced = f"replace {MODULE} {version} => ../build/{target.name}"
    work = f"// Made by hatch_library.py.\ngo {_go(engine)}\n\nuse .\n\n{replaced}\n"
    if not (engine / "go.work").is_file() or (engine / "go.work").read_text(encoding="utf-8") != work:
        _write(engine / "go.work", work)
        for old in build.glob("nats-server-*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)
    return target


def _patch(copy: Path, version: str, changes: dict[str, str]) -> None:
    for name, text in changes.items():
        for change in parse(f"engine/patches/{name}", text):
            file = copy / change.path
            try:
                patched = apply(
                    f"engine/patches/{name}", change, file.read_text(encoding="utf-8") if file.is_file() else None
                )
            except LibraryError as error:
                raise LibraryError(f"{error} of {MODULE} {version}; make the patch anew for that version") from None
            file.write_text(patched, encoding="utf-8")


def _version(engine: Path) -> str:
    return _named(engine, rf"^\s*(?:require )?{re.escape(MODULE)} (\S+)", MODULE)


def _go(engine: Path) -> str:
    return _named(engine, r"^go (\S+)$", "the version of Go")


def _named(engine: Path, pattern: str, what: str) -> str:
    match = re.search(pattern, (engine / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise LibraryError(f"engine/go.mod does not name {what}")
    return match[1]


def _download(engine: Path, go: Path, version: str) -> Path:
    """Return the archive of the module in Go's cache, whose checksum Go has compared with go.sum."""
    command = [str(go), "mod", "download", "-json", f"{MODULE}@{version}"]
    environment = {**os.environ, "GOWORK": "off", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            command, cwd=engine, env=environment, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT, check=False
        )
        told = json.loads(done.stdout or "{}")
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise LibraryError(f"Go could not fetch {MODULE} {version} ({error})") from None
    if done.returncode or "Zip" not in told:
        why = (told.get("Error") or done.stderr).strip().splitlines() or ["no output"]
        raise LibraryError(f"Go could not fetch {MODULE} {version} ({why[0]})")
    if f"{MODULE} {version} {told['Sum']}\n" not in (engine / "go.sum").read_text(encoding="utf-8"):
        raise LibraryError(f"engine/go.sum does not have the checksum of {MODULE} {version}")
    return Path(told["Zip"])


def _unpack(archive: Path, prefix: str, folder: Path) -> None:
    """Unpack what the engine is compiled from: no tests, no tools, no pictures."""
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            inside = name.removeprefix(prefix)
            if inside in ("go.mod", "LICENSE") or (
                inside.endswith(".go") and not inside.endswith("_test.go") and not inside.startswith("test/")
            ):
                target = folder / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(packed.read(name))


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).replace(path)
