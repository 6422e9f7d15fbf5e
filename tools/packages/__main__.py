"""``python -m tools.packages``: build the deb and the rpm into ``dist``, as ``make packages`` does."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from tools.packages import manual
from tools.packages.bill import bill, go_modules, licence_texts, python_libraries, scripts_of_pages
from tools.packages.program import HOME, lay_out

from choria_broker import __version__
from choria_broker.cli import main as program

TREE = Path(__file__).parents[2]
DEPLOY = TREE / "deploy"
BUILD = TREE / "build" / "packages"
ROOT = BUILD / "root"
"""What becomes ``/``: nfpm.yaml names it."""

KINDS = ("deb", "rpm")
UNIT = "usr/lib/systemd/system/choria-network-broker.service"
DOC = "usr/share/doc/choria-broker"
SHELLS = {
    "bash": "usr/share/bash-completion/completions/choria-broker",
    "zsh": "usr/share/zsh/site-functions/_choria-broker",
    "fish": "usr/share/fish/vendor_completions.d/choria-broker.fish",
}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Names that Go has for the machines that the engine is made for."""


def main() -> int:
    """Build the packages."""
    parser = argparse.ArgumentParser(prog="tools.packages", description=__doc__)
    parser.add_argument("--nfpm", type=Path, default=TREE / ".tools" / "nfpm", help="the program that packs")
    parser.add_argument("--dist", type=Path, default=TREE / "dist", help="where packages go")
    parser.add_argument("--release", default="1", help="which package of this version it is")
    parser.add_argument("--staged", action="store_true", help="pack what was staged before")
    told = parser.parse_args()
    # Packages have the rights that files have here, whoever builds them.
    os.umask(0o022)
    if not told.staged:
        stage()
    for kind in KINDS:
        pack(kind, nfpm=told.nfpm.resolve(), dist=told.dist.resolve(), release=told.release)
    return 0


def stage() -> None:
    """Put together everything that the packages hold."""
    shutil.rmtree(BUILD, ignore_errors=True)
    wheels, scratch = BUILD / "wheel", BUILD / "scratch"
    # Commands name the pages that the package has.
    environment = {"CHORIA_BROKER_DOCUMENTATION": f"/{DOC}/docs", **os.environ}
    making = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(TREE)]
    subprocess.run(making, check=True, env=environment)
    (wheel,) = wheels.glob("choria_broker-*.whl")
    if wheel.stem.endswith("-any"):
        raise SystemExit("the wheel has no engine: pip's output says why")
    launcher = (DEPLOY / "packages" / "choria-broker.sh").read_text(encoding="utf-8")
    lay_out(ROOT, wheel=wheel, lock=TREE / "requirements.lock", launcher=launcher, scratch=scratch)
    shutil.rmtree(scratch)
    for name, text in texts().items():
        place = ROOT / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(0o644)
    say_what_it_is_made_of()


def say_what_it_is_made_of() -> None:
    """Write the bill of materials of the staged program, and the licences of what is linked into its engine.

    Python's libraries have theirs beside them.
    """
    packages = ROOT / HOME.lstrip("/") / "lib" / "python3" / "site-packages"
    listed = _go("version", "-m", str(packages / "choria_broker" / "_engine" / "choria-broker-engine"))
    vendored = packages / "choria_broker" / "ui" / "assets" / "vendor"
    components = [*python_libraries(packages), *go_modules(listed), *scripts_of_pages(vendored)]
    made = bill(__version__, components)
    (ROOT / DOC / "sbom.cdx.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    folder = ROOT / DOC / "licences"
    folder.mkdir()
    found = licence_texts(listed, Path(_go("env", "GOMODCACHE").strip()))
    found["go.txt"] = Path(_go("env", "GOROOT").strip(), "LICENSE").read_text(encoding="utf-8")
    found |= {f"{path.stem}.txt": path.read_text(encoding="utf-8") for path in vendored.glob("*.LICENSE")}
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8")


def _go(*arguments: str) -> str:
    command = [sys.executable, str(TREE / "tools" / "go.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def texts() -> dict[str, str]:
    """Return the files beside the program, by their path below ``/``."""

    def read(name: str) -> str:
        return (TREE / name).read_text(encoding="utf-8")

    found = {
        UNIT: unit(read("deploy/choria-broker.service")),
        "etc/logrotate.d/choria-broker": read("deploy/packages/choria-broker.logrotate"),
        f"{DOC}/examples/broker.conf": read("deploy/packages/broker.conf"),
        f"{DOC}/copyright": read("LICENSE"),
        f"{DOC}/CHANGELOG.md": read("CHANGELOG.md"),
    }
    pages = sorted((TREE / "docs").rglob("*.md"))
    found |= {f"{DOC}/{page.relative_to(TREE)}": page.read_text(encoding="utf-8") for page in pages}
    found |= {f"usr/share/man/man1/{name}": text for name, text in manual.pages(program, __version__).items()}
    for shell, name in SHELLS.items():
        found[name] = CliRunner().invoke(program, ["completion", shell], catch_exceptions=False).stdout
    return found


def unit(text: str) -> str:
    """Return the service unit as packages have it: their program, and the usual name as a second one.

    Choria's own package has a unit ``choria-broker.service``, in the same directory, and may stay for its server. Once
    this unit is enabled, its second name goes before that one.
    """
    changed = text.replace("/opt/choria-broker/bin/choria-broker", "/usr/bin/choria-broker")
    return changed.replace("[Install]\n", "[Install]\nAlias=choria-broker.service\n")


def pack(kind: str, *, nfpm: Path, dist: Path, release: str) -> None:
    """Make the package of one kind of what is staged, in place of older ones."""
    dist.mkdir(parents=True, exist_ok=True)
    for older in dist.glob(f"choria-broker*.{kind}"):
        older.unlink()
    environment = {**os.environ, "VERSION": __version__, "RELEASE": release}
    environment["GOARCH"] = MACHINES[platform.machine()]
    environment.setdefault("SOURCE_DATE_EPOCH", _commit_time())
    command = [str(nfpm), "package", "-f", "deploy/packages/nfpm.yaml", "-p", kind, "-t", str(dist)]
    subprocess.run(command, cwd=TREE, env=environment, check=True)


def _commit_time() -> str:
    """Seconds of the time of the commit, so that what is packed twice is the same."""
    done = subprocess.run(
        ["git", "-C", TREE, "log", "-1", "--format=%ct"],  # noqa: S607 - the git of whoever builds
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "0"


if __name__ == "__main__":
    raise SystemExit(main())
